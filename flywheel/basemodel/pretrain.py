"""Pre-training of the tiny base on unlabelled prompts: next token, and what was read so far.

At the prompt's end, where an answer will start, the model learns to name the words of the input
and to tell the input from others by half of its words (Gao et al. 2021, SimCSE).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Schedule", "pretrain"]

_REPORT_SECONDS = 2.0


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    steps: int
    batch: int
    learning_rate: float
    seed: int


def pretrain(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    schedule: Schedule,
    *,
    answers: Sequence[str],
    on_progress: Callable[[str], None],
) -> None:
    """Train all weights but the rows of the answer tokens, in place."""
    import torch  # noqa: PLC0415 - heavy

    rows = [np.asarray(row) for row in tokenizer(list(prompts))["input_ids"]]
    answer_ids = torch.tensor(tokenizer.convert_tokens_to_ids(list(answers)), dtype=torch.long)
    kept = model.lm_head.weight.detach()[answer_ids].clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=schedule.learning_rate, total_steps=max(schedule.steps, 1), pct_start=0.1
    )
    model.train()
    started = reported = time.perf_counter()
    for step, batch in enumerate(_batches(rows, schedule, tokenizer.pad_token_id), start=1):
        loss = _next_token_loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        with torch.no_grad():
            model.lm_head.weight[answer_ids] = kept
        if time.perf_counter() - reported > _REPORT_SECONDS or step == schedule.steps:
            reported = time.perf_counter()
            on_progress(
                f"pre-training step {step} of {schedule.steps}, loss {loss.item():.2f}, "
                f"{reported - started:.0f} s"
            )
    model.eval()


def _batches(rows: Sequence[Any], schedule: Schedule, pad: int) -> Iterator[Any]:
    import torch  # noqa: PLC0415 - heavy

    random = np.random.default_rng(schedule.seed)
    for _ in range(schedule.steps):
        chosen = random.choice(len(rows), size=min(schedule.batch, len(rows)), replace=False)
        longest = max(len(rows[index]) for index in chosen)
        batch = np.full((len(chosen), longest), pad)
        for place, index in enumerate(chosen):
            batch[place, : len(rows[index])] = rows[index]
        yield torch.from_numpy(batch)


def _next_token_loss(model: Any, batch: Any) -> Any:
    pad = model.config.pad_token_id
    labels = batch.masked_fill(batch == pad, -100)
    return model(input_ids=batch, attention_mask=(batch != pad).long(), labels=labels).loss
