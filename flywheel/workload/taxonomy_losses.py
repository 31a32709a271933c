"""`taxonomy_losses`: what an edit of a taxonomy would drop, and the command that does it right.

Judgments speak names and point at ids: a name that no longer exists, or an id that is gone,
takes every judgment that used it along.
"""

import shlex
from dataclasses import dataclass

from flywheel.workload.taxonomy import Label, Taxonomy

__all__ = ["TaxonomyLoss", "taxonomy_losses"]


@dataclass(frozen=True)
class TaxonomyLoss:
    """One thing that an edit drops: what it is, and what to run instead."""

    what: str
    command: str


def taxonomy_losses(
    workload_id: str, before: Taxonomy, after: Taxonomy | None
) -> list[TaxonomyLoss]:
    """Compare a taxonomy that judgments were made under with the one that a file states now.

    Args:
        workload_id: for the commands.
        before: the taxonomy that was in force.
        after: the taxonomy of the file, None where it has none.
    """
    if after is None:
        return [TaxonomyLoss("the taxonomy was removed", "put it back into the file")]
    remaining = {label.id: label for label in after.labels}
    losses = [
        loss
        for label in before.labels
        if (loss := _label_loss(workload_id, label, remaining.get(label.id))) is not None
    ]
    if losses:
        return losses
    if after.version < before.version:
        description = f"the version went back from {before.version} to {after.version}"
        return [TaxonomyLoss(description, f"set `version: {before.version + 1}`")]
    if after.version == before.version and _meaning(before) != _meaning(after):
        description = f"labels changed, and the version is still {after.version}"
        return [TaxonomyLoss(description, f"set `version: {before.version + 1}`")]
    return []


def _label_loss(workload_id: str, before: Label, after: Label | None) -> TaxonomyLoss | None:
    name = shlex.quote(before.name)
    if after is None:
        return TaxonomyLoss(
            f"the label {before.name!r} (id {before.id}) was deleted, and its judgments with it",
            f"flywheel taxonomy retire {workload_id} {name}",
        )
    names = {after.name, *after.former_names}
    lost = [one for one in (before.name, *before.former_names) if one not in names]
    if not lost:
        return None
    return TaxonomyLoss(
        f"the label {after.name!r} (id {after.id}) no longer knows its name {lost[0]!r}, under "
        "which judgments were made",
        f"flywheel taxonomy rename {workload_id} {shlex.quote(lost[0])} {shlex.quote(after.name)}",
    )


def _meaning(taxonomy: Taxonomy) -> dict[str, object]:
    return {
        label.id: (label.name, label.retired, label.merged_into, label.split_into)
        for label in taxonomy.labels
    }
