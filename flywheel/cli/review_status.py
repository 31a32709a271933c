"""`flywheel review status | annotators`: how far people are, and how they judge."""

from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.set_aside import show_set_aside
from flywheel.usecases.observe import annotators as annotator_figures
from flywheel.usecases.review_status import ReviewStatus, review_status
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.quality.control_slice import ControlAccuracy
    from flywheel.review.merging.agreement import Agreement

__all__ = ["annotators", "status"]

_console = Console()
_WORKLOAD = typer.Argument(help="id of the workload")


def status(
    workload_id: str = _WORKLOAD,
    json_output: JsonOption = False,
) -> None:
    """Show how far the people are, how far they agree, and how good the model is by them."""
    platform = open_platform(existing=True)
    figures = review_status(platform, platform.workload(workload_id))
    if json_output:
        print_facts(figures)
        return
    _show_status(workload_id, figures)
    show_set_aside(_console, figures.set_aside, f"of {workload_id}")


def annotators(
    workload_id: str = _WORKLOAD,
    json_output: JsonOption = False,
) -> None:
    """Show how each person judges: agreement, accuracy where others decided, gold, pace, drift."""
    platform = open_platform(existing=True)
    people = annotator_figures(platform, platform.workload(workload_id))
    if json_output:
        print_facts(people)
        return
    table = Table(title=f"{workload_id}: annotators", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("annotator", overflow="fold", min_width=14)
    for column in ("judged", "skipped", "agreement", "accuracy", "on gold", "drift", "secs"):
        table.add_column(column, no_wrap=True, justify="right")
    for person in people:
        table.add_row(
            Text(person.annotator),
            str(person.judgments),
            str(person.skipped),
            f"{_share(person.agreement)} of {person.pairs}",
            f"{_share(person.accuracy)} of {person.checked}",
            f"{_share(person.gold_accuracy)} of {person.gold_checked}",
            "" if person.drift is None else f"{person.drift:+.1%}",
            "" if person.median_seconds is None else f"{person.median_seconds:.0f}",
        )
    _console.print(table)


def _show_status(workload_id: str, figures: ReviewStatus) -> None:
    table = Table(title=f"{workload_id}: review")
    table.add_column("batch", no_wrap=True)
    for column in ("items", "answered", "judgments", "kept", "edited", "alpha (items)"):
        table.add_column(column)
    for batch in figures.batches.values():
        judgments = f"{batch.judgments_given}/{batch.judgments_wanted}"
        numbers = (batch.items, batch.answered, judgments, batch.kept, batch.edited)
        table.add_row(batch.batch_id, *map(str, numbers), _alpha(batch.agreement))
    _console.print(table)
    agreement, control = figures.agreement, figures.control
    _console.print(
        f"{figures.period}: {figures.judgments_sent} of {figures.budget} judgments asked for, "
        f"{figures.judgments_held_back} held back for second judgments and adjudication.\n"
        f"Agreement, where two were asked at random: {_alpha(agreement)} {agreement.reason}\n"
        f"Control slice in {figures.period}: {_accuracy(control)} from {control.judged} of "
        f"{control.items} items; {control.undecided} not decided; {control.failed} of "
        f"{control.answers} answers failed and count as wrong. {control.reason}"
    )
    for period, sent in figures.judgments_sent_in_other_periods.items():
        _console.print(f"{period}: {sent} of {figures.budget} judgments asked for.")
    if any(one.pairs for one in figures.fields.values()) or any(
        one.answers for one in figures.corrected.values()
    ):
        _console.print(_fields_table(figures))
    for name, count in figures.proposed_labels.items():
        _console.print(Text(f"New category asked for: {name} ({count} items)"))


def _fields_table(figures: ReviewStatus) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        caption="changed: answers whose field people changed",
    )
    for column in ("field", "same", "of pairs", "alpha (items)", "changed", "of answers"):
        table.add_column(column, overflow="fold")
    for name, field in figures.fields.items():
        corrected = figures.corrected[name]
        table.add_row(
            Text(name),
            str(field.same),
            str(field.pairs),
            _alpha(field.alpha),
            str(corrected.changed),
            str(corrected.answers),
        )
    return table


def _alpha(agreement: "Agreement") -> str:
    alpha = agreement.alpha
    return f"{'not defined' if alpha is None else format(alpha, '.2f')} ({agreement.items})"


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"


def _accuracy(control: "ControlAccuracy") -> str:
    if control.accuracy is None or control.lower is None or control.upper is None:
        return "not measured"
    return f"{control.accuracy:.1%} ({control.lower:.1%} to {control.upper:.1%})"
