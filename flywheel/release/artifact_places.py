"""`relocate_artifacts`: let an embedded MLflow that was moved name the artifacts beside it.

MLflow stores absolute addresses of artifacts. After a move or a restore they name the former
folder, which may be gone or, worse, another deployment's.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from flywheel.io.sqlite_file import can_write

__all__ = ["relocate_artifacts"]

_ADDRESSES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}


def relocate_artifacts(database: Path, artifacts: Path) -> int:
    """Replace the former folder in every address, and return how many addresses changed.

    Only a database that lies beside its artifacts is changed, and only where the artifacts of the
    experiment came along.

    Args:
        database: MLflow's SQLite file.
        artifacts: absolute folder of the artifacts, in the database's own folder.
    """
    if not database.is_file() or database.parent != artifacts.parent or not can_write(database):
        return 0
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        if not _columns(connection, "experiments"):
            return 0
        rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall()
        new = artifacts.as_uri()
        former = {
            place.removesuffix(f"/{name}")
            for name, place in rows
            if place and place.endswith(f"/mlflow/artifacts/{name}") and (artifacts / name).is_dir()
        }
        return sum(_replace(connection, old, new) for old in former - {new})


def _replace(connection: sqlite3.Connection, old: str, new: str) -> int:
    changed = 0
    for table, columns in _ADDRESSES.items():
        for column in set(columns) & _columns(connection, table):
            changed += connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - constant names
                f"WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old) + 1, f"{old}/"),
            ).rowcount
    return changed


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
