"""Change the taxonomy in a workload file: a new version, comments and order left as they are.

The text is edited in place, at the positions that the YAML parser reports, and checked as a whole
before it is written.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flywheel.errors import ConfigurationError
from flywheel.workload.model import Workload, load_workload, parse_workload
from flywheel.workload.taxonomy import Label, Taxonomy

__all__ = ["add_labels", "fresh_label_id", "write_taxonomy"]

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
    known = {label.id for label in workload.taxonomy.labels}
    version = workload.taxonomy.version + 1
    lines = []
    for name in new:
        if workload.taxonomy.find(name):
            raise ConfigurationError(
                f"{name!r} is the name of a label that was retired or renamed.",
                next_step="choose another name, or bring the label back by hand",
            )
        label_id = fresh_label_id(name, known)
        known.add(label_id)
        lines.append(_entry(label_id, name, version, (descriptions or {}).get(name, "")))
    text = _edited(path.read_text(encoding="utf-8"), version, lines, path)
    changed = parse_workload(yaml.safe_load(text), source=str(path))
    _write(path, text)
    return changed


def write_taxonomy(path: Path, taxonomy: Taxonomy) -> Workload:
    """Write a taxonomy into a workload file, touching what differs alone, and return the workload.

    Args:
        path: the workload file; it is replaced atomically.
        taxonomy: with every label that the file has.

    Raises:
        ConfigurationError: the file is written in a way that cannot be edited.
    """
    text = path.read_text(encoding="utf-8")
    changed = _with_taxonomy(text, load_workload(path), taxonomy, path)
    workload = parse_workload(yaml.safe_load(changed), source=str(path))
    if workload.taxonomy != taxonomy:
        raise _not_editable(path, "taxonomy")
    _write(path, changed)
    return workload


def _with_taxonomy(text: str, workload: Workload, taxonomy: Taxonomy, path: Path) -> str:
    written = {label.id: label for label in workload.taxonomy.labels} if workload.taxonomy else {}
    node = _child(yaml.compose(text, Loader=yaml.SafeLoader), "taxonomy", path)
    labels = _child(node, "labels", path)
    nodes = {str(_child(one, "id", path).value): one for one in labels.value}
    edits: list[_Edit] = []
    new = []
    for label in taxonomy.labels:
        if label.id not in written:
            new.append(_flow(label.model_dump(mode="json", exclude_defaults=True)))
        elif label != written[label.id]:
            edits += _label_edits(text, nodes[label.id], written[label.id], label, path)
    if new:
        edits.append(_added_labels(text, labels, new))
    if workload.taxonomy_version != taxonomy.version:
        edits.append(_raised_version(node, taxonomy.version, path))
    return _applied(text, edits)


def _label_edits(
    text: str, node: yaml.Node, before: Label, after: Label, path: Path
) -> list["_Edit"]:
    edits: list[_Edit] = []
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    added = ""
    for key in new:
        if new[key] == old[key]:
            continue
        if _has(node, key):
            value = _child(node, key, path)
            start, end = value.start_mark.index, value.end_mark.index
            tail = "\n" if text[start:end].endswith("\n") else ""  # of a block scalar
            edits.append((start, end, _flow(new[key]) + tail))
        elif _is_flow(node):
            added += f", {key}: {_flow(new[key])}"
        else:
            added += f"\n{' ' * node.start_mark.column}{key}: {_flow(new[key])}"
    if added:
        last = node.value[-1][1]
        own = len(_own_text(text, node))
        at = last.end_mark.index if _is_flow(node) else node.start_mark.index + own
        edits.append((at, at, added))
    return edits


def _flow(value: Any) -> str:
    written = yaml.safe_dump(
        [value], default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True
    )
    return str(written).strip()[1:-1]


def fresh_label_id(name: str, known: set[str]) -> str:
    """Derive an id from a name that no label ever had."""
    stem = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    stem = stem if stem[:1].isalpha() else f"label_{stem}".rstrip("_")
    candidate, number = stem[:_ID_LENGTH].rstrip("_"), 1
    while candidate in known:
        number += 1
        suffix = f"_{number}"
        candidate = stem[: _ID_LENGTH - len(suffix)].rstrip("_") + suffix
    return candidate


def _entry(label_id: str, name: str, version: int, description: str) -> str:
    values: dict[str, Any] = {"id": label_id, "name": name, "added": version}
    if description:
        values["description"] = description
    text = yaml.safe_dump(values, default_flow_style=True, sort_keys=False, width=10_000)
    return str(text).strip()


def _edited(text: str, version: int, entries: Sequence[str], path: Path) -> str:
    taxonomy = _child(yaml.compose(text, Loader=yaml.SafeLoader), "taxonomy", path)
    labels = _child(taxonomy, "labels", path)
    edits = [_added_labels(text, labels, entries), _raised_version(taxonomy, version, path)]
    return _applied(text, edits)


def _applied(text: str, edits: Sequence["_Edit"]) -> str:
    # From the back to the front, so that earlier positions stay valid.
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


_Edit = tuple[int, int, str]  # start and end in the text, and what comes there


def _added_labels(text: str, labels: yaml.Node, entries: Sequence[str]) -> _Edit:
    last = labels.value[-1]
    if _is_flow(labels):
        end = last.end_mark.index
        return end, end, "".join(f", {entry}" for entry in entries)
    end = last.start_mark.index + len(_own_text(text, last))
    indent = " " * labels.start_mark.column
    return end, end, "".join(f"\n{indent}- {entry}" for entry in entries)


def _raised_version(taxonomy: yaml.Node, version: int, path: Path) -> _Edit:
    if _has(taxonomy, "version"):
        node = _child(taxonomy, "version", path)
        return node.start_mark.index, node.end_mark.index, str(version)
    at = taxonomy.start_mark.index + (1 if _is_flow(taxonomy) else 0)
    separator = ", " if _is_flow(taxonomy) else "\n" + " " * taxonomy.start_mark.column
    return at, at, f"version: {version}{separator}"


def _own_text(text: str, node: yaml.Node) -> str:
    # A block node ends where the next token begins: comments and blank lines before it are not
    # the node's own. A comment behind the node on its last line is.
    kept = text[node.start_mark.index : node.end_mark.index].split("\n")
    while len(kept) > 1 and (not kept[-1].strip() or kept[-1].lstrip().startswith("#")):
        kept.pop()
    own = "\n".join(kept)
    rest = text[node.start_mark.index + len(own) :].split("\n", 1)[0]
    return own + rest if rest.lstrip().startswith("#") else own


def _is_flow(node: yaml.Node) -> bool:
    return bool(getattr(node, "flow_style", False))


def _has(node: yaml.Node, key: str) -> bool:
    return any(name.value == key for name, _ in node.value)


def _child(node: yaml.Node | None, key: str, path: Path) -> yaml.Node:
    for name, value in node.value if node is not None else ():
        if name.value == key:
            return value  # type: ignore[no-any-return]
    raise _not_editable(path, key)


def _not_editable(path: Path, key: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path} states {key} in a way that cannot be edited (an anchor or a merge key).",
        next_step="change the labels by hand and raise the version",
    )


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
