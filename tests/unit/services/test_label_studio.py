"""What Label Studio is told, and what is read from its tokens."""

import base64
import ipaddress
import json
import time
from pathlib import Path

import pytest

from flywheel.errors import UnavailableError
from flywheel.services import label_studio
from flywheel.services.label_studio_account import ends_at, is_young
from flywheel.services.supervisor.environments import environment_programs
from flywheel.services.supervisor.plan import new_plan

DAY = 86_400


@pytest.fixture
def server(tmp_path) -> label_studio.Server:
    """Return a server that was never started."""
    (tmp_path / "secrets").mkdir()
    return label_studio.Server(
        folder=tmp_path / "data",
        secrets=tmp_path / "secrets",
        cache=tmp_path,
        port=8080,
        webhook_port=9109,
    )


def _token(begin: float, end: float | None) -> str:
    claims = {"iat": begin} | ({} if end is None else {"exp": end})
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


def test_one_address_of_the_private_ones_is_open(server):
    """Everything that is banned by default stays so, but the receiver's address."""
    told = label_studio.program(server).environment["LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS"]
    networks = [ipaddress.ip_network(text) for text in told.split(",")]
    closed = ("127.0.0.0", "127.0.0.2", "127.255.255.255", "10.1.2.3", "169.254.169.254", "::1")
    for address in closed:
        assert any(ipaddress.ip_address(address) in network for network in networks), address
    for address in ("127.0.0.1", "8.8.8.8"):
        assert not any(ipaddress.ip_address(address) in network for network in networks), address


def test_it_may_reach_the_receiver_and_listens_on_loopback(server):
    """The command says both; no password stands in it."""
    program = label_studio.program(server)
    command = " ".join(program.command)
    assert "--host 127.0.0.1 --port 8080 --reach 127.0.0.1:9109" in command
    assert program.ports == (8080,)
    for name in ("SECRET_KEY", "LABEL_STUDIO_PASSWORD"):
        assert program.environment[name] not in command
    assert label_studio.program(server).environment == program.environment


def test_a_first_start_says_what_takes_long_and_ends(server, monkeypatch):
    """The database is announced before it is made; what never ends is an error with a next step."""
    python = environment_programs("label-studio", server.cache) / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    (python.parents[1] / ".complete").touch()
    monkeypatch.setattr(label_studio, "_MIGRATE_SECONDS", 0.2)
    lines: list[str] = []
    with pytest.raises(UnavailableError, match="was not made within") as caught:
        label_studio.prepare(server, lines.append)
    assert "run the command again" in caught.value.next_step
    assert [line.split(",")[0] for line in lines] == ["making the database of label-studio"]


def test_there_is_no_connection_before_there_is_a_token(tmp_path):
    """Connections name Label Studio when its token was made, and not before."""
    from flywheel.services.catalog import connections
    from flywheel.services.supervisor.program import Layout

    layout = Layout(tmp_path)
    layout.make()
    plan = new_plan(ephemeral=True, cache=Path("cache"), memory_mb=512, properties={})
    plan = plan.with_ports({"label-studio": (8080, 9109)})
    assert connections(layout, plan).review_queue is None
    token = _token(0, 1)
    (layout.secrets / "label_studio_token").write_text(token)
    found = connections(layout, plan)
    assert found.review_queue == "label_studio"
    assert found.label_studio_token == token
    assert found.webhook_url == "http://127.0.0.1:9109/label-studio"


@pytest.mark.parametrize(
    ("begin", "end", "young"),
    [(-1, 29, True), (-19, 11, True), (-21, 9, False), (-31, -1, False), (0, None, False)],
)
def test_a_token_is_renewed_in_the_last_third_of_its_life(begin, end, young):
    """Days before and after now; a token that does not say when it ends is renewed."""
    now = time.time()
    token = _token(now + begin * DAY, None if end is None else now + end * DAY)
    assert is_young(token) is young


def test_nonsense_is_no_token():
    """What cannot be read has no end and is not young."""
    for token in ("", "a.b.c", "a.e30.c", _token(0, 1e300)):
        assert ends_at(token) is None
        assert not is_young("nonsense")
