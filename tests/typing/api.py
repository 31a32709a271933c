"""What a type checker sees of the public interface: `make check` runs mypy over this file.

A name that became ``Any`` fails here, since ``assert_type`` compares exactly.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type

import flywheel
from flywheel.client import FlywheelClient, open_client
from flywheel.lake import Lake
from flywheel.ports.event_log import EventLog
from flywheel.state import State


def check_platform() -> None:
    """Check what a notebook starts from."""
    platform = flywheel.open_platform(existing=True)
    assert_type(platform, flywheel.Platform)
    assert_type(platform.settings, flywheel.Settings)
    assert_type(platform.lake, Lake)
    assert_type(platform.state, State)
    assert_type(platform.log, EventLog)
    assert_type(platform.workloads, dict[str, flywheel.Workload])
    assert_type(platform.workload("tickets"), flywheel.Workload)
    assert_type(flywheel.load_workload(Path("tickets.yaml")).id, str)
    assert_type(flywheel.__version__, str)


def check_errors(error: flywheel.TransientError | flywheel.TerminalError) -> None:
    """Check that both kinds of errors share their base."""
    base: flywheel.FlywheelError = error
    assert_type(base.message, str)
    assert_type(base.next_step, str)


def check_events(event: flywheel.InferenceEvent, feedback: flywheel.FeedbackEvent) -> None:
    """Check fields of both events."""
    assert_type(event.timestamp, datetime)
    assert_type(event.confidence, float | None)
    assert_type(feedback.author, str)


def check_client(event: flywheel.InferenceEvent) -> None:
    """Check the client of an application."""
    with open_client(client_id="line-1") as client:
        assert_type(client, FlywheelClient)
        assert_type(client.send(event), str)
        sent = client.send_call(
            "tickets",
            request={"messages": []},
            response=None,
            error="timed out",
            timestamp=datetime.now(UTC),
        )
        assert_type(sent, str)
        said = client.send_feedback("tickets", sent, kind="boolean", value=False, author="ann")
        assert_type(said, str)
        # A misspelled kind or field is an error for the type checker.
        client.send_feedback("tickets", sent, kind="thumb", value=False, author="ann")  # type: ignore[arg-type]
        client.send_call("tickets", request={}, response=None, latency=3)  # type: ignore[call-arg]
        assert_type(client.flush(), int)
