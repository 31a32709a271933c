"""Greedy decoding of a batch under a mask, with a key-value cache and free forced tokens.

A token that the mask forces has probability one, so it is fed along with the next token that has
to be chosen, and costs no pass of its own. Rows are padded on the right and holes in the cache are
masked, so that every row keeps its own positions.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flywheel.artifacts.output_scores import output_scores
from flywheel.serve.margin import Step
from flywheel.serve.mask import AnswerMask, MaskNode

__all__ = ["Decoded", "decode_batch"]

_PAD = 0  # any token: padding is masked
_FORCED = Step(0.0, -math.inf)


@dataclass
class Decoded:
    """Tokens of one answer, without the end token, and the steps under the mask, with it."""

    tokens: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    complete: bool = False


@dataclass
class _Row:
    node: MaskNode
    length: int  # tokens in the cache, or about to be
    pending: list[int]
    answer: Decoded


class _Cache:
    """What the model has read so far; columns are aligned over rows, holes are masked."""

    def __init__(self, model: Any, rows: int, head: Any, head_tokens: int) -> None:
        import copy

        import torch
        from transformers import DynamicCache

        self._model = model
        self._keys = DynamicCache(config=model.config) if head is None else copy.deepcopy(head)
        if head is not None:
            self._keys.batch_repeat_interleave(rows)
        self._seen = torch.ones((rows, head_tokens), dtype=torch.long)

    def read(self, tokens: Sequence[Sequence[int]], starts: Sequence[int]) -> Any:
        """Read each row's tokens and return the hidden state after its last one."""
        import torch

        longest = max(1, *(len(row) for row in tokens))
        ids = torch.tensor([[*row, *[_PAD] * (longest - len(row))] for row in tokens])
        lengths = torch.tensor([len(row) for row in tokens])
        columns = torch.arange(longest)
        attention = (columns[None, :] < lengths[:, None]).long()
        self._seen = torch.cat([self._seen, attention], dim=1)
        hidden = self._model.model(
            input_ids=ids,
            attention_mask=self._seen,
            position_ids=torch.tensor(starts)[:, None] + columns[None, :],
            past_key_values=self._keys,
            use_cache=True,
        ).last_hidden_state
        return hidden[torch.arange(len(tokens)), (lengths - 1).clamp(min=0)]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the rows."""
        import torch

        index = torch.tensor(rows)
        self._keys.batch_select_indices(index)
        self._seen = self._seen[index]


def decode_batch(
    model: Any,
    mask: AnswerMask,
    prompts: Sequence[Sequence[int]],
    *,
    end: int,
    limit: int,
    head: Any = None,
    head_tokens: int = 0,
) -> list[Decoded]:
    """Decode each prompt's answer, at each step the likeliest of the allowed tokens.

    Args:
        model: a causal language model of transformers.
        mask: what may be answered.
        prompts: token ids, after the shared head.
        end: the end token, which counts as a step of the answer.
        limit: most tokens of an answer; a longer one stays incomplete.
        head: key-value cache of the tokens that all prompts share, if any.
        head_tokens: number of those tokens.
    """
    answers = [Decoded() for _ in prompts]
    rows = [
        _Row(mask.root, head_tokens, list(prompt), answer)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    cache = _Cache(model, len(rows), head, head_tokens)
    while rows:
        going = [index for index, row in enumerate(rows) if _run_ahead(row, mask, end, limit)]
        if len(going) < len(rows):
            rows = [rows[index] for index in going]
            if not rows:
                break
            cache.keep(going)
        hidden = cache.read([r.pending for r in rows], [r.length for r in rows])
        for row in rows:
            row.length += len(row.pending)
            row.pending = []
        _choose(rows, hidden, model, mask, end)
    return answers


def _run_ahead(row: _Row, mask: AnswerMask, end: int, limit: int) -> bool:
    # Takes forced tokens until there is a choice; False when the answer is over.
    while not row.answer.complete and len(row.answer.tokens) < limit:
        token = row.node.forced
        if token is None:
            return True
        _take(row, token, _FORCED, mask, end)
    return False


def _take(row: _Row, token: int, step: Step, mask: AnswerMask, end: int) -> None:
    row.answer.steps.append(step)
    if token == end:
        row.answer.complete = True
        return
    row.answer.tokens.append(token)
    row.pending.append(token)
    row.node = mask.after(row.node, token)


def _choose(rows: Sequence[_Row], hidden: Any, model: Any, mask: AnswerMask, end: int) -> None:
    # Rows that stand at the same point of the mask are decided together, and only the tokens
    # that are allowed there are scored: the rest of the vocabulary is most of a small model.
    import torch

    together: dict[Hashable, list[int]] = {}
    for index, row in enumerate(rows):
        together.setdefault(row.node.group, []).append(index)
    for indices in together.values():
        node = rows[indices[0]].node
        allowed = node.allowed
        products = _products(model, hidden[torch.tensor(indices)], node)
        scores = output_scores(model.config, products)
        chances = torch.log_softmax(scores.double(), dim=1)
        best_chances, best = chances.max(dim=1)
        others = chances.scatter(1, best[:, None], -math.inf).max(dim=1).values
        decided = (np.asarray(column) for column in (best_chances, others, best))
        for index, chance, other, choice in zip(indices, *decided, strict=True):
            step = Step(float(chance), float(other))
            _take(rows[index], int(allowed[choice]), step, mask, end)


def _products(model: Any, hidden: Any, node: MaskNode) -> Any:
    # A text may go on with nearly every token: the whole head is one product in its own precision,
    # where a copy of most of its rows at each step would take longer than the model itself.
    import torch

    allowed = torch.from_numpy(node.allowed)
    weight = model.lm_head.weight
    if node.group == node.path or 2 * len(allowed) < len(weight):
        return hidden.float() @ weight[allowed].float().T
    return torch.nn.functional.linear(hidden.to(weight.dtype), weight)[:, allowed].float()
