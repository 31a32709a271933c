"""Sentence vectors that are taken once for each text: a test that draws a thousand times has forty."""

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flywheel.similarity import sentence_vectors

__all__ = ["remembering_encoder"]

_load = sentence_vectors._encoder


class _RememberingEncoder:
    def __init__(self) -> None:
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the vectors of wordllama, as it returns them."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, _load().embed(new), strict=True))
        return np.array([self._vectors[text] for text in texts])


@functools.cache
def remembering_encoder() -> _RememberingEncoder:
    """Return the encoder of this process."""
    return _RememberingEncoder()
