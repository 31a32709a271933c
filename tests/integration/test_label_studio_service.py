"""Label Studio as a service of ours: it comes up closed, and gives Flywheel a token that ends."""

import base64
import http
import json
import urllib.error
import urllib.request

import pytest

from flywheel.services.label_studio_account import Session

pytestmark = [pytest.mark.services, pytest.mark.slow]
DAY = 86_400


def _access(label_studio) -> str:
    body = {"refresh": label_studio.token}
    answer = Session(label_studio.url).call("POST", "/api/token/refresh/", body).require(200)
    return answer["access"]


def _call(label_studio, method: str, path: str, body: object = None) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{label_studio.url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {_access(label_studio)}",
            "Content-Type": "application/json",
        },
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_its_token_is_flywheels_and_ends(label_studio):
    """The token opens the interface as Flywheel's account and lives 30 days."""
    part = label_studio.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["exp"] - claims["iat"] == 30 * DAY
    status, text = _call(label_studio, "GET", "/api/current-user/whoami")
    assert (status, json.loads(text)["email"]) == (200, "flywheel@localhost")


def test_nobody_signs_up_uninvited(label_studio):
    """The form answers, and takes no account without the invitation."""
    session = Session(label_studio.url)
    session.call("GET", "/user/signup/")
    form = {
        "email": "stranger@example.org",
        "password": "long enough 1",
        "csrfmiddlewaretoken": session.cookie("csrftoken"),
    }
    answer = session.call("POST", "/user/signup/", form, form=True)
    assert answer.status == http.HTTPStatus.FORBIDDEN


def test_it_may_be_told_of_the_receiver_alone(label_studio):
    """A webhook to the receiver's address is taken; other addresses of this machine are refused."""
    answers = {
        url: _call(label_studio, "POST", "/api/webhooks/", {"url": url, "is_active": False})[0]
        for url in ("http://127.0.0.2:9/", "http://10.0.0.1/", "http://169.254.169.254/")
    }
    assert set(answers.values()) == {403}
