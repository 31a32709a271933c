"""The steps of an answer of vLLM: the log-probability of each token and of the best other one."""

import math
from collections.abc import Mapping
from typing import Any

from flywheel.errors import MeasurementError
from flywheel.serve.margin import Step

__all__ = ["TOP_LOGPROBS", "read_steps"]

# What a request must ask for: the two best tokens of a step, named by id, since two tokens may read
# alike as text.
TOP_LOGPROBS: Mapping[str, Any] = {"logprobs": 2, "return_tokens_as_token_ids": True}
_POSITIVE = 1e-4  # rounding aside, a log-probability is not above zero
# vLLM writes minus infinity, the masked token, as -9999.
_MASKED = -9999.0


def read_steps(choice: Mapping[str, Any]) -> list[Step]:
    """Read the steps of one choice of a completion, one for each of its ``token_ids``.

    Raises:
        MeasurementError: a log-probability is missing or is none.
    """
    tokens, logprobs = choice["token_ids"], choice["logprobs"]
    chosen, tops = logprobs["token_logprobs"], logprobs["top_logprobs"]
    wrong = [value for value in chosen if not (value is not None and value <= _POSITIVE)]
    if wrong or len(chosen) != len(tokens) or len(tops) != len(tokens) or None in tops:
        raise MeasurementError(
            f"vLLM gave {len(chosen)} log-probabilities for {len(tokens)} tokens, "
            f"{len(wrong)} of which are none.",
            next_step="start vLLM with --logprobs-mode processed_logprobs",
        )
    return [
        Step(float(value), _best_other(top, f"token_id:{token}"))
        for token, value, top in zip(tokens, chosen, tops, strict=True)
    ]


def _best_other(top: Mapping[str, float], chosen: str) -> float:
    others = [value for name, value in top.items() if name != chosen and value > _MASKED]
    return max(others, default=-math.inf)
