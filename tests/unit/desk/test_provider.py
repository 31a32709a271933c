"""Sign-in at an OpenID Connect provider that the test starts."""

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey

from flywheel.desk.app import build_app
from flywheel.desk.provider import Provider, provider_of
from flywheel.errors import ConfigurationError
from flywheel.settings import Settings
from flywheel.usecases.people import add_person, revoke_person
from tests.fakes.desk_world import ADDRESS
from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, open_provider


@pytest.fixture
def openid():
    """Return a running provider."""
    with open_provider() as provider:
        yield provider


@pytest.fixture
def world(desk, openid):
    """Return a desk that sends people to the provider; Maja has the address that it names."""
    admin = desk.tokens["Ada"]
    add_person(desk.platform, "Maja", roles=("approver",), email=openid.email, by=None, token=admin)
    provider = Provider(openid.url, CLIENT_ID, CLIENT_SECRET, ADDRESS)
    desk.app = build_app(desk.platform, public_url=ADDRESS, provider=provider)
    return desk


def sent_back(browser, target="/"):
    """Begin at the desk, let the provider answer, and return where it sends the browser."""
    begun = browser.get("/sign-in/provider", params={"next": target})
    assert begun.status_code == 303, begun.text
    answer = httpx.get(begun.headers["location"])
    return answer.headers["location"].removeprefix(ADDRESS)


def test_a_person_signs_in_at_the_provider(world):
    """The page leads there and back; the session is that of the registered person."""
    browser = world.browser()
    assert "Sign in at 127.0.0.1" in browser.get("/sign-in").text
    page = browser.get(sent_back(browser, "/audit"))
    assert page.status_code == 200
    assert 'content="0; url=/audit"' in page.text
    cookie = next(
        line for line in page.headers.get_list("set-cookie") if "Strict" in line or "strict" in line
    )
    assert "HttpOnly" in cookie
    assert "Maja" in browser.get("/").text


def test_an_answer_counts_once_and_for_its_browser(world):
    """Neither a second time, nor in a browser that somebody else was led to, nor with another state."""
    browser = world.browser()
    way = sent_back(browser)
    assert world.browser().get(way).status_code == 401
    assert browser.get(way.replace("state=", "state=x")).status_code == 401
    way = sent_back(browser)
    assert browser.get(way).status_code == 200
    assert browser.get(way).status_code == 401


def test_a_sign_in_that_one_desk_began_is_finished_at_another(world, openid):
    """A balancer sends the browser wherever it likes; what came back once counts nowhere again."""
    browser = world.browser()
    way = sent_back(browser, "/audit")
    provider = Provider(openid.url, CLIENT_ID, CLIENT_SECRET, ADDRESS)
    browser.app = other = build_app(world.platform, public_url=ADDRESS, provider=provider)
    browser._transport.app = other
    assert 'content="0; url=/audit"' in browser.get(way).text
    assert browser.get(way).status_code == 401


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"email_verified": False}, "no e-mail address"),
        ({"email": None}, "no e-mail address"),
        ({"nonce": "another"}, "does not hold"),
        ({"aud": "another"}, "does not hold"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "another application"),
        ({"iss": "https://another.example"}, "does not hold"),
        ({"exp": 1}, "does not hold"),
    ],
)
def test_a_token_that_does_not_hold_lets_nobody_in(world, openid, claims, message):
    """Each claim is checked."""
    openid.claims = claims
    browser = world.browser()
    answer = browser.get(sent_back(browser))
    assert answer.status_code == 401
    assert message in answer.text
    assert browser.get("/").status_code == 303


def test_a_token_of_another_key_lets_nobody_in(world, openid):
    """Signed by a key that the provider does not publish, or by the secret of the client."""
    openid.key = RSAKey.generate_key(2048, {"kid": "one"})
    browser = world.browser()
    assert browser.get(sent_back(browser)).status_code == 401
    openid.key, openid.algorithm = OctKey.import_key(CLIENT_SECRET * 3), "HS256"
    assert browser.get(sent_back(browser)).status_code == 401


def test_who_is_not_registered_is_not_let_in(world, openid):
    """The provider says who somebody is, the desk who may."""
    openid.email = "eve@plant.example"
    browser = world.browser()
    answer = browser.get(sent_back(browser))
    assert (answer.status_code, "Nobody is registered" in answer.text) == (403, True)
    openid.email = "mara@plant.example"
    revoke_person(world.platform, "Maja", reason="left", by=None, token=world.tokens["Ada"])
    assert browser.get(sent_back(browser)).status_code == 403


def test_a_provider_that_is_away_is_named(desk):
    """The page says so, and the token still works."""
    provider = Provider("http://127.0.0.1:9", CLIENT_ID, CLIENT_SECRET, ADDRESS)
    desk.app = build_app(desk.platform, provider=provider)
    browser = desk.browser()
    assert browser.get("/sign-in/provider").status_code == 503
    assert browser.get("/sign-in/callback").status_code == 401
    assert desk.signed_in("Vera").get("/").status_code == 200


def test_the_settings_are_whole_and_secure(tmp_path):
    """A part that is missing, or an address without https, is named at the start."""
    assert provider_of(Settings(home=tmp_path)) is None
    with pytest.raises(ConfigurationError, match="client id"):
        provider_of(Settings(home=tmp_path, desk_oidc_issuer="https://id.example"))
    whole = {"desk_oidc_client_id": "x", "desk_oidc_client_secret": "y", "desk_url": ADDRESS}
    with pytest.raises(ConfigurationError, match="https"):
        provider_of(Settings(home=tmp_path, desk_oidc_issuer="http://id.example", **whole))
    assert provider_of(Settings(home=tmp_path, desk_oidc_issuer="https://id.example", **whole))


def test_without_a_provider_there_is_no_way_there(desk):
    """The page offers none."""
    assert desk.browser().get("/sign-in/provider").status_code == 404
    assert "Sign in at" not in desk.browser().get("/sign-in").text
