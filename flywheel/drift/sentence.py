"""Say in a few sentences what drifted, because of what, and whether quality moved with it.

Names from the traffic are put in quotes and stay text; the page that shows them escapes them.
"""

from collections.abc import Sequence

from flywheel.drift.report import Cause, ColumnDrift, QualityShift, ShareShift, Verdict, WordShift

__all__ = ["describe"]

_HEADS: dict[Verdict, str] = {
    "input_drift": "Input drift",
    "quality_loss": "Quality loss without drift",
    "both": "Input drift and quality loss",
    "noise": "Noise",
    "none": "No drift",
}
_LONGEST_NAME = 40


def describe(
    verdict: Verdict,
    columns: Sequence[ColumnDrift],
    cause: Cause | None,
    quality: QualityShift | None,
    events: int,
) -> str:
    """Write the reason of a verdict."""
    sentences = [f"{_HEADS[verdict]}: {_columns(verdict, columns)}."]
    if cause is not None:
        sentences += _words(cause, events)
        sentences += _carriers(cause)
        if cause.proposals:
            names = ", ".join(f"{_name(name)} ({count})" for name, count in cause.proposals[:5])
            sentences.append(f"Reviewers proposed new categories: {names}.")
    if quality is not None:
        sentences.append(_quality(quality))
    return " ".join(sentences)


def _columns(verdict: Verdict, columns: Sequence[ColumnDrift]) -> str:
    drifted = [column for column in columns if column.drifted]
    above = [column for column in columns if column.strength >= 1]
    if verdict == "noise" and not drifted:
        return "; ".join(_noise(column) for column in above)
    if not drifted:
        return "no column passed its threshold"
    drifted.sort(key=lambda column: -column.strength)
    return "; ".join(_drift(column) for column in drifted)


def _noise(column: ColumnDrift) -> str:
    if column.chance is not None:
        return (
            f"{column.column} scored {column.score:.2f}, but windows of this size reach "
            f"{column.chance:.2f} by chance"
        )
    assert column.change is not None  # else it would not be above what counts
    return (
        f"a share of {column.column} moved by {abs(column.change.size):.1%}, but windows of this "
        f"size reach {column.change.chance:.1%} by chance"
    )


def _drift(column: ColumnDrift) -> str:
    change = column.change
    if change is not None and change.counts:
        before, now = f"{change.reference_share:.1%}", f"{change.current_share:.1%}"
        description = f"new or risen words in {now} of the texts, {before} before"
        if change.name:
            description = f"{_name(change.name)} {before} to {now}"
        return (
            f"{column.column} {description} (95 % interval of the change {change.low:+.1%} to {change.high:+.1%}; "
            f"{change.threshold:.1%} counts, chance {change.chance:.1%})"
        )
    method = "PSI" if column.method == "psi" else "Jensen-Shannon"
    return (
        f"{column.column} {method} {column.score:.2f} (threshold {column.threshold:g}, chance "
        f"{column.chance:.2f})"
    )


def _words(cause: Cause, events: int) -> list[str]:
    sentences = []
    if cause.rising:
        share = f", in {cause.texts_with_rising} of {events} texts" if events else ""
        sentences.append(f"New or risen words{share}: {_listed(cause.rising)}.")
    if cause.falling:
        sentences.append(f"Fallen words: {_listed(cause.falling)}.")
    return sentences


def _listed(words: Sequence[WordShift]) -> str:
    return ", ".join(
        f"{_name(w.word)} ({w.reference_share:.1%} to {w.current_share:.1%})" for w in words[:6]
    )


def _carriers(cause: Cause) -> list[str]:
    sentences = []
    carrier = max(cause.clients, key=lambda c: c.carries or 0.0, default=None)
    if carrier is not None and carrier.carries:
        if carrier.carries >= 1.2 * carrier.reference_share:
            sentences.append(
                f"{carrier.carries:.0%} of the texts with these words come from "
                f"{_name(carrier.name)}, which sends {carrier.current_share:.0%} of the traffic "
                f"({carrier.reference_share:.0%} before)."
            )
        else:
            sentences.append("These words come from all clients alike.")
    if cause.categories:
        shifts = ", ".join(_share(shift) for shift in cause.categories[:4])
        sentences.append(f"The model's answers moved: {shifts}.")
    return sentences


def _share(shift: ShareShift) -> str:
    return f"{_name(shift.name)} {shift.reference_share:.1%} to {shift.current_share:.1%}"


def _quality(quality: QualityShift) -> str:
    if quality.reference is None or quality.current is None or quality.drop is None:
        return f"Whether quality moved cannot be said: {quality.note}."
    assert quality.interval is not None  # known wherever the drop is
    low, high = quality.interval
    verb = "fell" if quality.fell else "did not fall measurably"
    since = f" since {quality.changed_on}" if quality.changed_on and quality.drop > 0 else ""
    chance = ""
    if quality.statistic is not None and quality.limit is not None:
        chance = f"; {quality.statistic:.1f} standard deviations, {quality.limit:g} count"
    return (
        f"Accuracy on the control slice {verb}{since}: {quality.reference:.2f} of "
        f"{quality.reference_judged} to {quality.current:.2f} of {quality.current_judged} "
        f"(difference {-quality.drop:+.2f}, 95 % interval {-high:+.2f} to {-low:+.2f}{chance})."
    )


def _name(text: str) -> str:
    short = text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
    return f"“{short}”"
