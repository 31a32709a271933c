"""Compose the simulated reports: one text with its true category and urgency.

Knows words and probabilities, nothing of time, events or files.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flywheel.simulation import phrases, symptoms

__all__ = ["CATEGORIES", "NEW_CATEGORIES", "SURGE_CATEGORY", "Mixture", "Report", "compose"]

CATEGORIES: tuple[str, ...] = tuple(symptoms.SYMPTOMS)
NEW_CATEGORIES: tuple[str, ...] = tuple(symptoms.NEW_LINE_SYMPTOMS)
SURGE_CATEGORY = "wiring fault"

_AMBIGUOUS_SHARE = 0.02
_NO_CUE_SHARE = 0.08
_TYPO_SHARE = 0.02
_ABBREVIATION_SHARE = 0.25
_SHORTEST_WORD_WITH_TYPO = 5
# The new line has defects of the old kinds too.
_NEW_LINE_OWN_CATEGORIES = 0.85

# Urgency depends a little on the category, as it does in a factory.
_URGENCY: dict[str, tuple[float, float, float, float]] = {
    "surface scratch": (0.45, 0.3, 0.2, 0.05),
    "paint defect": (0.4, 0.3, 0.25, 0.05),
    "label error": (0.3, 0.35, 0.25, 0.1),
    "overheating": (0.1, 0.2, 0.3, 0.4),
    "isolation fault": (0.1, 0.2, 0.3, 0.4),
    "cell swelling": (0.1, 0.2, 0.35, 0.35),
}
_USUAL_URGENCY = (0.25, 0.3, 0.27, 0.18)
_LEVELS = ("low", "medium", "high", "critical")


@dataclass(frozen=True)
class Report:
    """One text and its truth."""

    text: str
    category: str
    urgency: str
    line: str


@dataclass(frozen=True)
class Mixture:
    """How often what is reported at one moment.

    ``new_line`` is the share of reports from the new product line, ``surge`` the share of the
    old category that becomes frequent.
    """

    new_line: float = 0.0
    surge: float = 0.0


def compose(rng: random.Random, mixture: Mixture, *, category: str | None = None) -> Report:
    """Write one report; ``category`` fixes the truth (for a balanced seed)."""
    if category is None and rng.random() < mixture.new_line:
        return _new_line_report(rng)
    if category is None and rng.random() < mixture.surge:
        symptom = rng.choice(symptoms.SURGE_SYMPTOMS)
        return _write(rng, symptom, SURGE_CATEGORY, "pumps", phrases.PARTS, phrases.MACHINES)
    if category is None and rng.random() < _AMBIGUOUS_SHARE:
        symptom, one, other = rng.choice(symptoms.AMBIGUOUS)
        truth = rng.choice((one, other))
        return _write(rng, symptom, truth, "pumps", phrases.PARTS, phrases.MACHINES)
    chosen = category or rng.choices(CATEGORIES, weights=_frequencies())[0]
    symptoms_by_label = {**symptoms.SYMPTOMS, **symptoms.NEW_LINE_SYMPTOMS}[chosen]
    return _write(
        rng, rng.choice(symptoms_by_label), chosen, "pumps", phrases.PARTS, phrases.MACHINES
    )


def _frequencies() -> list[float]:
    # Long-tailed, and the same in every run: the first categories are about three times as
    # frequent as the last.
    return [1 / (1 + 0.1 * rank) for rank in range(len(CATEGORIES))]


def _new_line_report(rng: random.Random) -> Report:
    parts, machines = phrases.NEW_LINE_PARTS, phrases.NEW_LINE_MACHINES
    if rng.random() < _NEW_LINE_OWN_CATEGORIES:
        truth = rng.choices(NEW_CATEGORIES, weights=(0.35, 0.3, 0.2, 0.15))[0]
        symptom = rng.choice(symptoms.NEW_LINE_SYMPTOMS[truth])
    else:
        truth = rng.choice(("missing part", "label error", "loose fastener", "misalignment"))
        symptom = rng.choice(symptoms.SYMPTOMS[truth])
    return _write(rng, symptom, truth, "batteries", parts, machines)


def _write(
    rng: random.Random,
    symptom: str,
    category: str,
    line: str,
    parts: Sequence[str],
    machines: Sequence[str],
) -> Report:
    urgency = rng.choices(_LEVELS, weights=_URGENCY.get(category, _USUAL_URGENCY))[0]
    cue = rng.choice(phrases.URGENCY_CUES[urgency])
    if rng.random() < _NO_CUE_SHARE:
        urgency, cue = "medium", ""
    body = symptom
    if rng.random() < 0.55:  # noqa: PLR2004 - a coin, like those below
        body += f" at {rng.choice(machines)}"
    sentences = [body, cue] if rng.random() < 0.75 else [cue, body]  # noqa: PLR2004
    if rng.random() < 0.4:  # noqa: PLR2004
        sentences.insert(0, rng.choice(phrases.OPENINGS))
    if rng.random() < 0.35:  # noqa: PLR2004
        sentences.append(rng.choice(phrases.CLOSINGS))
    text = _join(rng, [sentence for sentence in sentences if sentence])
    text = _fill(rng, text, parts)
    return Report(_type_quickly(rng, text), category, urgency, line)


def _join(rng: random.Random, sentences: list[str]) -> str:
    text = sentences[0]
    for sentence in sentences[1:]:
        separator = " " if text.endswith((":", ",", "-")) else rng.choice((". ", ", ", " - ", "; "))
        text += separator + sentence
    return text


def _fill(rng: random.Random, text: str, parts: Sequence[str]) -> str:
    values: Mapping[str, str] = {
        "{p}": rng.choice(parts),
        "{d}": f"0.{rng.randint(1, 9)} mm",
        "{t}": str(rng.randint(80, 140)),
        "{h}": f"{rng.randint(6, 21)}:{rng.choice(('00', '15', '30', '45'))}",
        "{n}": str(rng.randint(5, 60)),
        "{r}": str(rng.randint(1000, 9999)),
    }
    for slot, value in values.items():
        text = text.replace(slot, value)
    return text


def _type_quickly(rng: random.Random, text: str) -> str:
    words = []
    for original in text.split(" "):
        word = original
        bare = word.strip(".,;:")
        if bare in phrases.ABBREVIATIONS and rng.random() < _ABBREVIATION_SHARE:
            word = word.replace(bare, phrases.ABBREVIATIONS[bare])
        if len(word) >= _SHORTEST_WORD_WITH_TYPO and rng.random() < _TYPO_SHARE:
            word = _misspell(rng, word)
        words.append(word)
    text = " ".join(words)
    return text[0].upper() + text[1:] if rng.random() < 0.5 else text.lower()  # noqa: PLR2004


def _misspell(rng: random.Random, word: str) -> str:
    at = rng.randint(1, len(word) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
