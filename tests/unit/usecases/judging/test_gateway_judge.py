"""A judge behind an endpoint that is no stand-in: Flywheel's own gateway, over HTTP."""

import json
from datetime import timedelta

from flywheel.gateway.app import build_app
from flywheel.io.web_server import serve_in_thread
from flywheel.usecases.judging.calibration import calibrate_judge
from tests.fakes.gateway_world import KEY, GatewayWorld
from tests.fakes.judge_world import MONDAY


def test_a_gateway_is_asked_like_any_endpoint(world, tmp_path, monkeypatch):
    """With its key; verdicts are read, and the gateway records every question."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    gateway = GatewayWorld(tmp_path / "gateway")
    gateway.replies.output = json.dumps({"label": "correct"})
    world.traffic(range(40))
    world.judge_by_people(range(40))
    world.clock.move_to(MONDAY + timedelta(days=1))
    with serve_in_thread(build_app(gateway.gateway), ("127.0.0.1", 0), "gateway") as port:
        url = f"http://127.0.0.1:{port}/v1"
        source = {"url": url, "model": "parts", "key_variable": "JUDGE_KEY"}
        report = calibrate_judge(world, world.with_judge(source=source))
    events = gateway.events()
    gateway.close()
    assert report.asking.problem is None
    assert (report.asking.asked, report.calibration.unreadable) == (40, 0)
    assert report.calibration.judged == 40
    assert not report.calibration.calibrated  # it approves of everything
    assert {event["client_id"] for event in events} == {"line-4"}
    assert len(events) >= 40
    assert world.upstream.bodies == []
