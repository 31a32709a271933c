"""Static word vectors that the ``wordllama`` wheel carries, read without importing it.

They give the tiny base its first knowledge of words; nothing is downloaded.
"""

import importlib.metadata
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flywheel.errors import ConfigurationError

__all__ = ["Floats", "WordVectors"]

Floats = npt.NDArray[np.float32]
_WORD_CHARACTERS = re.compile(r"[^\w']+|_")


class WordVectors:
    """256-dimensional vectors of word pieces, and means of them for any text."""

    def __init__(self) -> None:
        files = {file.name: file for file in importlib.metadata.files("wordllama") or []}
        try:
            self._weights = Path(str(files["l2_supercat_256.safetensors"].locate()))
            self._pieces = Path(str(files["l2_supercat_tokenizer_config.json"].locate()))
        except KeyError as error:
            raise ConfigurationError(
                f"The installed wordllama carries no {error.args[0]}.",
                next_step="install the version that pyproject.toml names",
            ) from error

    @cached_property
    def table(self) -> Floats:
        """Vectors of all pieces, one row each."""
        from safetensors.numpy import load_file

        (table,) = load_file(self._weights).values()
        return np.asarray(table, dtype=np.float32)

    @cached_property
    def tokenizer(self) -> Any:
        """Tokenizer of the pieces."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._pieces))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def words(self, limit: int) -> list[str]:
        """List the whole words among the pieces, most frequent first."""
        pieces = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        candidates = (piece[1:] for piece, _ in pieces if piece.startswith("▁") and len(piece) > 3)  # noqa: PLR2004 - shorter ones are fragments
        return [f" {word}" for word in candidates if word.isalpha() and word.isascii()][:limit]

    def embed(self, texts: Sequence[str]) -> Floats:
        """Average the vectors of each text's pieces; a text without letters gives zeros."""
        clean = [_WORD_CHARACTERS.sub(" ", text).strip().lower() for text in texts]
        encoded = self.tokenizer.encode_batch(clean, add_special_tokens=False)
        rows = [
            self.table[item.ids].mean(axis=0) if text else np.zeros(self.table.shape[1])
            for text, item in zip(clean, encoded, strict=True)
        ]
        return np.asarray(rows, dtype=np.float32)
