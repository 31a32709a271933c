"""`put_workload`: the file of a workload in a folder, as its owner would have written it."""

from pathlib import Path

import yaml

from flywheel.workload.model import Workload

__all__ = ["put_workload"]


def put_workload(folder: Path, workload: Workload) -> Path:
    """Write the workload's file, with what differs from the defaults; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = workload.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    file = folder / f"{workload.id}.yaml"
    file.write_text(yaml.safe_dump(raw, sort_keys=False))
    return file
