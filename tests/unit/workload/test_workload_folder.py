"""A workload file that does not load is an error of that workload alone, wherever it is read."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from flywheel.errors import ConfigurationError
from flywheel.events import EventContract, Reason, decode_inferences, encode
from flywheel.wiring import Platform
from flywheel.workload.folder import read_workload_folder
from flywheel.workload.time_zones import known_time_zone
from tests.fakes.event_makers import make_event, make_workload

# What people's files hold, and a word of what they are told.
BROKEN = {
    "a mistyped time zone": ({"timezone": "Europe/Berln"}, "Europe/Berlin"),
    "a city for a time zone": ({"timezone": "berlin"}, "Europe/Berlin"),
    "a folder for a time zone": ({"timezone": "Europe"}, "not a time zone"),
    "a path for a time zone": ({"timezone": "../../etc/passwd"}, "not a time zone"),
    "another id": ({"id": "other"}, "other"),
    "a number as key of the schema": (
        {
            "task": {
                "type": "extraction",
                "schema": {"type": "object", "properties": {1: {}, "a": {}}},
            }
        },
        "not",
    ),
}


def write(folder, workload_id, **changes):
    """Write a workload file, and return its path."""
    raw = make_workload(id=workload_id).model_dump(mode="json", by_alias=True)
    folder.mkdir(exist_ok=True)
    path = folder / f"{workload_id}.yaml"
    path.write_text(yaml.safe_dump(raw | changes))
    return path


@pytest.mark.parametrize(("changes", "word"), BROKEN.values(), ids=BROKEN)
def test_one_broken_file_leaves_the_others(tmp_path, changes, word):
    """Its problem is named with the file; the other workload is read."""
    write(tmp_path, "good")
    write(tmp_path, "bad", **changes)
    found = read_workload_folder(tmp_path)
    assert list(found.workloads) == ["good"]
    assert word in str(found.problems["bad"].error)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"a: [", b"a: 2026-13-45", b"&a [*a]", b"", b"- 1"]
)
def test_whatever_a_file_holds_it_stops_no_other(tmp_path, content):
    """No UTF-8, no YAML, no date, itself, nothing, a list."""
    write(tmp_path, "good")
    (tmp_path / "bad.yaml").write_bytes(content)
    (tmp_path / "folder.yaml").mkdir()
    found = read_workload_folder(tmp_path)
    assert list(found.workloads) == ["good"]
    assert set(found.problems) == {"bad", "folder"}


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("Asia/Tokio", "Asia/Tokyo"),
        ("", "such as"),
        ("nowhere at all", "such as"),
    ],
)
def test_a_time_zone_is_suggested(name, suggestion):
    """By the whole name or by its city, whatever the case."""
    with pytest.raises(ValueError, match="is not a time zone") as caught:
        known_time_zone(name)
    assert suggestion in str(caught.value)


def test_commands_show_it_and_go_on(tmp_path, monkeypatch):
    """`status` lists the good workload and the problem; what asks for the bad one is told why."""
    from flywheel.cli.status import app
    from flywheel.settings import load_settings

    write(tmp_path / "workloads", "good")
    write(tmp_path / "workloads", "bad", timezone="Europe/Berln")
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path / "workloads"))
    printed = CliRunner().invoke(app, ["--json"], catch_exceptions=False).stdout
    facts = json.loads(printed)
    assert [row["workload"] for row in facts["workloads"]] == ["good"]
    assert "Europe/Berlin" in facts["workloads_not_loaded"]["bad"]
    platform = Platform(load_settings())
    with pytest.raises(ConfigurationError, match="Europe/Berlin"):
        platform.workload("bad")


def test_events_of_a_workload_that_does_not_load_are_not_lost():
    """They are dead letters to be replayed, or go by the limits that were in force."""
    workload = make_workload()
    values = [encode(make_event(1, workload))]
    contract = EventContract([], not_loaded=[workload.id])
    decoded = decode_inferences(values, contract)
    assert [one.reason for one in decoded.rejections] == [Reason.WORKLOAD_NOT_LOADED]
    running = EventContract([], not_loaded=[workload.id], before=EventContract([workload]))
    assert not decode_inferences(values, running).rejections


def test_the_code_location_loads_the_others(tmp_path):
    """The others' assets, jobs, sensors and schedules are there, and the bad file is an asset."""
    from definitions import build_definitions

    write(tmp_path, "good", timezone="Europe/Berlin", owner="ann@plant")
    write(tmp_path, "bad", timezone="Europe/Berln")
    (tmp_path / "Odd name!.yaml").write_text("id: odd")
    found = read_workload_folder(tmp_path)
    built = build_definitions(
        list(found.workloads.values()), problems=list(found.problems.values())
    )
    graph = built.resolve_asset_graph()
    keys = {key.to_user_string(): key for key in graph.get_all_asset_keys()}
    assert {"good/gate", "bad/workload_file", "Odd_name_/workload_file"} <= set(keys)
    assert "Europe/Berlin" in graph.get(keys["bad/workload_file"]).description
    names = {schedule.name for schedule in built.get_repository_def().schedule_defs}
    assert "good_sample_schedule" in names


@pytest.mark.parametrize("level", ["[", "- ", "{a: ", "? "])
def test_a_file_that_is_nested_too_deep_ends_no_process(tmp_path, level):
    """The fast YAML loader would overflow the stack of whoever reads it, Dagster included."""
    write(tmp_path, "good")
    (tmp_path / "bad.yaml").write_text(level * 101 + "\n")
    found = read_workload_folder(tmp_path)
    assert list(found.workloads) == ["good"]
    assert "nested deeper than 100 levels" in found.problems["bad"].error.message
