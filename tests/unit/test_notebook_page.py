"""The notebook page of the documents runs as it is written."""

import re

import pytest

from flywheel.client import open_client
from flywheel.clock import SystemClock
from flywheel.events import INFERENCES_TOPIC
from flywheel.ingest.consume import IngestConsumer
from flywheel.settings import load_settings
from flywheel.wiring import Platform
from tests.fakes.event_makers import make_event, make_workload
from tests.fakes.workload_file import put_workload


@pytest.fixture
def deployment(tmp_path, monkeypatch):
    """Point the settings at a small deployment whose lake holds twelve answers."""
    workload = make_workload()
    put_workload(tmp_path / "workloads", workload)
    monkeypatch.setenv("FLYWHEEL_HOME", str(tmp_path))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(tmp_path / "workloads"))
    with open_client(client_id="line-1") as client:
        for number in range(12):
            client.send(make_event(number, workload))
    platform = Platform(load_settings())
    ingest = IngestConsumer(platform.log, platform.lake, [workload], SystemClock())
    ingest.run_once(100)
    ingest.close()
    yield platform
    platform.close()


def test_the_blocks_of_the_page_run_in_order(deployment, repository, capsys):
    """Each block continues with the names of those before it."""
    page = (repository / "docs" / "how-to" / "notebook.md").read_text()
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "notebook.md", "exec"), names)  # noqa: S102 - a page of this project

    assert list(names["answers"].columns) == ["output", "answers", "confidence"]
    assert names["answers"]["answers"].sum() == 12
    assert "did you mean 'inferences'?" in capsys.readouterr().out
    assert sum(deployment.log.end_offsets(INFERENCES_TOPIC).values()) == 13


def test_a_platform_says_what_it_is_without_secrets(tmp_path):
    """Home, adapters and number of workloads are shown; addresses with passwords are not."""
    settings = load_settings(
        home=tmp_path, workloads=tmp_path, state_url="postgresql://ann:secret@host/db"
    )
    assert repr(Platform(settings)) == (
        f"Platform(home={str(tmp_path)!r}, profile='embedded', event_log='sqlite', "
        "review_queue='local', train_launcher='subprocess', model_server='local', "
        "state='postgresql', workloads=0)"
    )
