"""`ChatPrompt`: a prompt of turns, which a base model's own chat template writes.

The other form of ``prompt`` is plain text. `flywheel.workload.prompt` renders both.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Field, Tag

from flywheel.workload.answer_values import answer_validator, explain
from flywheel.workload.sections import Strict

if TYPE_CHECKING:
    from flywheel.workload.model import Workload

__all__ = [
    "ChatExample",
    "ChatPrompt",
    "Prompt",
    "instructions_of",
    "problem_of_examples",
    "prompt_length",
    "user_template",
]


class ChatExample(Strict):
    """A worked example: a question of the user and the assistant's answer to it."""

    input: str = Field(description="text that was asked about")
    output: Any = Field(description="the right answer: a label's name, a JSON object, or a text")


class ChatPrompt(Strict):
    """Turns of a chat; the base model's own template makes the text of them."""

    system: str = Field(default="", description="instructions, the system turn; empty: none")
    user: str = Field(
        default="{input}", description="the user's turn; contains {input} exactly once"
    )
    examples: tuple[ChatExample, ...] = Field(
        default=(), description="worked examples, put before the question as turns"
    )


# What a template writes around a turn, generously; the first may bring instructions of its own.
_TURN = 200


def _form(value: Any) -> str:
    return "chat" if isinstance(value, dict | ChatPrompt) else "text"


Prompt = Annotated[
    Annotated[str, Tag("text")] | Annotated[ChatPrompt, Tag("chat")], Discriminator(_form)
]


def user_template(prompt: str | ChatPrompt) -> str:
    """Return the part of a prompt that ``{input}`` stands in."""
    return prompt if isinstance(prompt, str) else prompt.user


def instructions_of(prompt: str | ChatPrompt) -> str:
    """Return everything in a prompt that is not the input, as one text."""
    around = user_template(prompt).replace("{input}", "").strip()
    if isinstance(prompt, str):
        return around
    return "\n\n".join(part for part in (prompt.system.strip(), around) if part)


def prompt_length(prompt: str | ChatPrompt) -> int:
    """Return an upper bound of the tokens that a prompt needs besides the input, in characters."""
    if isinstance(prompt, str):
        return len(prompt)
    turns = [prompt.system, prompt.user]
    turns += [f"{prompt.user}{one.input}{one.output}" for one in prompt.examples]
    return sum(_TURN + len(turn) for turn in turns)


def problem_of_examples(workload: "Workload") -> str | None:
    """Say which example of a workload's prompt has an answer that no model may give, or None.

    A former name of a label is a name still: renaming a label breaks no example.
    """
    examples = workload.prompt.examples if isinstance(workload.prompt, ChatPrompt) else ()
    for index, example in enumerate(examples):
        name, output = workload.label_of(example.output), example.output
        label = workload.taxonomy.find(name) if workload.taxonomy and name is not None else None
        if label is not None:
            output = workload.with_label(output, label.name)
        broken = next(answer_validator(workload.output_schema).iter_errors(output), None)
        if broken is not None:
            return f"prompt.examples.{index}.output: {explain(broken)}"
    return None
