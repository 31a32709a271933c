"""`YamlText`: a person's YAML file, changed where a program must and nowhere else.

Comments, order, quotes and indentation survive: ruamel.yaml writes the document before and after the
change, and what differs between the two is merged into the text, line by line.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml as pyyaml

from flywheel.errors import ConfigurationError
from flywheel.io.text_merge import merge_texts

__all__ = ["YamlText"]

_UNFOLDED = 1_000_000
_NEXT = "change the file by hand"


class YamlText:
    """The mapping of a YAML text, to be changed through `put` and `append`.

    Args:
        text: as it was read.
        source: names the text in errors.

    Raises:
        ConfigurationError: the text cannot be read as a mapping.
    """

    def __init__(self, text: str, *, source: str) -> None:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._text, self._source = text.replace("\r\n", "\n"), source
        self._yaml = YAML()
        self._yaml.preserve_quotes = True
        self._yaml.width = _UNFOLDED
        try:
            self.root: Any = self._yaml.load(self._text)
        except YAMLError as error:
            raise ConfigurationError(
                f"{source} cannot be edited: {error}", next_step=_NEXT
            ) from error
        if not isinstance(self.root, dict):
            raise ConfigurationError(f"{source} is not a mapping.", next_step=_NEXT)
        self._indent()
        _unalign(self.root)
        self._before = self._written()

    def put(self, mapping: Any, key: str, value: Any, *, first: bool = False) -> None:
        """Set a key; a text keeps the quotes that its former value had.

        Args:
            mapping: of this document.
            key: present or new.
            value: plain values, lists and mappings; they are written on one line.
            first: a new key comes before the others, else after them.
        """
        if key in mapping:
            self._replace(mapping, key, value)
        elif first:
            mapping.insert(0, key, _flow(value))
        else:
            tail = _cut_tail(mapping)
            mapping[key] = _flow(value)
            _set_tail(mapping, key, 2, tail)

    def _replace(self, mapping: Any, key: str, value: Any) -> None:
        former = mapping[key]
        if _grows(mapping, key, value):
            for one in value[len(former) :]:
                self.append(former, one)
            return
        is_last = next(reversed(mapping)) == key
        tail = _cut_tail(mapping) if is_last else ""
        mapping[key] = _like(former, value)
        _set_tail(mapping, key, 2, tail)

    def append(self, sequence: Any, value: Any) -> None:
        """Add an item, written on one line, after the last one of a sequence of this document."""
        tail = _cut_tail(sequence)
        sequence.append(_flow(value))
        _set_tail(sequence, len(sequence) - 1, 0, tail)

    def text(self) -> str:
        """Return the changed text; a line that no change concerns is as it was, byte for byte.

        Raises:
            ConfigurationError: the change cannot be written into this text.
        """
        after = self._written()
        values = _values(after)
        for fine in (True, False):
            text = merge_texts(self._before, self._text, after, fine=fine)
            if values is not None and _values(text) == values:
                return text.replace("\n", self._newline)
        raise ConfigurationError(f"{self._source} cannot be edited.", next_step=_NEXT)

    def _written(self) -> str:
        stream = io.StringIO()
        self._yaml.dump(self.root, stream)
        return stream.getvalue()

    def _indent(self) -> None:
        # As the first block sequence and the first nested mapping have it.
        mapping = sequence = offset = None
        for parent, key, child in _pairs(self.root):
            if child.fa.flow_style() or not child or child.lc.line == parent.lc.key(key)[0]:
                continue
            column, place = parent.lc.key(key)[1], child.lc
            if isinstance(child, Mapping):
                mapping = mapping or place.col - column
            elif sequence is None:
                sequence, offset = place.item(0)[1] - column, place.col - column
        self._yaml.indent(mapping=mapping or 2, sequence=sequence or 4, offset=offset or 0)


def _grows(mapping: Any, key: str, value: Any) -> bool:
    # Whether a list only gets more items. One that other places refer to, or that a merge key
    # brings, is theirs as well.
    former = mapping[key]
    if not isinstance(former, list) or not former or key not in (mapping.lc.data or ()):
        return False
    anchor: Any = getattr(former, "anchor", None)
    return anchor.value is None and list(value[: len(former)]) == former


def _pairs(mapping: Any) -> Iterator[tuple[Any, Any, Any]]:
    for key, child in mapping.items():
        if hasattr(child, "fa"):
            if key in (mapping.lc.data or ()):  # what a merge key brings has its place elsewhere
                yield mapping, key, child
            if isinstance(child, Mapping):
                yield from _pairs(child)


def _unalign(node: Any) -> None:
    # A comment behind a value comes one blank after it, whatever the length of the value: what the
    # person left between them is taken from the text.
    from ruamel.yaml.error import CommentMark

    slot = 2 if isinstance(node, Mapping) else 0
    for tokens in node.ca.items.values():
        if tokens[slot] is not None:
            tokens[slot].start_mark = CommentMark(0)
    for child in node.values() if isinstance(node, Mapping) else node:
        if hasattr(child, "fa"):
            _unalign(child)


def _values(text: str) -> Any:
    try:
        return pyyaml.load(text, Loader=pyyaml.CSafeLoader)
    except pyyaml.YAMLError:
        return None


def _flow(value: Any) -> Any:
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, Mapping):
        mapping = CommentedMap((key, _flow(one)) for key, one in value.items())
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, Sequence) and not isinstance(value, str):
        sequence = CommentedSeq(_flow(one) for one in value)
        sequence.fa.set_flow_style()
        return sequence
    return _plain(value) if isinstance(value, str) else value


def _plain(text: str) -> Any:
    # Flywheel reads YAML 1.1, in which `no` and `1:30` are not texts; ruamel.yaml writes 1.2.
    from ruamel.yaml.scalarstring import SingleQuotedScalarString

    is_text = text == text.strip() and _values(f"[{text}]") == [text]
    return text if is_text else SingleQuotedScalarString(text)


def _like(former: Any, value: Any) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

    if isinstance(value, str) and isinstance(
        former, DoubleQuotedScalarString | SingleQuotedScalarString
    ):
        return type(former)(value)
    return _flow(value)


def _cut_tail(node: Any) -> str:
    """Take the comments and blank lines behind a node's last entry, without those on its line."""
    last = next(reversed(node)) if isinstance(node, Mapping) else len(node) - 1
    value = node[last]
    if getattr(value, "fa", None) is not None and not value.fa.flow_style() and value:
        return _cut_tail(value)
    tokens = [*(node.ca.items.get(last) or ()), getattr(value, "comment", None)]
    for token in reversed(tokens):
        text = getattr(token, "value", None)
        if text and "\n" in text:
            own, _, tail = text.partition("\n")
            token.value = own + "\n"
            return str(tail)
    return ""


def _set_tail(node: Any, key: Any, slot: int, tail: str) -> None:
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    if not tail:
        return
    items = node.ca.items.setdefault(key, [None] * 4)
    if items[slot] is None:
        items[slot] = CommentToken("\n", CommentMark(0), None)
    items[slot].value += tail
