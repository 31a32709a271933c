"""Sentence vectors from the static embeddings that wordllama carries in its wheel; no download."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flywheel.errors import ConfigurationError

__all__ = ["ENCODER", "Vectors", "encode_sentences", "nearest_similarity", "similarity_to"]

Vectors = npt.NDArray[np.float32]
# Names the vectors where they are kept: others of the same texts are not compared with them.
ENCODER = "wordllama-256"
_BLOCK = 2048
_UNTHREADED = 1000  # rows up to which a product with one vector stays on one thread


def encode_sentences(texts: Sequence[str]) -> Vectors:
    """Return one unit vector of 256 numbers per text; a text without known words is all zero."""
    if not texts:
        return np.zeros((0, 256), dtype=np.float32)
    vectors = np.asarray(_encoder().embed(list(texts)), dtype=np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length == 0, 1, length), dtype=np.float32)


def nearest_similarity(vectors: Vectors, references: Vectors) -> npt.NDArray[np.float64]:
    """Return each vector's cosine with the nearest of ``known``, rounded to four digits.

    The rounding keeps an order by similarity the same however the texts were batched.
    """
    nearest = np.full(len(vectors), -1.0)
    for start in range(0, len(references), _BLOCK):
        block = vectors @ references[start : start + _BLOCK].T
        nearest = np.maximum(nearest, block.max(axis=1))
    return np.round(nearest, 4)


def similarity_to(vectors: Vectors, one: Vectors) -> Vectors:
    """Return each vector's cosine with one vector."""
    # A larger product goes to several threads, whose start costs more than they save; on a busy
    # machine 50 times more.
    starts = range(0, max(1, len(vectors)), _UNTHREADED)
    return np.concatenate([vectors[start : start + _UNTHREADED] @ one for start in starts])


@lru_cache(maxsize=1)
def _encoder() -> Any:
    # wordllama configures the root logger when it is imported; the application keeps its own say.
    # Its loader looks for `tokenizer/` where its wheel has `tokenizers/`: as a cache folder, the
    # package's own folder has the right name.
    import logging

    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        import wordllama

        folder = Path(wordllama.__file__).parent
        return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    except (ImportError, FileNotFoundError) as error:
        raise ConfigurationError(
            f"The sentence vectors cannot be loaded: {error}",
            next_step="install the wordllama package again, it carries them",
        ) from error
    finally:
        root.setLevel(level)
        for handler in [handler for handler in root.handlers if handler not in handlers]:
            root.removeHandler(handler)
