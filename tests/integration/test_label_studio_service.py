"""Label Studio as a service of ours: it comes up closed, and gives Flywheel a token that ends."""

import base64
import http
import json
import re
import socket
import urllib.error
import urllib.request
from ipaddress import ip_network
from pathlib import Path

import pytest

from flywheel.services.label_studio_account import Session
from flywheel.services.supervisor.environments import environment_programs

pytestmark = [pytest.mark.services, pytest.mark.slow]
DAY = 86_400


def _access(label_studio) -> str:
    body = {"refresh": label_studio.token}
    with Session(label_studio.url) as session:
        answer = session.call("POST", "/api/token/refresh/", body).require(200)
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
    with Session(label_studio.url) as session:
        session.call("GET", "/user/signup/")
        form = {
            "email": "stranger@example.org",
            "password": "long enough 1",
            "csrfmiddlewaretoken": session.cookie("csrftoken"),
        }
        answer = session.call("POST", "/user/signup/", form=form)
    assert answer.status == http.HTTPStatus.FORBIDDEN


def test_it_may_be_told_of_the_receiver_alone(label_studio):
    """A webhook to the receiver's address is taken; other addresses of this machine are refused."""
    answers = {
        url: _call(label_studio, "POST", "/api/webhooks/", {"url": url, "is_active": False})[0]
        for url in ("http://127.0.0.2:9/", "http://10.0.0.1/", "http://169.254.169.254/")
    }
    assert set(answers.values()) == {403}


def test_it_reaches_nobody_but_the_receiver(label_studio):
    """A webhook to another port of the same address is not sent; the project is changed."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config = "<View><Text name='t' value='$t'/></View>"
        body = {"title": "elsewhere", "label_config": config}
        project = json.loads(_call(label_studio, "POST", "/api/projects/", body)[1])["id"]
        hook = {"url": f"http://127.0.0.1:{port}/", "project": project}
        assert _call(label_studio, "POST", "/api/webhooks/", hook)[0] == http.HTTPStatus.CREATED
        changed = _call(label_studio, "PATCH", f"/api/projects/{project}/", {"color": "#000000"})
        assert changed[0] == http.HTTPStatus.OK
        # Label Studio calls from within the request: by now it has, or never will.
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert f"('127.0.0.1', {port})" in label_studio.services.log("label-studio").read_text()
    _call(label_studio, "DELETE", f"/api/projects/{project}/")


def test_what_it_bans_by_itself_is_banned_by_us(label_studio):
    """Our list covers that of the installed version, which we replace to open one address."""
    cache = Path(label_studio.services.plan.cache)
    source = environment_programs("label-studio", cache).parent
    (file,) = source.glob("lib/python*/site-packages/label_studio/core/utils/io.py")
    named = re.search(r"default_banned_subnets = \[(.*?)\n    \]", file.read_text(), re.DOTALL)
    assert named is not None
    told = label_studio.services.layout.programs / "label-studio.conf"
    value = re.search(r'BANNED_SUBNETS="([^"]+)"', told.read_text())
    assert value is not None
    ours = [ip_network(text) for text in value[1].split(",")]
    theirs = [ip_network(text) for text in re.findall(r"'([0-9a-f:.]+/\d+)'", named[1])]
    assert len(theirs) > 25
    open_ = [
        network
        for network in theirs
        if not any(network.version == o.version and network.subnet_of(o) for o in ours)
    ]
    assert open_ == [ip_network("127.0.0.0/8")]
