"""The release desk as an intruder meets it: nothing is shown, nothing is decided."""

import html
from datetime import UTC, datetime, timedelta

import pytest

from flywheel.clock import ManualClock
from flywheel.desk.app import build_app
from flywheel.desk.sessions import Sessions
from flywheel.desk.sign_in_limit import SignInLimit
from flywheel.usecases.people import renew_token, revoke_person
from tests.fakes.desk_world import ADDRESS, DeskWorld, fields_of

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def cycle(desk):
    """Return a cycle that waits for its approval."""
    return desk.judged("r1")


def filled_form(desk, cycle, browser):
    fields = fields_of(browser.get(desk.path(cycle)).text, "/verdict")
    return fields | {"verdict": "approve", "reason": "fine"}


def undecided(desk, cycle):
    state = desk.world.state
    return state.approvals.granted(cycle.ref) is None and (
        state.cycles.get(cycle.ref).status == "awaiting_approval"
    )


def test_without_a_session_nothing_is_shown(desk, cycle):
    """Every page leads to the sign-in, and every form is refused."""
    browser = desk.browser()
    release = f"/workloads/{cycle.workload_id}/releases/r1"
    for path in ("/", desk.path(cycle), f"{desk.path(cycle)}/cases", release, "/audit"):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["location"][:14]) == (303, "/sign-in?next=")
    forms = (f"{desk.path(cycle)}/verdict", f"{release}/rollback", f"{release}/retry", "/sign-out")
    for path in forms:
        assert browser.post(path, data={"verdict": "approve"}).status_code == 401
    assert undecided(desk, cycle)


@pytest.mark.parametrize("token", ["", "x", "fwp-000000000000-x", "fwp-", "\x00", "é" * 100])
def test_a_wrong_token_opens_nothing(desk, token):
    """The answer does not say whether the person exists, and sets no cookie."""
    answer = desk.browser().post("/sign-in", data={"token": token})
    assert answer.status_code == 401
    assert "wrong, expired or revoked" in answer.text
    assert "set-cookie" not in answer.headers


def test_the_id_of_a_token_with_another_secret_opens_nothing(desk):
    """The id is shown in lists, and is not enough."""
    token_id = desk.tokens["Mara"].split("-")[1]
    secret = desk.tokens["Vera"].split("-", 2)[2]
    answer = desk.browser().post("/sign-in", data={"token": f"fwp-{token_id}-{secret}"})
    assert answer.status_code == 401


def test_sign_in_is_rate_limited(desk):
    """After the burst even the right token waits, and the answer says how long."""
    desk.app = build_app(desk.platform, limit=SignInLimit(desk.platform, per_minute=1, burst=2))
    browser = desk.browser()
    for _ in range(2):
        assert browser.post("/sign-in", data={"token": "x"}).status_code == 401
    answer = browser.post("/sign-in", data={"token": desk.tokens["Mara"]})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")


def test_the_cookie_is_for_the_desk_alone(desk):
    """HttpOnly and SameSite=Strict; over https also Secure, with the prefix that binds the host."""
    answer = desk.browser().post("/sign-in", data={"token": desk.tokens["Mara"]})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    desk.app = build_app(desk.platform, public_url="https://desk.test")
    browser = desk.browser()
    browser.headers["origin"] = "https://desk.test"
    cookie = browser.post("/sign-in", data={"token": desk.tokens["Mara"]}).headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie


def test_every_answer_forbids_scripts_frames_and_copies(desk, cycle):
    """The headers are on pages, refusals and addresses that are not there."""
    browser = desk.signed_in("Vera")
    for path in ("/", desk.path(cycle), "/nothing", "/sign-in", "/workloads/x/cycles/y"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; ")
        assert "script" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["Vera", "Lea", "Ada"])
def test_a_role_that_may_not_decide_gets_no_form_and_no_way(desk, cycle, name):
    """Not even with the form of somebody who may: its token is of another session."""
    approver = desk.signed_in("Mara")
    stolen = filled_form(desk, cycle, approver)
    browser = desk.signed_in(name)
    assert "to decide takes the role approver" in browser.get(desk.path(cycle)).text
    assert browser.post(f"{desk.path(cycle)}/verdict", data=stolen).status_code == 403
    assert undecided(desk, cycle)


def test_a_role_is_checked_where_the_form_is_right(desk, cycle):
    """A viewer who makes up a whole form of the own session is refused for the role."""
    from flywheel.desk.forms import Seal, form_token
    from flywheel.usecases.desk.cycle_page import read_cycle
    from flywheel.usecases.desk.evidence import evidence_of

    sessions = Sessions(desk.platform)
    desk.app = build_app(desk.platform, sessions=sessions)
    browser = desk.signed_in("Vera")
    session = sessions.find(browser.cookies["flywheel_desk"])
    action = f"{desk.path(cycle)}/verdict"
    shown = evidence_of(read_cycle(desk.platform, cycle.ref)).text
    fields = Seal(shown, desk.world.clock.now()).fields(session, action)
    fields |= {"form_token": form_token(session, action), "verdict": "approve", "reason": "x"}
    answer = browser.post(action, data=fields)
    assert answer.status_code == 403
    assert "Your roles do not let you decide" in answer.text


def test_nobody_approves_an_own_cycle(desk, cycle):
    """The owner of the workload asked for it, whatever she puts into the form."""
    browser = desk.signed_in("Ann")
    fields = filled_form(desk, cycle, browser)
    answer = browser.post(f"{desk.path(cycle)}/verdict", data=fields)
    assert answer.status_code == 409
    assert "cannot approve it" in answer.text
    assert undecided(desk, cycle)


def test_an_own_cycle_is_found_by_the_address_too(desk):
    """The workload's owner is named by e-mail, and the account has that address."""
    from flywheel.usecases.people import add_person

    admin = desk.tokens["Ada"]
    desk.tokens["Otto"] = add_person(
        desk.platform, "Otto", roles=("approver",), email="Otto@plant.example", by=None, token=admin
    ).token
    cycle = desk.judged("r1", opened_by="otto@PLANT.example")
    browser = desk.signed_in("Otto")
    answer = browser.post(f"{desk.path(cycle)}/verdict", data=filled_form(desk, cycle, browser))
    assert (answer.status_code, undecided(desk, cycle)) == (409, True)


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"origin": ""}]
)
def test_a_form_of_another_site_is_refused(desk, cycle, headers):
    """Also with the right token in it: by the origin that the browser names."""
    browser = desk.signed_in("Mara")
    fields = filled_form(desk, cycle, browser)
    answer = browser.post(f"{desk.path(cycle)}/verdict", data=fields, headers=headers)
    assert (answer.status_code, undecided(desk, cycle)) == (403, True)


@pytest.mark.parametrize(
    "change",
    [
        {"form_token": ""},
        {"form_token": "0" * 64},
        {"form_token": "é"},
        {"seal": "0" * 64},
        {"shown": "{}"},
        {"shown_at": "2036-01-01T00:00:00+00:00"},
    ],
)
def test_a_forged_form_is_refused(desk, cycle, change):
    """Without the session's token, or with another evidence or moment than was shown."""
    browser = desk.signed_in("Mara")
    fields = filled_form(desk, cycle, browser) | change
    answer = browser.post(f"{desk.path(cycle)}/verdict", data=fields)
    assert (answer.status_code, undecided(desk, cycle)) == (403, True)


def test_a_form_counts_for_its_own_cycle_alone(desk, cycle):
    """The token and the seal of one address are refused at another."""
    browser = desk.signed_in("Mara")
    fields = filled_form(desk, cycle, browser)
    other = f"/workloads/{cycle.workload_id}/cycles/2026Q2-9/verdict"
    assert browser.post(other, data=fields).status_code == 403


def test_a_page_that_is_too_old_is_refused(desk, cycle):
    """After an hour it has to be read again."""
    browser = desk.signed_in("Mara")
    fields = filled_form(desk, cycle, browser)
    desk.world.clock.move_to(desk.world.clock.now() + timedelta(minutes=61))
    answer = browser.post(f"{desk.path(cycle)}/verdict", data=fields)
    assert (answer.status_code, undecided(desk, cycle)) == (409, True)
    assert "too old to decide on" in answer.text


def test_changed_evidence_is_named(desk, cycle):
    """A label that people changed since the page was shown voids the form, and is named."""
    browser = desk.signed_in("Mara")
    fields = filled_form(desk, cycle, browser)
    snapshot = desk.world.state.cycles.attempt(cycle.ref).dataset.hash
    desk.relabel(snapshot, cycle.name, then="dent", now="stain")
    answer = browser.post(f"{desk.path(cycle)}/verdict", data=fields)
    assert answer.status_code == 409
    assert "this has changed: the data or its labels." in html.unescape(answer.text)
    assert undecided(desk, cycle)
    fields = filled_form(desk, cycle, browser)
    assert browser.post(f"{desk.path(cycle)}/verdict", data=fields).status_code == 303


def test_an_approval_that_expired_does_not_promote(desk, cycle):
    """It is voided, and the page asks for a new one."""
    from flywheel.errors import RefusedError

    browser = desk.signed_in("Mara")
    browser.post(f"{desk.path(cycle)}/verdict", data=filled_form(desk, cycle, browser))
    desk.world.clock.move_to(desk.world.clock.now() + timedelta(days=8))
    with pytest.raises(RefusedError, match="expired"):
        desk.world.promote(cycle)
    page = desk.signed_in("Mara").get(desk.path(cycle)).text
    assert "voided: it expired" in page
    assert 'value="approve"' in page


def test_a_changed_gate_report_is_neither_shown_nor_approved(desk, cycle):
    """The page says that it cannot be read, and has no button to approve."""
    path = desk.world.state.cycles.attempt(cycle.ref).gate.path
    path.write_text(path.read_text().replace('"outcome":"pass"', '"outcome":"pass" '))
    page = desk.signed_in("Mara").get(desk.path(cycle)).text
    assert "was changed after the decision" in page
    assert 'value="approve"' not in page


def test_scripts_in_texts_are_shown_and_not_run(tmp_path, registry):
    """In a label, a description, a reason, a client's text and a search they are text."""
    labels = [{"id": name, "name": f"{SCRIPT} {name}"} for name in ("scratch", "dent", "stain")]
    desk = DeskWorld(tmp_path, registry, description=f"{SCRIPT} sorts", taxonomy={"labels": labels})
    desk.add_people()
    cycle = desk.judged("r1", wrong=("golden 4 dent",))
    approver = desk.signed_in("Mara")
    fields = filled_form(desk, cycle, approver) | {"reason": f"{SCRIPT} \u202efine"}
    approver.post(f"{desk.path(cycle)}/verdict", data=fields)
    release = f"/workloads/{cycle.workload_id}/releases/r1"
    cases = f"{desk.path(cycle)}/cases?change=all&text={SCRIPT}&suite={SCRIPT}"
    for path in ("/", desk.path(cycle), cases, release, f"/audit?text={SCRIPT}", "/audit"):
        page = approver.get(path).text
        assert "<script" not in page
        assert "\u202e" not in page
    assert "[U+202E]" in approver.get(desk.path(cycle)).text
    desk.close()


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "/a\nb"]
)
def test_the_sign_in_leads_to_the_desk_alone(desk, target):
    """An address that another site made does not lead there."""
    answer = desk.browser().post("/sign-in", data={"token": desk.tokens["Mara"], "next": target})
    assert answer.headers["location"] == "/"


def test_a_revoked_person_and_a_renewed_token_end_the_session(desk):
    """With the next request, whatever the cookie says."""
    first, second = desk.signed_in("Vera"), desk.signed_in("Mara")
    admin = desk.tokens["Ada"]
    revoke_person(desk.platform, "Vera", reason="left", by=None, token=admin)
    renew_token(desk.platform, "Mara", by=None, token=admin)
    assert first.get("/").status_code == 303
    assert second.get("/").status_code == 303


def test_signing_out_ends_the_session(desk):
    """The cookie of before opens nothing any more."""
    browser = desk.signed_in("Vera")
    cookie = browser.cookies["flywheel_desk"]
    fields = fields_of(browser.get("/").text, "/sign-out")
    assert browser.post("/sign-out", data=fields).status_code == 303
    browser.cookies.set("flywheel_desk", cookie, domain="desk.test")
    assert browser.get("/").status_code == 303


def test_a_session_ends_by_time(desk):
    """Eight hours after the sign-in."""
    clock = ManualClock(datetime(2026, 11, 30, tzinfo=UTC))
    desk.app = build_app(desk.platform, sessions=Sessions(desk.platform, clock=clock))
    browser = desk.signed_in("Vera")
    clock.move_to(datetime(2026, 11, 30, 7, 59, 59, tzinfo=UTC))
    assert browser.get("/").status_code == 200
    clock.move_to(datetime(2026, 11, 30, 8, tzinfo=UTC))
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a=1&a=2", "application/x-www-form-urlencoded", 400),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 30, "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 200_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
    ],
)
def test_a_body_that_is_no_form_is_refused(desk, body, kind, status):
    """With a status that says why, and nothing of it is read on."""
    answer = desk.browser().post("/sign-in", content=body, headers={"content-type": kind})
    assert answer.status_code == status


def test_paths_of_others_are_not_there(desk, cycle):
    """Neither files of the templates nor methods that no page has."""
    browser = desk.signed_in("Vera")
    assert browser.get("/desk/../state.db").status_code == 404
    assert browser.get("/cycle.html").status_code == 404
    assert browser.post(desk.path(cycle), data={}).status_code == 405
    assert browser.get("/workloads/none/releases/r1").status_code == 404
    assert browser.get(f"/workloads/{cycle.workload_id}/cycles/none").status_code == 404
    assert ADDRESS not in browser.get("/").text
