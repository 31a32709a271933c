"""A whole deployment whose lake moves into a real S3 server, and on from there."""

import json
import shutil

import pytest

from flywheel.deployment.backup import back_up
from flywheel.deployment.restore import restore
from flywheel.errors import RefusedError
from flywheel.settings import load_settings
from flywheel.wiring import Platform

pytestmark = pytest.mark.services("object-store")
_EVENTS = "SELECT * FROM stored.inferences ORDER BY inference_id"


@pytest.fixture
def move(monkeypatch):
    """Return a function that makes another home and lake those of the settings."""

    def run(home, lake=None):
        monkeypatch.setenv("FLYWHEEL_HOME", str(home))
        if lake is None:
            monkeypatch.delenv("FLYWHEEL_LAKE", raising=False)
        else:
            monkeypatch.setenv("FLYWHEEL_LAKE", lake)

    return run


def _events():
    opened = Platform(load_settings())
    try:
        return opened.lake.query(_EVENTS)
    finally:
        opened.close()


def test_a_lake_moves_into_a_bucket_and_back(
    platform, tmp_path, object_lake, move, findings, command
):
    """Restored into a bucket it verifies; backed up there and restored on a disk, it does so again."""
    events = platform.lake.query(_EVENTS)
    assert events.num_rows > 0
    back_up(platform, tmp_path / "first")
    platform.close()
    restore(tmp_path / "first", tmp_path / "remote", lake=object_lake)
    assert not (tmp_path / "remote" / "lake" / "inferences").exists()
    move(tmp_path / "remote", object_lake)
    assert findings() == {}
    assert f"{object_lake}, read by fsspec" in command("doctor").stdout
    assert _events() == events
    again = Platform(load_settings())
    assert any(name.startswith("datasets/") for name in again.artifacts.names())
    assert again.artifacts.unpublished() == []
    shutil.rmtree(tmp_path / "remote" / "datasets")  # the store holds it, and so does the backup
    back_up(again, tmp_path / "second")
    again.close()
    restore(tmp_path / "second", tmp_path / "disk")
    move(tmp_path / "disk")
    assert findings() == {}
    assert _events() == events


def test_a_lake_is_not_restored_over_another(platform, tmp_path, object_lake):
    """A place in the bucket that holds a lake is left alone, and so is the home."""
    back_up(platform, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "one", lake=object_lake)
    with pytest.raises(RefusedError, match="not empty"):
        restore(tmp_path / "backup", tmp_path / "two", lake=object_lake)
    assert not (tmp_path / "two").exists()


def test_the_command_restores_where_the_settings_say(
    platform, tmp_path, object_lake, move, command
):
    """With FLYWHEEL_LAKE set, the lake goes there."""
    back_up(platform, tmp_path / "backup")
    platform.close()
    move(tmp_path / "new", object_lake)
    done = command("restore", str(tmp_path / "backup"), "--home", str(tmp_path / "new"), "--json")
    assert json.loads(done.stdout)["home"] == str(tmp_path / "new")
    assert _events().num_rows > 0
