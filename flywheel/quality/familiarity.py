"""`ReferenceTexts`: whether a text is unlike everything that a release was promoted on.

A text is unfamiliar when its nearest reference text is farther, in sentence vectors, than all but a
small share of the reference texts are from their own nearest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.similarity.sentence_vectors import Vectors, encode_sentences, nearest_similarity

__all__ = ["FEWEST_TEXTS", "ReferenceTexts"]

# A share of 1 % of fewer than this is less than one text.
FEWEST_TEXTS = 100


@dataclass(frozen=True)
class ReferenceTexts:
    """Unit vectors of the reference, and the cosine below which a text is unlike them all."""

    vectors: Vectors
    bar: float

    @classmethod
    def of(cls, texts: Sequence[str], outlier_share: float) -> "ReferenceTexts | None":
        """Measure the reference.

        Args:
            texts: different inputs of the reference window.
            outlier_share: share of them that counts as unlike the others, in (0, 0.5).

        Returns:
            None where there are too few texts to say what is unusual.
        """
        if len(texts) < FEWEST_TEXTS or outlier_share <= 0:
            return None
        vectors = encode_sentences(texts)
        among = vectors @ vectors.T
        np.fill_diagonal(among, -1)
        return cls(vectors, float(np.quantile(among.max(axis=1), outlier_share)))

    def is_unlike(self, text: str) -> bool:
        """Return whether a text is farther from the reference than the bar allows."""
        return bool(nearest_similarity(encode_sentences([text]), self.vectors)[0] < self.bar)
