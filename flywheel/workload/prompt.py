"""The one renderer of prompts, for training rows, the local server and vLLM alike.

A prompt is plain text, or the turns of a chat that the base model's own template writes. Prompt and
completion are tokenized apart, so that a model is trained on exactly the ids that it later sees and
is asked to continue. Only the workload's own template and answers, and the base's template, may
hold control and label tokens; inputs stay text.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from flywheel.errors import ConfigurationError
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.chat_prompt import ChatPrompt, user_template
from flywheel.workload.conversation import Speech, alternating, read_thread, write_thread
from flywheel.workload.model import Workload
from flywheel.workload.passage import Passage, join_passages, owned, quoted
from flywheel.workload.tokenization import encode_passages
from flywheel.workload.turns import Turn, render_turns

__all__ = [
    "Example",
    "completion_ids",
    "input_ids",
    "parse_prompt",
    "prompt_ids",
    "render_prompt",
    "stored_prompt",
]

# A prompt as rows of a dataset hold it: text, or messages.
StoredPrompt = str | list[dict[str, str]]


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
    *,
    tokenizer: Any = None,
) -> Passage:
    """Fill the workload's prompt with ``input``, worked examples before it.

    The text is put in literally: braces in it mean nothing. ``codec`` writes the answers of
    ``shots`` and of a chat's examples as the base model is to write them; ``tokenizer`` holds the
    template of a chat. A plain prompt without shots needs neither.
    """
    if not isinstance(workload.prompt, str):
        return _render_chat(workload, workload.prompt, input, shots, codec, tokenizer)
    before, after = workload.prompt.split("{input}")
    parts = [
        part
        for shot in shots
        for part in (
            owned(before),
            quoted(shot.input),
            owned(after),
            _codec(codec).passage(shot.output),
            owned("\n"),
        )
    ]
    return join_passages([*parts, owned(before), quoted(input), owned(after)])


def stored_prompt(
    workload: Workload,
    input: str,  # noqa: A002 - the word of the contract
    write: Callable[[Any], str],
) -> StoredPrompt:
    """Return a prompt as rows of a dataset hold it, whichever base is trained on them.

    Args:
        workload: whose prompt it is.
        input: the text that was asked about.
        write: writes the answers of a chat's examples.
    """
    prompt = workload.prompt
    if isinstance(prompt, str):
        return render_prompt(workload, input).text
    turns = _turns(workload, prompt, input, prompt.examples, lambda output: quoted(write(output)))
    return [{"role": turn.role, "content": turn.content.text} for turn in turns]


def parse_prompt(
    workload: Workload,
    prompt: str | Sequence[Mapping[str, Any]],
    codec: AnswerCodec | None = None,
    *,
    tokenizer: Any = None,
) -> Passage:
    """Find the input in a prompt that was rendered without shots and stored; render it again.

    A plain prompt of another template is taken as text throughout: no control token comes out of
    it. A chat of another template is refused.

    Raises:
        TypeError: the prompt was stored in the other form.
        ValueError: the last turn of a chat is not the workload's.
    """
    is_chat = not isinstance(workload.prompt, str)
    if is_chat == isinstance(prompt, str):
        msg = f"a prompt of {workload.id} is stored as {'a chat' if is_chat else 'text'}"
        raise TypeError(msg)
    content = prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
    before, after = user_template(workload.prompt).split("{input}")
    end = len(content) - len(after)
    if not (content.startswith(before) and content.endswith(after) and len(before) <= end):
        if is_chat:
            msg = f"the last turn of a stored prompt is not that of {workload.id}"
            raise ValueError(msg)
        return quoted(content)
    text = content[len(before) : end]
    if not isinstance(workload.prompt, str) and workload.input == "conversation":
        earlier = prompt[_fixed_turns(workload, workload.prompt) : -1]
        turns = [Speech(one["role"], one["content"]) for one in earlier if isinstance(one, Mapping)]
        text = write_thread([*turns, Speech("user", text)])
    return render_prompt(workload, text, (), codec, tokenizer=tokenizer)


def input_ids(
    tokenizer: Any,
    codec: AnswerCodec,
    inputs: Sequence[str],
    shots: Sequence[Example] | Callable[[str], Sequence[Example]] = (),
) -> list[list[int]]:
    """Render and tokenize the prompts of inputs, as a server is to read them.

    ``shots`` are the worked examples of every input, or choose those of one.
    """
    prompts = [
        render_prompt(
            codec.workload,
            text,
            shots(text) if callable(shots) else shots,
            codec,
            tokenizer=tokenizer,
        )
        for text in inputs
    ]
    return prompt_ids(tokenizer, prompts)


def prompt_ids(tokenizer: Any, prompts: Sequence[Passage]) -> list[list[int]]:
    """Tokenize prompts, with the start token where the base model has one."""
    return encode_passages(tokenizer, prompts, framed=True)


def completion_ids(tokenizer: Any, answers: Sequence[Passage]) -> list[list[int]]:
    """Tokenize answers apart from their prompts, the end token added."""
    rows = encode_passages(tokenizer, answers, framed=False)
    return [[*row, tokenizer.eos_token_id] for row in rows]


def _render_chat(
    workload: Workload,
    prompt: ChatPrompt,
    text: str,
    shots: Sequence[Example],
    codec: AnswerCodec | None,
    tokenizer: Any,
) -> Passage:
    if tokenizer is None:
        raise ConfigurationError(
            "A chat cannot be rendered without the base model's tokenizer.",
            next_step="pass tokenizer=",
        )
    examples = (*prompt.examples, *shots)
    turns = _turns(workload, prompt, text, examples, lambda output: _codec(codec).passage(output))
    return render_turns(tokenizer, turns)


def _turns(
    workload: Workload,
    prompt: ChatPrompt,
    text: str,
    examples: Sequence[Example],
    write: Callable[[Any], Passage],
) -> list[Turn]:
    turns = [Turn("system", owned(prompt.system))] if prompt.system else []
    for example in examples:
        turns += _question(workload, prompt, example.input)
        turns.append(Turn("assistant", write(example.output)))
    return [*turns, *_question(workload, prompt, text)]


def _question(workload: Workload, prompt: ChatPrompt, text: str) -> list[Turn]:
    # The last turn of a conversation stands in the workload's own words, the earlier ones alone.
    if workload.input == "last_user":
        return [Turn("user", _asked(prompt, text))]
    *earlier, last = alternating(read_thread(text))
    turns = [Turn(one.speaker, quoted(one.text)) for one in earlier]
    return [*turns, Turn("user", _asked(prompt, last.text))]


def _fixed_turns(workload: Workload, prompt: ChatPrompt) -> int:
    # Messages of a stored prompt before the conversation that was asked about.
    return len(_turns(workload, prompt, "", prompt.examples, lambda _: quoted(""))) - 1


def _asked(prompt: ChatPrompt, text: str) -> Passage:
    before, after = prompt.user.split("{input}")
    return join_passages([owned(before), quoted(text), owned(after)])


def _codec(codec: AnswerCodec | None) -> AnswerCodec:
    if codec is None:
        raise ConfigurationError(
            "Examples cannot be rendered without the base model's codec.",
            next_step="pass codec=AnswerCodec(workload, surfaces)",
        )
    return codec
