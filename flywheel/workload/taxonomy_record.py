"""The taxonomy that a deployment's judgments were made under: `TaxonomyRecords`.

A file per workload in the deployment's home. Every reader of a workload file compares with it, so
that an edit which would drop judgments is refused before anything is read under it.
"""

import errno
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from flywheel.errors import ConfigurationError, IntegrityError
from flywheel.io.atomic import write_text
from flywheel.workload.model import Workload
from flywheel.workload.taxonomy import Taxonomy
from flywheel.workload.taxonomy_losses import taxonomy_losses

__all__ = ["TaxonomyRecords"]

# A home that may only be looked at, such as a copy for an audit.
_READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class TaxonomyRecords:
    """Read, check and write the records of one deployment.

    Args:
        folder: of the records.
        is_judged: says whether anything of a workload was asked or judged; until then its taxonomy
            can be edited freely.
    """

    def __init__(self, folder: Path, is_judged: Callable[[str], bool]) -> None:
        self._folder = folder
        self._is_judged = is_judged

    def check(self, workload: Workload) -> None:
        """Accept the workload's taxonomy, and take it as the one in force.

        Raises:
            ConfigurationError: it would drop judgments; the error names the command that does it
                right.
            IntegrityError: the record is damaged.
        """
        now = workload.taxonomy
        before = self.of(workload.id)
        if before == now:
            return
        if before is not None and self._is_judged(workload.id):
            losses = taxonomy_losses(workload.id, before, now)
            if losses:
                raise ConfigurationError(
                    f"The taxonomy of {workload.id} would drop judgments: "
                    f"{'; '.join(loss.what for loss in losses)}.",
                    next_step="undo the edit, or let the command make it: "
                    + "; ".join(loss.command for loss in losses),
                )
        if now is not None:
            self._write(workload.id, now)

    def of(self, workload_id: str) -> Taxonomy | None:
        """Return the taxonomy in force, None where none was recorded."""
        path = self._path(workload_id)
        try:
            return Taxonomy.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValidationError, OSError) as error:
            problem = (
                error.strerror if isinstance(error, OSError) else f"{error.error_count()} errors"
            )
            raise IntegrityError(
                f"The record {path} of a taxonomy is damaged: {problem}.",
                next_step="restore it from a backup; or delete it, which takes the taxonomy of the "
                "workload file as the one in force",
            ) from error

    def _write(self, workload_id: str, taxonomy: Taxonomy) -> None:
        path = self._path(workload_id)
        try:
            write_text(path, taxonomy.model_dump_json(indent=1))
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise

    def _path(self, workload_id: str) -> Path:
        return self._folder / f"{workload_id}.json"
