"""`ask_texts`: what a release of a workload answers to some texts, with the runner-up of each.

Nothing is recorded: this is a person's look at a release, not traffic.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flywheel.errors import DataError, NotFoundError
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.usecases.cycle import codec_of
from flywheel.workload.conversation import input_length, plain_input

if TYPE_CHECKING:
    from flywheel.ports.model_server import Answer
    from flywheel.state import Release
    from flywheel.wiring import Platform
    from flywheel.workload.answers import AnswerCodec
    from flywheel.workload.model import Workload

__all__ = [
    "Reply",
    "ask_texts",
    "named_release",
    "open_answerer",
]

Ask = Callable[["AnswerCodec", Sequence[str]], "list[Answer]"]


@dataclass(frozen=True)
class Reply:
    """One text and what was answered.

    ``runner_up`` is the label that the release would have given had it not been for its answer;
    None for a task without labels. ``runner_up_confidence`` is an upper bound of its probability,
    exact where an answer is one token. ``fields`` is the confidence in each field of an extraction.
    ``output`` is None where ``error`` says why.
    """

    input: str
    output: Any = None
    text: str | None = None
    confidence: float | None = None
    margin: float | None = None
    runner_up: str | None = None
    runner_up_confidence: float | None = None
    seconds: float | None = None
    error: str | None = None
    fields: Mapping[str, float] | None = None


def _loaded_release(platform: "Platform", workload: "Workload", name: str | None) -> str:
    """Return the release that answers, loaded on the server: ``name``, or else the champion.

    Raises:
        NotFoundError: The workload has no such release.
        IntegrityError: Its adapter was changed.
    """
    from flywheel.release.adapter_files import checked_adapter
    from flywheel.release.serving import load_champion

    if name is None:
        return load_champion(platform.state, platform.server(workload), workload.id)
    if name != BASE_RELEASE:
        release = named_release(platform, workload, name)
        server = platform.server(workload)
        if name not in server.releases():
            server.load(name, checked_adapter(release))
    return name


def named_release(platform: "Platform", workload: "Workload", name: str) -> "Release":
    """Return a release of a workload.

    Raises:
        NotFoundError: The workload has no such release; the error names those that it has.
    """
    releases = {release.release: release for release in platform.state.releases.of(workload.id)}
    if name not in releases:
        raise NotFoundError(
            f"{workload.id} has no release {name!r}.",
            next_step=f"choose one of: {', '.join([BASE_RELEASE, *releases])}",
        )
    return releases[name]


def open_answerer(
    platform: "Platform", workload: "Workload", name: str | None = None
) -> "tuple[str, Callable[[Sequence[str]], list[Reply]]]":
    """Return the release that answers, and a function that answers texts with it.

    Raises:
        NotFoundError: The workload has no such release.
        IntegrityError: Its adapter was changed.
    """
    codec = codec_of(platform, workload)
    release = _loaded_release(platform, workload, name)
    server = platform.server(workload)
    return release, lambda inputs: ask_texts(codec, partial(server.answer, release), inputs)


def ask_texts(codec: "AnswerCodec", ask: Ask, inputs: Sequence[str]) -> list[Reply]:
    """Answer every text, in order; one that cannot be answered has an error and stops no other.

    Args:
        codec: of the workload on its base model.
        ask: answers texts with one release under a codec.
        inputs: texts.
    """
    limits, form = codec.workload.limits, codec.workload.input
    inputs = [plain_input(form, text, limits.input_characters) for text in inputs]
    replies: list[Reply | None] = [_refused(codec, text) for text in inputs]
    open_ = [index for index, reply in enumerate(replies) if reply is None]
    answers: list[Answer] = []
    while open_:
        try:
            answers = ask(codec, [inputs[index] for index in open_])
            break
        except DataError as error:
            # A text that does not fit the context is set aside; without a place, none is to blame.
            place = error.facts.get("index")
            if not isinstance(place, int):
                raise
            index = open_.pop(place)
            replies[index] = Reply(inputs[index], error=error.message)
    seconds = _runner_ups(codec, ask, [inputs[index] for index in open_], answers)
    for index, answer, second in zip(open_, answers, seconds, strict=True):
        replies[index] = _reply(inputs[index], answer, second)
    return [reply for reply in replies if reply is not None]


def _runner_ups(
    codec: "AnswerCodec", ask: Ask, inputs: Sequence[str], answers: Sequence["Answer"]
) -> list[str | None]:
    """Return the label of each second best answer: what is said when the best label is barred."""
    taxonomy = codec.workload.taxonomy
    labels: list[str | None] = [None] * len(answers)
    if taxonomy is None or len(codec.choices) < 2:  # noqa: PLR2004 - one label has no other
        return labels
    by_label: dict[str, list[int]] = {}
    for index, answer in enumerate(answers):
        label = taxonomy.find(codec.workload.label_of(answer.output) or "")
        if label is not None:
            by_label.setdefault(label.id, []).append(index)
    for label_id, indices in by_label.items():
        barred = replace(codec, excluded=codec.excluded | {label_id})
        second = ask(barred, [inputs[index] for index in indices])
        for index, answer in zip(indices, second, strict=True):
            labels[index] = codec.workload.label_of(answer.output)
    return labels


def _refused(codec: "AnswerCodec", text: str) -> Reply | None:
    limit = codec.workload.limits.input_characters
    if not text.strip():
        return Reply(text, error="The text is empty.")
    length = input_length(codec.workload.input, text)
    if length > limit:
        return Reply(text, error=f"The text has {length} characters, {limit} are allowed.")
    return None


def _reply(text: str, answer: "Answer", runner_up: str | None) -> Reply:
    bound = None
    if runner_up is not None and answer.margin is not None:
        bound = max(0.0, answer.confidence - answer.margin)
    return Reply(
        input=text,
        output=answer.output,
        text=answer.text,
        confidence=answer.confidence,
        margin=answer.margin,
        runner_up=runner_up,
        runner_up_confidence=bound,
        seconds=answer.seconds,
        error=answer.error,
        fields=answer.fields,
    )
