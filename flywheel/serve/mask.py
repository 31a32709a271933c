"""Which tokens may come next: llguidance's mask over the workload's answers, remembered by path.

There is one meaning of the mask, llguidance's own, and nothing is computed beside it: every token
that continues an allowed answer, the end token where an answer is complete, and one token alone
where the text is forced. vLLM with ``guidance`` as its structured-output backend applies the same.
Answers of a closed task walk few paths, so that almost every look-up is a dictionary's.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from flywheel.errors import ConfigurationError
from flywheel.workload.answers import AnswerCodec, canonical_json

__all__ = ["AnswerMask", "MaskNode", "grammar_of"]

Tokens = npt.NDArray[np.int64]
_REMEMBERED = 20_000
_SHOWN_CHARACTERS = 500


@dataclass
class MaskNode:
    """A point inside an answer: what may come next; all nodes of a ``group`` allow the same."""

    path: tuple[int, ...]
    allowed: Tokens
    matcher: Any
    group: Hashable
    next: dict[int, "MaskNode"] = field(default_factory=dict)

    @property
    def forced(self) -> int | None:
        """The only token that may come next, if there is one only."""
        return int(self.allowed[0]) if len(self.allowed) == 1 else None


class AnswerMask:
    """The mask of one workload's answers under one tokenizer."""

    def __init__(self, codec: AnswerCodec, ll_tokenizer: Any, vocabulary: int) -> None:
        from llguidance import LLMatcher

        self._vocabulary = vocabulary
        matcher = LLMatcher(ll_tokenizer, grammar_of(codec))
        if matcher.is_error():
            raise ConfigurationError(
                f"No mask can be made for {codec.workload.id}: "
                f"{matcher.get_error()[:_SHOWN_CHARACTERS]}",
                next_step="simplify the workload's JSON schema",
            )
        self._count = 0
        # Texts walk paths of their own, but nearly all of their steps allow the same tokens.
        self._shared: dict[bytes, Tokens] | None = {} if codec.pattern is not None else None
        self.root = self._node((), matcher)

    def after(self, node: MaskNode, token: int) -> MaskNode:
        """Step from ``node`` over an allowed token."""
        successor = node.next.get(token)
        if successor is not None:
            return successor
        matcher = node.matcher.deep_copy()
        if not matcher.consume_token(token):
            error = matcher.get_error()[:_SHOWN_CHARACTERS]  # it quotes the whole grammar
            msg = f"token {token} is not allowed after {node.path}: {error}"
            raise AssertionError(msg)
        created = self._node((*node.path, token), matcher)
        # Answers with free text walk ever new paths: forget them before they fill the memory.
        if self._count > _REMEMBERED:
            self.root.next.clear()
            self._count = 0
            if self._shared is not None:
                self._shared.clear()
        node.next[token] = created
        return created

    def _node(self, path: tuple[int, ...], matcher: Any) -> MaskNode:
        from llguidance.numpy import (
            allocate_token_bitmask,
            fill_next_token_bitmask,
        )

        self._count += 1
        bits = allocate_token_bitmask(1, self._vocabulary)
        fill_next_token_bitmask(matcher, bits)
        if self._shared is None:
            return MaskNode(path, self._tokens(bits), matcher, path)
        key = bits.tobytes()
        if key not in self._shared:
            self._shared[key] = self._tokens(bits)
        return MaskNode(path, self._shared[key], matcher, key)

    def _tokens(self, bits: Any) -> Tokens:
        flags = np.unpackbits(bits.view(np.uint8), bitorder="little")[: self._vocabulary]
        return np.flatnonzero(flags).astype(np.int64)


def grammar_of(codec: AnswerCodec) -> str:
    """Write the grammar of all allowed answers: a pattern, a choice, or compact JSON."""
    from llguidance import LLMatcher

    if codec.pattern is not None:
        return str(LLMatcher.grammar_from_regex(codec.pattern))
    if codec.workload.form.fields is None:
        choice = " | ".join(canonical_json(text) for text in codec.choices)
        # One lexeme, so that thousands of labels are one automaton: as alternatives of a rule, a
        # parser's row each, they have a bound of 2,000.
        return str(LLMatcher.grammar_from_lark(f"start: CHOICE\nCHOICE: {choice}"))
    compact: Any = {"whitespace_flexible": False}
    return str(LLMatcher.grammar_from_json_schema(codec.schema, overrides=compact))
