"""What a group of training workers does about those that fail."""

from pathlib import Path

import pytest

from flywheel.errors import ConfigurationError, InterruptedWorkError
from flywheel.ports.train_launcher import EXIT_BAD_DATA, EXIT_INTERRUPTED, EXIT_OUT_OF_MEMORY
from flywheel.train import worker_group
from flywheel.train.checkpoints import FOLDER
from flywheel.train.memory import PLANS
from flywheel.train.worker_group import check_devices, group_exit, train_in_workers


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([1, EXIT_BAD_DATA], EXIT_BAD_DATA),  # the other one fails for want of its neighbor
        ([-15, EXIT_OUT_OF_MEMORY], EXIT_OUT_OF_MEMORY),
        ([1, -9], -9),
        ([-15, -15], EXIT_INTERRUPTED),
        ([EXIT_INTERRUPTED, -15], EXIT_INTERRUPTED),
        ([1, 1], 1),
    ],
)
def test_the_first_cause_is_the_exit_of_the_group(codes: list[int], code: int):
    """Those that end because another one did do not hide it."""
    assert group_exit(codes) == code


@pytest.mark.parametrize(("gpus", "words"), [(2, "2 GPUs"), (None, "3 CPU cores and no GPU")])
def test_more_workers_than_devices_are_refused(gpus: int | None, words: str):
    """Two workers of one GPU would be slower than one."""
    with pytest.raises(ConfigurationError, match=words) as refused:
        check_devices(4, gpus=gpus, cores=3)
    assert "training.workers" in refused.value.next_step


def test_as_many_workers_as_devices_are_allowed():
    """A GPU each, or a core each."""
    check_devices(4, gpus=4, cores=1)
    check_devices(2, gpus=None, cores=2)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch):
    """Let groups end as a test says, without a process."""
    monkeypatch.setattr(worker_group, "check_devices", lambda *_, **__: None)

    def end_with(*endings):
        left = list(endings)
        monkeypatch.setattr(worker_group, "_run_group", lambda *_: left.pop(0)())
        return left

    return end_with


def test_a_lost_worker_is_replaced_twice(
    groups, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """All start again from the last checkpoint; the third loss is the launcher's to judge."""
    (tmp_path / FOLDER).mkdir()
    left = groups(lambda: -9, lambda: -9, lambda: 0)
    assert train_in_workers(tmp_path / "spec.json", tmp_path, 2) == 0
    assert not left
    assert "killed by SIGKILL. All start again from step 0 (try 2 of 3)" in capsys.readouterr().err

    groups(lambda: -9, lambda: -9, lambda: -9)
    with pytest.raises(InterruptedWorkError, match="last of 3 tries"):
        train_in_workers(tmp_path / "spec.json", tmp_path, 2)


def test_short_memory_starts_a_smaller_plan(groups, tmp_path: Path):
    """As often as the plan gets smaller; an interruption that changed no plan ends the group."""

    def smaller(content: str):
        def end() -> int:
            (tmp_path / PLANS).write_text(content)
            return EXIT_INTERRUPTED

        return end

    left = groups(*(smaller(str(number)) for number in range(5)), lambda: EXIT_INTERRUPTED)

    assert train_in_workers(tmp_path / "spec.json", tmp_path, 2) == EXIT_INTERRUPTED
    assert not left


def test_an_error_of_the_data_is_not_tried_again(groups, tmp_path: Path):
    """The same rows would fail again."""
    left = groups(lambda: EXIT_BAD_DATA, lambda: 0)

    assert train_in_workers(tmp_path / "spec.json", tmp_path, 2) == EXIT_BAD_DATA
    assert len(left) == 1
