"""`completion_body` and `constraint_of`: what a request to vLLM asks for."""

import re

from flywheel.io.records import JsonObject
from flywheel.serve.vllm_steps import TOP_LOGPROBS
from flywheel.workload.answers import AnswerCodec, canonical_json

__all__ = ["completion_body", "constraint_of"]

# guidance makes each choice an alternative of a rule, of which it takes 2,000 at most.
_MOST_CHOICES = 1_500


def completion_body(model: str, limit: int) -> JsonObject:
    """Return the part that all requests share: the model, and at most ``limit`` tokens."""
    return {
        "model": model,
        "max_tokens": limit,
        "temperature": 0,
        "return_token_ids": True,
        **TOP_LOGPROBS,
    }


def constraint_of(codec: AnswerCodec) -> JsonObject:
    """Return the part that holds an answer to the workload's mask."""
    # The grammars of ``mask.grammar_of``, as vLLM's guidance backend makes them.
    if codec.pattern is not None:
        return {"structured_outputs": {"regex": codec.pattern}}
    if codec.workload.form.fields is None:
        choices = codec.choices
        if len(choices) > _MOST_CHOICES:
            return {"structured_outputs": {"regex": "|".join(map(re.escape, choices))}}
        return {"structured_outputs": {"choice": choices}}
    compact = {"x-guidance": {"whitespace_flexible": False}}
    return {"structured_outputs": {"json": canonical_json(codec.schema | compact)}}
