"""Edits of a taxonomy that keep every judgment: rename, merge, split and retire labels.

Each makes one new version; what it does to the judgments is worked out by
`flywheel.usecases.taxonomy.preview_change`.
"""

from collections.abc import Sequence

from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.workload.taxonomy import Label, Taxonomy
from flywheel.workload.taxonomy_change import fresh_label_id, valid_taxonomy

__all__ = ["merge_labels", "rename_label", "retire_labels", "split_label", "with_lost_label"]

_PARTS = 2


def rename_label(taxonomy: Taxonomy, old: str, new: str) -> Taxonomy:
    """Rename a label; it keeps its former name."""
    label = _active(taxonomy, old)
    former = tuple(name for name in (*label.former_names, label.name) if name != new)
    return _changed(
        taxonomy, {label.id: label.model_copy(update={"name": new, "former_names": former})}
    )


def merge_labels(taxonomy: Taxonomy, names: Sequence[str], into: str) -> Taxonomy:
    """Let a label take over from others: their judgments count for it from now on."""
    heir, version = _active(taxonomy, into), taxonomy.version + 1
    retired = [_active(taxonomy, name) for name in names]
    if heir.id in {label.id for label in retired}:
        raise ConfigurationError(
            f"{heir.name!r} cannot be merged into itself.", next_step="leave it out of the sources"
        )
    update = {"retired": version, "merged_into": heir.id}
    return _changed(taxonomy, {label.id: label.model_copy(update=update) for label in retired})


def split_label(taxonomy: Taxonomy, name: str, into: Sequence[str]) -> Taxonomy:
    """Retire a label whose cases people must divide between two or more; new ones are added."""
    label, version = _active(taxonomy, name), taxonomy.version + 1
    parts = list(dict.fromkeys(into))
    if len(parts) < _PARTS or label.name in parts:
        raise ConfigurationError(
            f"{label.name!r} must be split into two or more other labels.",
            next_step="name them; those that do not exist yet are added",
        )
    used_ids = {one.id for one in taxonomy.labels}
    ids, added = [], []
    for part in parts:
        target = taxonomy.find(part)
        if target is not None:
            ids.append(_active(taxonomy, part).id)
            continue
        ids.append(fresh_label_id(part, used_ids))
        used_ids.add(ids[-1])
        added.append({"id": ids[-1], "name": part, "added": version})
    retired = label.model_copy(update={"retired": version, "split_into": tuple(ids)})
    return _changed(taxonomy, {label.id: retired}, added)


def retire_labels(taxonomy: Taxonomy, names: Sequence[str]) -> Taxonomy:
    """Take labels out of use; their judgments are kept, and set aside from training."""
    update = {"retired": taxonomy.version + 1}
    retired = [_active(taxonomy, name) for name in names]
    return _changed(taxonomy, {label.id: label.model_copy(update=update) for label in retired})


def with_lost_label(taxonomy: Taxonomy, before: Taxonomy | None, names: Sequence[str]) -> Taxonomy:
    """Return a taxonomy in which labels that an edit by hand dropped or renamed are as they were.

    Args:
        taxonomy: what the file states.
        before: what was in force; None: nothing is known.
        names: of the labels that are meant; the others stay as the file has them.
    """
    if before is None:
        return taxonomy
    labels = {label.id: label for label in taxonomy.labels}
    for name in names:
        lost = before.find(name)
        if lost is not None and taxonomy.find(name) is None:
            existing = labels.get(lost.id, lost)
            labels[lost.id] = existing.model_copy(
                update={"name": lost.name, "former_names": lost.former_names}
            )
    version = max(taxonomy.version, before.version)
    return valid_taxonomy(
        {"version": version, "labels": [label.model_dump() for label in labels.values()]}
    )


def _active(taxonomy: Taxonomy, name: str) -> Label:
    label = taxonomy.find(name) or next((one for one in taxonomy.labels if one.id == name), None)
    if label is None or label.retired is not None:
        state = "was retired before" if label is not None else "is not a label"
        raise NotFoundError(
            f"{name!r} {state}.", next_step=f"choose one of: {', '.join(taxonomy.names)}"
        )
    return label


def _changed(
    taxonomy: Taxonomy,
    changes: dict[str, Label],
    added: Sequence[dict[str, object]] = (),
) -> Taxonomy:
    labels = [changes.get(label.id, label).model_dump() for label in taxonomy.labels]
    return valid_taxonomy({"version": taxonomy.version + 1, "labels": [*labels, *added]})
