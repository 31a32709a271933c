"""Checkpoints that a killed run can be resumed from."""

import json
from pathlib import Path

__all__ = ["FOLDER", "FOLDERS", "PREFERENCE_FOLDER", "SUPERVISED", "last_complete"]

FOLDER = "checkpoints"
PREFERENCE_FOLDER = "preference_checkpoints"
FOLDERS = (FOLDER, PREFERENCE_FOLDER)
SUPERVISED = "supervised"  # what the first stage handed over to the second
_STATE = "trainer_state.json"
_NEEDED = ("adapter_model.safetensors", "adapter_config.json", "optimizer.pt", "scheduler.pt")


def last_complete(out: Path, folder_name: str = FOLDER) -> Path | None:
    """Return the newest checkpoint that was written to its end, or None.

    Writing one is not atomic. Its state file comes last, so one that can be read and that names
    its own step says that everything before it is there.
    """
    checkpoints = [p for p in (out / folder_name).glob("checkpoint-*") if p.name[11:].isdigit()]
    for folder in sorted(checkpoints, key=lambda path: int(path.name[11:]), reverse=True):
        try:
            state = json.loads((folder / _STATE).read_bytes())
        except (OSError, ValueError):
            continue
        is_complete = all((folder / name).is_file() for name in _NEEDED)
        if is_complete and state.get("global_step") == int(folder.name[11:]):
            return folder
    return None
