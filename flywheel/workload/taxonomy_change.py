"""Change the taxonomy in a workload file: a new version, and every other line as it was.

The changed text is checked as a whole before it is written.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flywheel.errors import ConfigurationError
from flywheel.io.atomic import write_text
from flywheel.io.yaml_text import YamlText
from flywheel.workload.files import load_workload
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.taxonomy import Taxonomy

__all__ = ["add_labels", "fresh_label_id", "valid_taxonomy", "write_taxonomy"]

_ID_LENGTH = 32


def add_labels(
    path: Path, names: Sequence[str], *, descriptions: Mapping[str, str] | None = None
) -> Workload:
    """Add labels to the taxonomy in a workload file as one new version, and return the workload.

    Args:
        path: the workload file; it is replaced atomically.
        names: names of the new labels, in order; one that is there already is left alone.
        descriptions: what the labels mean, by name.

    Raises:
        ConfigurationError: the workload has no taxonomy, or a name belongs to a retired label.
    """
    workload = load_workload(path)
    if workload.taxonomy is None:
        raise ConfigurationError(
            f"{workload.id} has no taxonomy.", next_step="add `taxonomy` to its file first"
        )
    new = [name for name in dict.fromkeys(names) if name not in workload.taxonomy.names]
    if not new:
        return workload
    used_ids = {label.id for label in workload.taxonomy.labels}
    version = workload.taxonomy.version + 1
    labels = [label.model_dump() for label in workload.taxonomy.labels]
    for name in new:
        if workload.taxonomy.find(name):
            raise ConfigurationError(
                f"{name!r} is the name of a label that was retired or renamed.",
                next_step="choose another name, or bring the label back by hand",
            )
        label_id = fresh_label_id(name, used_ids)
        used_ids.add(label_id)
        description = (descriptions or {}).get(name, "")
        new_label = {"id": label_id, "name": name, "added": version, "description": description}
        labels.append(new_label)
    return write_taxonomy(path, valid_taxonomy({"version": version, "labels": labels}))


def write_taxonomy(path: Path, taxonomy: Taxonomy) -> Workload:
    """Write a taxonomy into a workload file, touching what differs alone, and return the workload.

    Args:
        path: the workload file; it is replaced atomically.
        taxonomy: with every label that the file has.

    Raises:
        ConfigurationError: the file is written in a way that cannot be edited.
    """
    before = load_workload(path)
    text = path.read_bytes().decode()
    changed = _with_taxonomy(text, before, taxonomy, path)
    workload = parse_workload(yaml.safe_load(changed), source=str(path))
    if workload != before.model_copy(update={"taxonomy": taxonomy}):
        raise ConfigurationError(
            f"The taxonomy in {path} is written in a way that cannot be edited.",
            next_step="change the labels by hand and raise the version",
        )
    write_text(path, changed)
    return workload


def _with_taxonomy(text: str, before: Workload, taxonomy: Taxonomy, path: Path) -> str:
    former = {label.id: label for label in before.taxonomy.labels} if before.taxonomy else {}
    document = YamlText(text, source=str(path))
    node = document.root["taxonomy"]
    entries = {str(entry["id"]): entry for entry in node["labels"]}
    for label in taxonomy.labels:
        values = label.model_dump(mode="json")
        if label.id not in former:
            own = label.model_dump(mode="json", exclude_defaults=True)
            document.append(node["labels"], own)
            continue
        old = former[label.id].model_dump(mode="json")
        for key in values:
            if values[key] != old[key]:
                document.put(entries[label.id], key, values[key])
    if before.taxonomy_version != taxonomy.version:
        document.put(node, "version", taxonomy.version, first=True)
    return document.text()


def valid_taxonomy(raw: Mapping[str, Any]) -> Taxonomy:
    """Return a changed taxonomy.

    Raises:
        ConfigurationError: it contradicts itself.
    """
    try:
        return Taxonomy.model_validate(raw)
    except ValidationError as error:
        reasons = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
        raise ConfigurationError(
            f"The change makes no valid taxonomy: {reasons}.", next_step="choose other labels"
        ) from error


def fresh_label_id(name: str, used_ids: set[str]) -> str:
    """Derive an id from a name that no label ever had."""
    stem = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    stem = stem if stem[:1].isalpha() else f"label_{stem}".rstrip("_")
    candidate, number = stem[:_ID_LENGTH].rstrip("_"), 1
    while candidate in used_ids:
        number += 1
        suffix = f"_{number}"
        candidate = stem[: _ID_LENGTH - len(suffix)].rstrip("_") + suffix
    return candidate
