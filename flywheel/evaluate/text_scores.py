"""Scores of a text against the one that people accepted: start from `score_texts`.

Edit similarity is 1 less the normalized edit distance over characters; chrF is sacrebleu's, of each
pair alone (Popović 2015, chrF: character n-gram F-score for automatic MT evaluation, WMT 10);
sentence similarity is the cosine of static sentence vectors. All are in [0, 1]. What is no answer
scores 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flywheel.similarity.sentence_vectors import encode_sentences
from flywheel.workload.generation import TextScore
from flywheel.workload.text_edits import edit_similarity, tidy

__all__ = ["TextScores", "score_texts"]


@dataclass(frozen=True)
class TextScores:
    """Scores of one text; ``edited`` says whether anything would have to be edited.

    ``decisive`` names the score on which the gate decides.
    """

    edited: bool
    edit_similarity: float
    chrf: float
    sentence_vectors: float
    decisive: TextScore

    @property
    def value(self) -> float:
        """The score on which the gate decides."""
        return float(getattr(self, self.decisive))


def score_texts(
    accepted: Sequence[str], texts: Sequence[str | None], *, decisive: TextScore
) -> list[TextScores]:
    """Score each text against the accepted one of its case; None: there is no valid answer.

    Args:
        accepted: what people accepted.
        texts: what a model wrote, in the same order.
        decisive: name of the score on which the gate decides.
    """
    goals, written = [tidy(text) for text in accepted], [tidy(text or "") for text in texts]
    vectors = encode_sentences([*goals, *written])
    pairs = zip(goals, written, vectors[: len(goals)], vectors[len(goals) :], strict=True)
    return [
        TextScores(
            edited=goal != text,
            edit_similarity=edit_similarity(goal, text) if text else 0.0,
            chrf=_chrf().sentence_score(text, [goal]).score / 100 if text else 0.0,
            sentence_vectors=_share(float(one @ other)) if text else 0.0,
            decisive=decisive,
        )
        for goal, text, one, other in pairs
    ]


def _share(cosine: float) -> float:
    # Rounded: a product's last digits depend on how texts are batched.
    return round(min(1.0, max(0.0, cosine)), 4)


@lru_cache(maxsize=1)
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()
