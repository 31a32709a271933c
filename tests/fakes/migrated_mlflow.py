"""MLflow's empty database as its migrations make it, made once in a process and copied from then on.

Its 68 migrations take a second of a core, and every test that registers a model begins with them.
"""

import functools
import shutil
import tempfile
from pathlib import Path

from flywheel.release import mlflow_calls

__all__ = ["prepare_migrated"]

_prepare = mlflow_calls._prepare_sqlite


def prepare_migrated(path: Path) -> None:
    """Put the migrated database where none is; one that is there is left as it is."""
    if path.exists():
        _prepare(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template(), path)
    _prepare(path)


@functools.cache
def _template() -> Path:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # The folder goes with the process.
    made = Path(_folder().name) / "mlflow.db"
    _prepare(made)
    store = SqlAlchemyStore(f"sqlite:///{made}", str(made.parent / "artifacts"))
    store.engine.dispose()
    return made


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="flywheel-mlflow-")
