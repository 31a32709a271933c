"""`plan_edit`, `apply_edit` and `add_workload_labels`: an edit of a taxonomy, previewed and written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flywheel.errors import ConfigurationError
from flywheel.settings import Settings
from flywheel.usecases.taxonomy import TaxonomyPreview, preview_change
from flywheel.wiring import Platform
from flywheel.workload.files import load_named_workload
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.taxonomy import Taxonomy
from flywheel.workload.taxonomy_change import add_labels, write_taxonomy
from flywheel.workload.taxonomy_edits import with_lost_label
from flywheel.workload.taxonomy_losses import TaxonomyLoss, taxonomy_losses

__all__ = ["PlannedEdit", "add_workload_labels", "apply_edit", "plan_edit"]


@dataclass(frozen=True)
class PlannedEdit:
    """An edit that is not written yet: the file, both versions, and what it does.

    ``losses`` are what the file lacks all the same, so that it is still refused afterwards.
    """

    path: Path
    workload_id: str
    before: int
    taxonomy: Taxonomy
    preview: TaxonomyPreview
    losses: Sequence[TaxonomyLoss]


def plan_edit(
    platform: Platform,
    workload_id: str,
    names: Sequence[str],
    edit: Callable[[Taxonomy], Taxonomy],
) -> PlannedEdit:
    """Work out what an edit does to judgments, golden set, queue and open cycle.

    Args:
        platform: holds the file and what was judged.
        workload_id: whose taxonomy it is.
        names: the labels that the edit speaks of.
        edit: returns the changed taxonomy.

    Raises:
        ConfigurationError: the workload has no taxonomy, or the edit cannot be made.
    """
    path = _file(platform.settings, workload_id)
    # As the file is: it may hold the very edit that this one makes good.
    workload = load_named_workload(path)
    if workload.taxonomy is None:
        raise ConfigurationError(
            f"{workload_id} has no taxonomy.", next_step="add `taxonomy` to its file first"
        )
    in_force = platform.taxonomies.of(workload_id) or workload.taxonomy
    changed = edit(with_lost_label(workload.taxonomy, in_force, names))
    return PlannedEdit(
        path,
        workload_id,
        in_force.version,
        changed,
        preview_change(platform, _under(workload, in_force), _under(workload, changed)),
        taxonomy_losses(workload_id, in_force, changed),
    )


def apply_edit(platform: Platform, edit: PlannedEdit) -> bool:
    """Write an edit into the workload's file; return whether the file loads now."""
    workload = write_taxonomy(edit.path, edit.taxonomy)
    if edit.losses:
        return False
    platform.taxonomies.check(workload)
    return True


def add_workload_labels(settings: Settings, workload_id: str, names: Sequence[str]) -> Workload:
    """Add labels as one new version of the taxonomy, and return the workload.

    Raises:
        ConfigurationError: the workload has no taxonomy, or a name belongs to a retired label.
    """
    return add_labels(_file(settings, workload_id), names)


def _file(settings: Settings, workload_id: str) -> Path:
    return settings.workload_folder / f"{workload_id}.yaml"


def _under(workload: Workload, taxonomy: Taxonomy) -> Workload:
    raw = workload.model_dump(mode="json", by_alias=True)
    return parse_workload(raw | {"taxonomy": taxonomy.model_dump()}, source=workload.id)
