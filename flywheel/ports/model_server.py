"""Port: a server that answers with a base model and any number of adapters on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flywheel.workload.answers import AnswerCodec

__all__ = ["BASE_RELEASE", "Answer", "ModelServer", "Shot", "Shots", "base_alias"]

BASE_RELEASE = "base"


def base_alias(digest: str) -> str:
    """Return the name by which a server of its own process says which base model it serves."""
    return f"{BASE_RELEASE}-{digest[:16]}"


@dataclass(frozen=True)
class Shot:
    """One worked example put before the input of a few-shot prompt."""

    input: str
    output: Any


# The examples of every question, or what chooses those of one.
Shots = Sequence[Shot] | Callable[[str], Sequence[Shot]]


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    ``confidence`` is the probability of the answer among the allowed answers: the product of its
    steps' probabilities renormalized under the mask, in [0, 1]; of a text the geometric mean of them. ``margin`` is that probability less
    the runner-up's, in [0, 1], for an extraction that of the least sure field, for a text the mean of its steps; None where a server
    does not know it. ``output`` is None where the text breaks the schema, and ``error`` then says
    how.
    """

    text: str
    output: Any
    confidence: float
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    error: str | None = field(default=None)
    margin: float | None = field(default=None)


class ModelServer(Protocol):
    """Serve releases by their immutable names."""

    def load(self, release: str, adapter: Path) -> None:
        """Load an adapter folder under a name and warm it with one answer.

        Called by promotion and evaluation before traffic moves. A name that is already loaded
        from a folder with the same content is left alone; with other content it is refused
        (RefusedError), since a release name is never reused. A damaged or unservable adapter
        raises IntegrityError and nothing changes.
        """
        ...

    def unload(self, release: str) -> None:
        """Forget a retired release; an unknown name is not an error."""
        ...

    def releases(self) -> tuple[str, ...]:
        """Name what can answer now, ``base`` included.

        Called by reconciliation after a restart.
        """
        ...

    def answer(
        self,
        release: str,
        codec: AnswerCodec,
        inputs: Sequence[str],
        *,
        shots: Shots = (),
    ) -> list[Answer]:
        """Answer each input greedily under the workload's mask, in order.

        Called by traffic and by evaluation. An unknown release raises NotFoundError, an input
        that does not fit the context DataError; a server that is away raises UnavailableError,
        never an empty answer.
        """
        ...
