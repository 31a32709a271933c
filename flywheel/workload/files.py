"""`load_workload`: workload files, read from a folder and checked."""

from functools import lru_cache
from pathlib import Path

from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.workload.answer_schema import unsupported
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.yaml_mapping import read_mapping

__all__ = ["load_named_workload", "load_workload", "load_workload_of", "load_workloads"]

# Files whose content was checked before, in this process.
_REMEMBERED_FILES = 1024


def load_workload(path: Path) -> Workload:
    """Read and check one workload file; what it holds is checked again once it has changed."""
    try:
        return _workload_of(path, path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no workload file {path}.", next_step="write one with `flywheel init`"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", next_step="see to it that it is a readable file"
        ) from error


@lru_cache(maxsize=_REMEMBERED_FILES)
def _workload_of(path: Path, content: bytes) -> Workload:
    raw = read_mapping(content, str(path), next_step="write one with `flywheel init`")
    workload = parse_workload(raw, source=str(path))
    _check_schema(workload, str(path))
    return workload


def _check_schema(workload: Workload, source: str) -> None:
    # Of files alone: the snapshot of a cycle that an earlier version opened reads back as it was.
    if workload.form.fields is None:
        return
    lines = unsupported(workload.form.fields)
    if lines:
        raise ConfigurationError(
            f"{source} asks for more than is supported of JSON Schema:\n  " + "\n  ".join(lines),
            next_step="correct the keys named above",
        )


def load_workloads(folder: Path) -> dict[str, Workload]:
    """Read every ``*.yaml`` in a folder, all of which must load.

    A deployment reads its own by `flywheel.workload.folder`, where one file stops no other.
    """
    return {path.stem: load_named_workload(path) for path in sorted(folder.glob("*.yaml"))}


def load_workload_of(folder: Path, workload_id: str) -> Workload:
    """Read the file of one workload in a folder, and no other file."""
    path = folder / f"{workload_id}.yaml"
    # An id that leads elsewhere is not a workload of this folder.
    if path.parent != folder or not path.exists():
        names = ", ".join(sorted(other.stem for other in folder.glob("*.yaml")))
        raise NotFoundError(
            f"There is no workload {workload_id!r} in {folder}.",
            next_step=f"choose one of: {names or 'none yet, see `flywheel init`'}",
        )
    return load_named_workload(path)


def load_named_workload(path: Path) -> Workload:
    """Read a workload file that is named by its workload's id."""
    workload = load_workload(path)
    if path.stem != workload.id:
        raise ConfigurationError(
            f"{path} holds the workload {workload.id!r}.",
            next_step=f"name the file {workload.id}.yaml",
        )
    return workload
