"""`PinnedPrompts`: a model server on which every release is asked with its own prompt.

A release pins the prompt that it was trained on, form and text. An edit of the workload's file
reaches the base at once, and adapters with the next cycle.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from flywheel.errors import NotFoundError
from flywheel.ports.model_server import BASE_RELEASE, Answer, ModelServer, Shots
from flywheel.state import State
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.chat_prompt import ChatPrompt

__all__ = ["PinnedPrompts", "prompt_of_release"]


def prompt_of_release(state: State, release: str) -> str | ChatPrompt:
    """Return the prompt of the cycle that trained a release.

    Raises:
        NotFoundError: there is no such release.
    """
    return state.cycles.get(state.releases.get(release).cycle_ref).opened.workload.prompt


class PinnedPrompts:
    """A model server that asks a release with the prompt of the cycle that trained it.

    Args:
        server: answers.
        open_state: returns the state, which knows releases and cycles; called when one is asked.
    """

    def __init__(self, server: ModelServer, open_state: Callable[[], State]) -> None:
        self._server = server
        self._open_state = open_state
        self._prompt_of = cache(self._read_prompt)  # a release is immutable

    def load(self, release: str, adapter: Path) -> None:
        """Load an adapter folder under a name; see `ModelServer`."""
        self._server.load(release, adapter)

    def unload(self, release: str) -> None:
        """Forget a retired release; see `ModelServer`."""
        self._server.unload(release)

    def releases(self) -> tuple[str, ...]:
        """Name what can answer now; see `ModelServer`."""
        return self._server.releases()

    def answer(
        self,
        release: str,
        codec: AnswerCodec,
        inputs: Sequence[str],
        *,
        shots: Shots = (),
    ) -> list[Answer]:
        """Answer each input with the release's own prompt; see `ModelServer`."""
        if release != BASE_RELEASE:
            codec = self._pinned(codec, release)
        return self._server.answer(release, codec, inputs, shots=shots)

    def _pinned(self, codec: AnswerCodec, release: str) -> AnswerCodec:
        try:
            prompt = self._prompt_of(release)
        except NotFoundError:
            return codec  # the server knows best what to say about a name that is no release
        workload = codec.workload
        if prompt == workload.prompt:
            return codec
        return replace(codec, workload=workload.model_copy(update={"prompt": prompt}))

    def _read_prompt(self, release: str) -> str | ChatPrompt:
        return prompt_of_release(self._open_state(), release)
