"""A model server that answers what its constructor was told."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flywheel.errors import DataError, NotFoundError
from flywheel.ports.model_server import BASE_RELEASE, Answer, Shot
from flywheel.workload.answers import AnswerCodec

__all__ = ["FakeModelServer"]

Reply = Callable[[str], Any]


class FakeModelServer:
    """Serves ``base`` and every loaded release with the reply it was given for that name.

    Args:
        replies: the parsed answer to an input, by release name; None is an answer that breaks the
            schema, an exception is raised.
        seconds: time of an answer, by release name.
        confidence: of every answer.
        drop: how many answers to leave out of every call.
        most_shots: more worked examples than this do not fit.
    """

    def __init__(
        self,
        replies: Mapping[str, Reply],
        *,
        seconds: Mapping[str, float] | None = None,
        confidence: float = 0.9,
        drop: int = 0,
        most_shots: int = 100,
    ) -> None:
        self.replies = dict(replies)
        self.loaded: dict[str, Path] = {}
        self.shots_seen: list[int] = []
        self._seconds = dict(seconds or {})
        self._confidence = confidence
        self._drop = drop
        self._most_shots = most_shots

    def load(self, release: str, adapter: Path) -> None:
        """Remember the folder of a release."""
        self.loaded[release] = adapter

    def unload(self, release: str) -> None:
        """Forget a release."""
        self.loaded.pop(release, None)

    def releases(self) -> tuple[str, ...]:
        """Name what can answer."""
        return (BASE_RELEASE, *self.loaded)

    def answer(
        self,
        release: str,
        codec: AnswerCodec,  # noqa: ARG002 - the port's signature
        inputs: Sequence[str],
        *,
        shots: Sequence[Shot] = (),
    ) -> list[Answer]:
        """Answer every input with the reply of its release."""
        if release not in self.releases():
            raise NotFoundError(f"{release} is not loaded.")
        if len(shots) > self._most_shots:
            raise DataError("The prompt does not fit the context.")
        self.shots_seen.append(len(shots))
        answers = [self._answer(release, text) for text in inputs]
        return answers[: len(answers) - self._drop]

    def _answer(self, release: str, text: str) -> Answer:
        output = self.replies[release](text)
        if isinstance(output, Exception):
            raise output
        return Answer(
            text=str(output),
            output=output,
            confidence=self._confidence,
            seconds=self._seconds.get(release, 0.01),
            prompt_tokens=5,
            completion_tokens=1,
            error=None if output is not None else "breaks the schema",
        )
