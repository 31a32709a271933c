"""Token ids of a `Passage`: control and label tokens come out of the owner's spans alone.

A tokenizer cuts its added tokens (``<|im_end|>``, a label's ``[scratch]``) out of any text before
it looks at words, so that a client could end a prompt or answer it. `encode_passages` encodes such
a text again, with the added tokens only where the owner wrote them and plain text between. A text
without an added token gets exactly the ids that its tokenizer gives it.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary, proxy

from flywheel.errors import ConfigurationError
from flywheel.io.records import JsonObject
from flywheel.workload.passage import Passage

__all__ = ["control_tokens", "encode_passages", "padding_token"]


def control_tokens(tokenizer: Any) -> dict[int, str]:
    """Return id and text of every token that no text of a client may become.

    These are the special tokens and all added ones, labels included. Added runs of blanks (GPT-NeoX
    and Gemma have them) control nothing and are ordinary vocabulary.
    """
    added = {id_: str(token.content) for id_, token in tokenizer.added_tokens_decoder.items()}
    special = set(tokenizer.all_special_ids)
    return {
        id_: text
        for id_, text in added.items()
        if id_ in special or (text.strip() and len(text) > 1)
    }


def padding_token(tokenizer: Any) -> str | None:
    """Return the token to pad training rows with; None where every special token has a meaning.

    It is never the end token: what pads is not learnt, and the end of an answer must be.
    """
    framing = {tokenizer.eos_token, tokenizer.bos_token}
    candidates = [tokenizer.pad_token, tokenizer.unk_token, *tokenizer.all_special_tokens]
    return next((str(one) for one in candidates if one and one not in framing), None)


def encode_passages(
    tokenizer: Any, passages: Sequence[Passage], *, framed: bool
) -> list[list[int]]:
    """Return the token ids of each passage.

    Args:
        tokenizer: a fast tokenizer of transformers.
        passages: texts with the spans in which control tokens are allowed.
        framed: add what the base puts around every text, such as a start token; a passage that is
            whole already has it.

    Raises:
        ConfigurationError: The tokenizer cannot write a control token's text as text.
    """
    if not passages:
        return []
    encoder = _encoder(tokenizer)
    rows = encoder.ids([passage.text for passage in passages])
    suspects = [i for i, row in enumerate(rows) if not encoder.controls.keys().isdisjoint(row)]
    if suspects:
        checked = encoder.encode_checked([passages[index] for index in suspects])
        for index, row in zip(suspects, checked, strict=True):
            rows[index] = row
    if not framed:
        return rows
    before, after = encoder.frame
    return [
        row if passage.whole else [*before, *row, *after]
        for passage, row in zip(passages, rows, strict=True)
    ]


class _Encoder:
    """One tokenizer, its control tokens, and a copy of it that has none."""

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.is_fast:
            raise ConfigurationError(
                f"{type(tokenizer).__name__} cannot tell control tokens from text.",
                next_step="choose a base model that has a tokenizer.json (a fast tokenizer)",
            )
        # Encoders are remembered for as long as the tokenizer is referenced elsewhere.
        self._tokenizer: Any = proxy(tokenizer)
        self.controls = control_tokens(tokenizer)
        # Where the unknown token is the end as well (GPT-2's kind), no text may become it at all.
        frame = {tokenizer.eos_token_id, tokenizer.bos_token_id}
        self._unknown = None if tokenizer.unk_token_id in frame else tokenizer.unk_token_id

    @cached_property
    def frame(self) -> tuple[list[int], list[int]]:
        """Token ids that the base puts before and after every text."""
        (text,) = self.ids(["a"])
        token_ids = list(self._tokenizer(["a"])["input_ids"][0])
        starts = range(len(token_ids) - len(text) + 1)
        start = next(i for i in starts if token_ids[i : i + len(text)] == text)
        return token_ids[:start], token_ids[start + len(text) :]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode texts as the tokenizer does, control tokens included."""
        encoded = self._tokenizer(list(texts), add_special_tokens=False, truncation=False)
        return [list(row) for row in encoded["input_ids"]]

    def encode_checked(self, passages: Sequence[Passage]) -> list[list[int]]:
        """Encode passages that hold control tokens, perhaps where none is allowed."""
        token_places = self._places([passage.text for passage in passages])
        return [
            row
            if all(self._allowed(passage, *place) for place in places)
            else self._encode_apart(passage)
            for passage, (row, places) in zip(passages, token_places, strict=True)
        ]

    def _places(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int, int]]]]:
        # For each text its ids, and id, start and end of each control token in it.
        encoded = self._tokenizer(
            list(texts), add_special_tokens=False, truncation=False, return_offsets_mapping=True
        )
        pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        return [
            (
                list(row),
                [
                    (id_, *span)
                    for id_, span in zip(row, spans, strict=True)
                    if id_ in self.controls
                ],
            )
            for row, spans in pairs
        ]

    def _allowed(self, passage: Passage, id_: int, start: int, end: int) -> bool:
        # A character that the vocabulary lacks is unknown, which is not what its name asks for.
        unknown = id_ == self._unknown and passage.text[start:end] != self.controls[id_]
        return unknown or passage.owns(start, end)

    def _encode_apart(self, passage: Passage) -> list[int]:
        # The owner's tokens are looked for in the owner's spans alone: a match that began in
        # a user's text could hold one.
        spans = [passage.text[start:end] for start, end in passage.owned]
        places = [
            (id_, offset + start, offset + end)
            for (offset, _), (_, found) in zip(
                passage.owned, self._places(spans) if spans else [], strict=True
            )
            for id_, start, end in found
        ]
        row: list[int] = []
        done = 0
        for id_, start, end in places:
            row += [*self._plain_ids(passage.text[done:start]), id_]
            done = end
        return row + self._plain_ids(passage.text[done:])

    def _plain_ids(self, text: str) -> list[int]:
        if not text:
            return []
        row = list(self._plain.encode(text, add_special_tokens=False).ids)
        wrong = self.controls.keys() & set(row) - {self._unknown}
        if wrong:
            names = ", ".join(sorted(self.controls[id_] for id_ in wrong))
            raise ConfigurationError(
                f"The base model's tokenizer cannot write {names} as text.",
                next_step="choose another base model; texts of clients would control this one",
            )
        return row

    @cached_property
    def _plain(self) -> Any:
        from tokenizers import Tokenizer

        described = json.loads(self._tokenizer.backend_tokenizer.to_str())
        texts = set(self.controls.values())
        described["added_tokens"] = [
            token for token in described["added_tokens"] if token["content"] not in texts
        ]
        described |= {"post_processor": None, "truncation": None, "padding": None}
        _hide(described["model"], texts)
        return Tokenizer.from_str(json.dumps(described))


def _hide(model: JsonObject, texts: set[str]) -> None:
    # Makes the vocabulary's own entries of control tokens unreachable; every id stays where it is.
    if "merges" in model:
        model["merges"] = [pair for pair in model["merges"] if "".join(pair) not in texts]
    parts = {part for pair in model.get("merges", ()) for part in pair}
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):
        for index, entry in enumerate(vocabulary):
            if entry[0] in texts:
                entry[0] = _unreachable(index)
        return
    for text in texts & vocabulary.keys() - parts:
        index = vocabulary.pop(text)
        hidden = _unreachable(index)
        vocabulary[hidden] = index
        if model.get("unk_token") == text:
            model["unk_token"] = hidden


def _unreachable(index: int) -> str:
    # Longer than any word, with what no normalizer leaves in a text.
    return f"\0\ufffe{index}\ufffe\0" * 16


_ENCODERS: WeakKeyDictionary[Any, _Encoder] = WeakKeyDictionary()


def _encoder(tokenizer: Any) -> _Encoder:
    cached = _ENCODERS.get(tokenizer)
    if cached is None:
        cached = _ENCODERS[tokenizer] = _Encoder(tokenizer)
    return cached
