"""Asking a release by hand: answers, their runners-up, and texts that have no answer."""

from collections.abc import Sequence

import pytest

from flywheel.errors import DataError
from flywheel.ports.model_server import Answer
from flywheel.usecases.asking import ask_texts
from flywheel.workload.answers import AnswerCodec, assign_surfaces
from flywheel.workload.model import Workload
from tests.fakes.micro_base import classification, extraction

_CHANCES = {"seal paint": 0.6, "seal": 0.3, "weld": 0.1}


def written(workload: Workload) -> AnswerCodec:
    return AnswerCodec(workload, assign_surfaces(workload, {}, ()))


def answer_of(codec: AnswerCodec, inputs: Sequence[str]) -> list[Answer]:
    # Answers the likeliest of the labels that may be chosen; a long text does not fit.
    for index, text in enumerate(inputs):
        if "long" in text:
            raise DataError(f"Input {index} needs 999 prompt tokens.", index=index)
    chances = {name: _CHANCES[name] for name in codec.choices}
    total = sum(chances.values())
    best, *others = sorted(chances, key=lambda name: -chances[name])
    second = chances[others[0]] if others else 0.0
    output = codec.workload.with_label({"part": best, "urgency": "low"}, best)
    return [
        Answer(
            text=best,
            output=output,
            confidence=chances[best] / total,
            seconds=0.01,
            prompt_tokens=3,
            completion_tokens=2,
            margin=(chances[best] - second) / total,
        )
        for _ in inputs
    ]


@pytest.mark.parametrize("workload", [classification(), extraction()], ids=lambda w: w.id)
def test_runner_up_is_the_answer_without_the_first(workload: Workload):
    """The second label is what the release says when the first may not be chosen."""
    (reply,) = ask_texts(written(workload), answer_of, ["the seal leaks"])
    assert workload.label_of(reply.output) == "seal paint"
    assert reply.confidence == pytest.approx(0.6)
    assert reply.runner_up == "seal"
    assert reply.runner_up_confidence == pytest.approx(0.3)


def test_one_text_without_an_answer_stops_no_other():
    """Empty texts, too many characters and too many tokens are each an error of their own."""
    texts = ["a", " ", "long", "x" * 9_000, "b", "long again"]
    replies = ask_texts(written(classification()), answer_of, texts)
    assert [reply.input for reply in replies] == texts
    assert [reply.error is None for reply in replies] == [True, False, False, False, True, False]
    assert replies[4].output == "seal paint"
    assert "9000 characters" in str(replies[3].error)


def test_nothing_to_answer():
    """When no text is left, nobody is asked."""
    (reply,) = ask_texts(written(classification()), answer_of, ["long"])
    assert reply.error == "Input 0 needs 999 prompt tokens."


def test_error_without_a_place_is_raised():
    """What no single text is to blame for is not put on one."""

    def refuses(_codec: AnswerCodec, _inputs: Sequence[str]) -> list[Answer]:
        raise DataError("vLLM refuses the request.")

    with pytest.raises(DataError, match="vLLM refuses"):
        ask_texts(written(classification()), refuses, ["a"])


def test_a_conversation_may_be_a_thread_or_messages():
    """The release is asked about the turns, however a person wrote them down."""
    workload = classification().model_copy(update={"input": "conversation"})
    messages = (
        '[{"role": "user", "content": "it leaks"}, {"role": "assistant", "content": "Where?"}]'
    )
    texts = ["it leaks", messages, f"User: {'x' * 9_000}\nAssistant: Where?", "x" * 9_000]
    replies = ask_texts(written(workload), answer_of, texts)
    assert [reply.input for reply in replies[:3]] == [
        "User: it leaks",
        "User: it leaks\nAssistant: Where?",
        "[1 earlier turn left out]\nAssistant: Where?",
    ]
    assert [reply.error is None for reply in replies] == [True, True, True, False]
