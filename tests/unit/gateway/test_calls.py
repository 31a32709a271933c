"""The call log keeps the file of the day open, and still writes where a reader looks."""

from contextlib import closing
from datetime import timedelta

import pytest

from flywheel.gateway.calls import Call, CallLog, read_calls
from tests.fakes.gateway_world import NOW


def _call(at=NOW):
    return Call(
        at=at, key_id="k1", client_id="line-4", workload_id="parts", inference_id="i",
        release="r1", status=200, milliseconds=3.0, prompt_tokens=7, completion_tokens=2,
        input_digest="d",
    )  # fmt: skip


def test_each_day_has_a_file(tmp_path):
    """Also where an earlier call is written after a later one."""
    following = NOW + timedelta(days=1)
    with closing(CallLog(tmp_path)) as log:
        for at in (NOW, following, NOW):
            log.write(_call(at))
    counts = {file.name: file.read_bytes().count(b"\n") for file in tmp_path.iterdir()}
    assert counts == {f"calls-{NOW:%Y-%m-%d}.jsonl": 2, f"calls-{following:%Y-%m-%d}.jsonl": 1}


@pytest.mark.parametrize("leave", [lambda file: file.unlink(), lambda file: file.rename("old")])
def test_a_file_that_was_moved_or_removed_is_made_again(tmp_path, monkeypatch, leave):
    """A rotation loses no call that is written after it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "calls"
    with closing(CallLog(folder)) as log:
        log.write(_call())
        (file,) = folder.iterdir()
        leave(file)
        log.write(_call())
        log.close()
        log.write(_call())
    assert list(read_calls(folder, NOW.date(), NOW.date())) == [_call(), _call()]


def test_a_line_that_the_disk_cuts_off_is_an_error(tmp_path):
    """The caller hears of it: usage would lack the call."""
    with closing(CallLog(tmp_path)) as log:
        (tmp_path / f"calls-{NOW:%Y-%m-%d}.jsonl").symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            log.write(_call())
