"""Checkpoints that a killed run can be resumed from."""

import json
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "FOLDER",
    "FOLDERS",
    "PREFERENCE_FOLDER",
    "SUPERVISED",
    "by_step",
    "last_complete",
    "step_of",
]

FOLDER = "checkpoints"
PREFERENCE_FOLDER = "preference_checkpoints"
FOLDERS = (FOLDER, PREFERENCE_FOLDER)
SUPERVISED = "supervised"  # what the first stage handed over to the second
_PREFIX = "checkpoint-"
_STATE = "trainer_state.json"
_NEEDED = ("adapter_model.safetensors", "adapter_config.json", "optimizer.pt", "scheduler.pt")


def step_of(name: str) -> int | None:
    """Return the step in the name of a checkpoint's folder; None where it is another folder."""
    digits = name.removeprefix(_PREFIX)
    return int(digits) if digits != name and digits.isdigit() else None


def by_step(names: Iterable[str]) -> list[str]:
    """Return the names that are those of checkpoints, the oldest step first."""
    steps = {name: step for name in names if (step := step_of(name)) is not None}
    return sorted(steps, key=steps.__getitem__)


def last_complete(out: Path, folder_name: str = FOLDER) -> Path | None:
    """Return the newest checkpoint that was written to its end, or None.

    Writing one is not atomic. Its state file comes last, so one that can be read and that names
    its own step says that everything before it is there.
    """
    names = (path.name for path in (out / folder_name).glob(f"{_PREFIX}*"))
    for name in reversed(by_step(names)):
        folder = out / folder_name / name
        try:
            state = json.loads((folder / _STATE).read_bytes())
        except (OSError, ValueError):
            continue
        is_complete = all((folder / needed).is_file() for needed in _NEEDED)
        if is_complete and state.get("global_step") == step_of(name):
            return folder
    return None
