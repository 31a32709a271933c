"""Name what carries a shift: words with their counts, clients, categories, people's proposals."""

import math
from collections.abc import Sequence

from flywheel.drift.merged import Histogram, Profile
from flywheel.drift.profile import OTHER_TERM, WORDS
from flywheel.drift.report import Cause, ShareShift, WordShift
from flywheel.drift.window import Window
from flywheel.lake.store import Lake
from flywheel.workload.model import Workload

__all__ = ["find_cause", "share_shifts", "word_shifts"]

_WORDS = 12
_SHARES = 6
# The likelihood ratio beyond which chance explains one word in a thousand, and the least number
# of texts that are worth naming.
_RATIO = 10.83
_FEWEST_TEXTS = 5
_FEWEST_POINTS = 0.02


def find_cause(
    lake: Lake,
    workload: Workload,
    reference: Window,
    current: Window,
    profiles: tuple[Profile, Profile],
    columns: Sequence[str],
) -> Cause:
    """Explain a drift between two windows whose profiles are given."""
    old, new = profiles
    rising, falling = word_shifts(old, new)
    carried, texts = _clients_of(lake, workload, current, [shift.word for shift in rising])
    clients = share_shifts(old.columns.get("client"), new.columns.get("client"), carried)
    categories = share_shifts(old.columns.get("output"), new.columns.get("output"), {})
    return Cause(
        columns=tuple(columns),
        rising=rising,
        falling=falling,
        texts_with_rising=texts,
        clients=clients,
        categories=tuple(c for c in categories if _moved(c))[:_SHARES],
        proposals=_proposals(lake, workload, reference, current),
    )


def word_shifts(old: Profile, new: Profile) -> tuple[tuple[WordShift, ...], tuple[WordShift, ...]]:
    """Return the words that rose and those that fell, the surest first.

    Ranked by the likelihood ratio G² of a word's texts before and now (Dunning, 1993), which
    weighs a large lift by how many texts it rests on.
    """
    counts = [p.columns.get("vocabulary", Histogram("term", {})).counts for p in (old, new)]
    candidates: list[tuple[float, WordShift]] = []
    for word in set(counts[0]) | set(counts[1]):
        before, now = counts[0].get(word, 0), counts[1].get(word, 0)
        if word == OTHER_TERM or max(before, now) < _FEWEST_TEXTS:
            continue
        ratio = _likelihood_ratio(before, old.texts, now, new.texts)
        if ratio >= _RATIO:
            candidates.append((ratio, _word_shift(word, before, old.texts, now, new.texts)))
    candidates.sort(key=lambda item: (-item[0], item[1].word))
    shifts = [shift for _, shift in candidates]
    return (
        tuple(shift for shift in shifts if shift.lift > 1)[:_WORDS],
        tuple(shift for shift in shifts if shift.lift < 1)[:_WORDS],
    )


def share_shifts(
    old: Histogram | None, new: Histogram | None, carried: dict[str, float]
) -> tuple[ShareShift, ...]:
    """Return every key of two histograms with its shares, those that moved most first."""
    before, now = (h.counts if h else {} for h in (old, new))
    totals = max(sum(before.values()), 1), max(sum(now.values()), 1)
    shifts = [
        ShareShift(
            key,
            before.get(key, 0) / totals[0],
            now.get(key, 0) / totals[1],
            now.get(key, 0),
            carried.get(key, 0.0) if carried else None,
        )
        for key in set(before) | set(now)
    ]
    return tuple(sorted(shifts, key=lambda s: (-abs(s.current_share - s.reference_share), s.name)))


def _moved(shift: ShareShift) -> bool:
    return abs(shift.current_share - shift.reference_share) >= _FEWEST_POINTS


def _word_shift(word: str, before: int, texts_before: int, now: int, texts_now: int) -> WordShift:
    # Half a text is added on both sides, so that a word that was never seen has a finite lift.
    lift = ((now + 0.5) / (texts_now + 1)) / ((before + 0.5) / (texts_before + 1))
    return WordShift(
        word, before, now, before / max(texts_before, 1), now / max(texts_now, 1), lift
    )


def _likelihood_ratio(before: int, texts_before: int, now: int, texts_now: int) -> float:
    share = (before + now) / max(texts_before + texts_now, 1)
    total = 0.0
    for count, texts in ((before, texts_before), (now, texts_now)):
        expected = share * texts
        rest, rest_expected = texts - count, texts - expected
        if count:
            total += count * math.log(count / expected)
        if rest > 0 and rest_expected > 0:
            total += rest * math.log(rest / rest_expected)
    return 2 * total


def _clients_of(
    lake: Lake, workload: Workload, window: Window, words: Sequence[str]
) -> tuple[dict[str, float], int]:
    # Which clients send the texts that hold risen words; a text counts once.
    if not words:
        return {}, 0
    rows = lake.rows(
        """
        SELECT coalesce(client_id, '(none)') AS client, count(*) AS texts FROM answered_inferences
        WHERE workload_id = $workload AND day >= $start AND day < $end
          AND list_has_any(WORDS, $words)
        GROUP BY client ORDER BY client
        """.replace("WORDS", WORDS),
        {
            "workload": workload.id,
            "start": window.start,
            "end": window.end,
            "words": list(words),
        },
    )
    texts = sum(row["texts"] for row in rows)
    return {row["client"]: row["texts"] / texts for row in rows}, texts


def _proposals(
    lake: Lake, workload: Workload, reference: Window, current: Window
) -> tuple[tuple[str, int], ...]:
    rows = lake.rows(
        """
        SELECT proposed_label AS name, count(*) AS proposals FROM latest_corrections
        WHERE workload_id = $workload AND status = 'proposed' AND proposed_label IS NOT NULL
          AND event_time >= CAST($start AS DATE) AND event_time < CAST($end AS DATE)
        GROUP BY name ORDER BY proposals DESC, name LIMIT 8
        """,
        {"workload": workload.id, "start": reference.end, "end": current.end},
    )
    return tuple((row["name"], row["proposals"]) for row in rows)
