"""The one renderer of prompts, for training rows, the local server and vLLM alike.

A prompt is plain text: no chat template is applied. Prompt and completion are tokenised apart, so
that a model is trained on exactly the ids that it later sees and is asked to continue.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from flywheel.answers import AnswerCodec
from flywheel.errors import ConfigurationError
from flywheel.workload import Workload

__all__ = ["Example", "completion_ids", "prompt_ids", "render_prompt"]


class Example(Protocol):
    """A worked example: an input and its parsed answer."""

    @property
    def input(self) -> str:
        """Text that was asked about."""
        ...

    @property
    def output(self) -> Any:
        """Parsed answer."""
        ...


def render_prompt(
    workload: Workload,
    input: str,  # noqa: A002 - the word of the contract
    shots: Sequence[Example] = (),
    codec: AnswerCodec | None = None,
) -> str:
    """Fill the workload's prompt with ``input``, worked examples before it.

    The text is put in literally: braces in it mean nothing. ``codec`` writes the answers of
    ``shots`` as the base model is to write them, and is needed with shots only.
    """
    before, after = workload.prompt.split("{input}")
    if shots and codec is None:
        raise ConfigurationError(
            "Shots cannot be rendered without the base model's codec.",
            next_step="pass codec=AnswerCodec(workload, surfaces)",
        )
    head = "".join(
        f"{before}{shot.input}{after}{codec.encode(shot.output)}\n" for shot in shots if codec
    )
    return f"{head}{before}{input}{after}"


def prompt_ids(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Tokenise prompts, with the start token where the base model has one."""
    return list(tokenizer(list(prompts), truncation=False)["input_ids"]) if prompts else []


def completion_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokenise answers apart from their prompts, the end token added."""
    if not texts:
        return []
    rows = tokenizer(list(texts), add_special_tokens=False, truncation=False)["input_ids"]
    return [[*row, tokenizer.eos_token_id] for row in rows]
