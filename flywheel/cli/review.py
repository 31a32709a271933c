"""`flywheel review`: send answers to people, answer them, take the judgments in."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.directed import direct, tell_second_looks
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.order import IN_ORDER
from flywheel.cli.set_aside import show_set_aside
from flywheel.errors import ConfigurationError, IntegrityError
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.review.sampling.batch_report import BatchReport
from flywheel.usecases.observe import annotators as annotator_figures
from flywheel.usecases.observe import (
    collect_reviews,
    proposed_labels,
    push_reviews,
    sample_reviews,
    set_aside_reviews,
)
from flywheel.wiring import Platform, open_platform
from flywheel.workload.model import Workload
from flywheel.workload.periods import period_name, period_start

__all__ = ["app"]

app = typer.Typer(
    help="Send answers to people, and take their judgments in: push, answer, pull.",
    epilog=IN_ORDER,
)
_console = Console()
_HAS_A_BATCH = 3  # exit code: the named window was drawn before
_WORKLOAD = typer.Argument(help="id of the workload")
app.command()(direct)


@app.command()
def push(
    workload_id: str = _WORKLOAD,
    since: datetime | None = typer.Option(
        None, help="event time (UTC); default: a week before --until, within its period"
    ),
    until: datetime | None = typer.Option(
        None, help="event time (UTC); default: now where another option names a window"
    ),
    budget: int | None = typer.Option(None, min=1, help="judgments; default: the period's pace"),
    json_output: JsonOption = False,
) -> None:
    """Choose what people are asked about and put it into the queue.

    Without options it draws every window that is due, and is safe to repeat. A window that is named
    and has a batch already is not drawn again: exit code 3.
    """
    platform = open_platform(existing=True)
    workload = platform.workload(workload_id)
    if since is None and until is None and budget is None:
        due = sample_reviews(platform, workload)
        if json_output:
            print_facts(due)
            return
        for report in due.batches:
            _show_batch(report)
        if due.note:
            _console.print(f"Nothing more is asked: {due.note}.")
        elif not due.batches:
            _console.print("No whole day of answers has passed since the last window.")
        return
    report = push_reviews(
        platform,
        workload,
        since=since and since.replace(tzinfo=UTC),
        until=until and until.replace(tzinfo=UTC),
        budget=budget,
    )
    if json_output:
        print_facts({"batches": [report], "note": ""})
    else:
        _show_batch(report)
    if report.existing:
        raise typer.Exit(_HAS_A_BATCH)


def _show_batch(report: BatchReport) -> None:
    window = f"{report.window_start:%Y-%m-%d %H:%M} to {report.window_end:%Y-%m-%d %H:%M} UTC"
    left = f"{report.judgments_left} of {report.period_budget} left in {report.period}"
    parts = ", ".join(f"{count} {name}" for name, count in report.by_slice.items())
    items = f"{report.items} items ({parts or 'none'}), {report.judgments} judgments"
    note = f" Note: {report.note}." if report.note else ""
    if report.existing:
        _console.print(
            f"The window {window} has batch [bold]{report.batch_id}[/bold] already: {items}; "
            f"nothing new was chosen, {report.pushed} of them were missing in the queue. {left}. "
            "To ask more, name a later --since or --until."
        )
        return
    _console.print(
        f"Batch [bold]{report.batch_id}[/bold] of {window}: {items}; "
        f"{report.pushed} new in the queue, {left}.{note}"
    )


@app.command()
def pull(
    workload_id: str = _WORKLOAD,
    file: Path | None = typer.Option(None, help="JSON export of a Label Studio project"),
    partial: bool = typer.Option(False, help="the file is no full export: infer no deletions"),
    json_output: JsonOption = False,
) -> None:
    """Take in what people answered and merge it into corrections."""
    platform = open_platform(existing=True)
    workload = platform.workload(workload_id)
    taken = None
    if file is not None:
        taken = _local(platform).take_export(workload, file, full=not partial)
    if taken is not None and not json_output:
        _console.print(
            f"{file}: {taken.tasks} tasks, {taken.added} annotations added, {taken.edited} edited, "
            f"{taken.deleted} deleted, {taken.unchanged} unchanged, "
            f"{taken.foreign_tasks} tasks of others left alone."
        )
        show_set_aside(_console, taken.set_aside, f"in {file}")
    report = collect_reviews(platform, workload)
    if json_output:
        print_facts({"export": taken, "merge": report})
        return
    written = ", ".join(f"{count} {status}" for status, count in report.corrections.items())
    _console.print(
        f"{report.annotations} new annotation versions; corrections: {written or 'no change'}; "
        f"{report.adjudications} sent to adjudication, {report.adjudications_waiting} waiting for "
        f"budget, {report.second_judgments} doubtful answers to a second person, "
        f"{report.label_checks} unusual labels to decide again, "
        f"{report.unusable} answers could not be used."
    )
    tell_second_looks(platform, workload.id)
    show_set_aside(_console, report.set_aside, f"of {workload.id}")


@app.command()
def status(
    workload_id: str = _WORKLOAD,
    json_output: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Show how far the people are, how far they agree, and how good the model is by them."""
    from flywheel.quality.control_slice import control_accuracy
    from flywheel.review.merging.agreement import review_agreement
    from flywheel.review.merging.field_agreement import field_agreement
    from flywheel.review.sampling.sent_items import spending

    platform = open_platform(existing=True)
    workload = platform.workload(workload_id)
    overall, batches = review_agreement(platform.lake, workload)
    start, end, period = _period(platform, workload)
    spent = spending(platform.lake, workload.id, period)
    # A named window asks within its own period, which is not the present one.
    others = sorted({name.rpartition("-")[0] for name in batches} - {period})
    aside = set_aside_reviews(platform, workload)
    facts = {
        "queue": asdict(platform.queue.status(workload)),
        "period": period,
        "budget": workload.review.budget,
        "judgments_sent": spent.sent,
        "judgments_sent_in_other_periods": {
            name: spending(platform.lake, workload.id, name).sent for name in others
        },
        "judgments_held_back": spent.reserved(workload.review.overlap),
        "agreement": asdict(overall),
        "fields": {
            name: asdict(field) for name, field in field_agreement(platform.lake, workload).items()
        },
        "batches": {name: asdict(batch) for name, batch in batches.items()},
        "control": asdict(control_accuracy(platform.lake, workload, start, end)),
        "proposed_labels": proposed_labels(platform, workload),
        "set_aside": [asdict(one) for one in aside],
    }
    if json_output:
        typer.echo(json.dumps(facts))
    else:
        _show_status(workload.id, facts)
        show_set_aside(_console, aside, f"of {workload.id}")


@app.command()
def annotators(
    workload_id: str = _WORKLOAD,
    json_output: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Show how each person judges: agreement, accuracy where others decided, gold, pace, drift."""
    platform = open_platform(existing=True)
    people = annotator_figures(platform, platform.workload(workload_id))
    if json_output:
        typer.echo(json.dumps([asdict(person) for person in people]))
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


@app.command()
def answer(
    workload_id: str = _WORKLOAD,
    annotator: str = typer.Option(..., "--as", help="your name"),
) -> None:
    """Answer review items in the terminal.

    An answer is stored at once; `u` takes the last one back and asks again. What is typed must fit
    the workload's schema. In a field of text, quotes keep what would be a command: "q" is the text.
    """
    from flywheel.review.queues.terminal import answer_items

    platform = open_platform(existing=True)
    workload = platform.workload(workload_id)
    report = answer_items(_console, _ask, _local(platform), workload, annotator)
    _console.print(
        f"{report.judged} judged, {report.skipped} skipped, {report.left} left for you. "
        f"Next: [bold]flywheel review pull {workload.id}[/bold]"
    )


def _ask(prompt: str) -> str:
    return _console.input(Text(prompt))  # as text: brackets in it are no markup


@app.command()
def provision(
    workload_ids: list[str] | None = typer.Argument(None, help="of workloads; none: all of them"),
    overwrite: bool = typer.Option(
        False, help="replace a labeling configuration that was changed by hand"
    ),
) -> None:
    """Make or update each workload's project in Label Studio; what is right is left alone."""
    from flywheel.review.label_studio.provisioning import provision as make

    platform = open_platform(existing=True)
    chosen = workload_ids or list(platform.workloads)
    changed_by_hand = []
    for workload in [platform.workload(name) for name in chosen]:
        try:
            done = make(
                platform.label_studio, workload, platform.webhook_target, overwrite=overwrite
            )
        except IntegrityError as error:
            changed_by_hand.append(workload.id)
            _console.print(Text(f"{workload.id}: {error.message}", style="red"))
            continue
        said = ", ".join(done.changes) or "nothing to change"
        _console.print(Text(f"{workload.id}: {said}. {done.project.url}"))
    if changed_by_hand:
        raise IntegrityError(
            f"Changed by hand: {', '.join(changed_by_hand)}.",
            next_step="put the change into the workload's file, or run again with --overwrite",
        )


def _local(platform: Platform) -> LocalReviewQueue:
    if isinstance(platform.queue, LocalReviewQueue):
        return platform.queue
    raise ConfigurationError(
        "This is for the local queue; this deployment's items are in Label Studio.",
        next_step=f"open {platform.settings.label_studio_url}, its judgments come with "
        "`flywheel review pull`",
    )


def _show_status(workload_id: str, facts: dict[str, Any]) -> None:
    table = Table(title=f"{workload_id}: review")
    table.add_column("batch", no_wrap=True)
    for column in ("items", "answered", "judgments", "kept", "edited", "alpha (items)"):
        table.add_column(column)
    for batch in facts["batches"].values():
        given = f"{batch['judgments_given']}/{batch['judgments_wanted']}"
        numbers = (batch["items"], batch["answered"], given, batch["kept"], batch["edited"])
        table.add_row(batch["batch_id"], *map(str, numbers), _alpha(batch["agreement"]))
    _console.print(table)
    agreement, control = facts["agreement"], facts["control"]
    _console.print(
        f"{facts['period']}: {facts['judgments_sent']} of {facts['budget']} judgments asked for, "
        f"{facts['judgments_held_back']} held back for second judgments and adjudication.\n"
        f"Agreement, where two were asked at random: {_alpha(agreement)} {agreement['reason']}\n"
        f"Control slice in {facts['period']}: {_accuracy(control)} from {control['judged']} of "
        f"{control['items']} items; {control['undecided']} not decided; {control['failed']} of "
        f"{control['answers']} answers failed and count as wrong. {control['reason']}"
    )
    for period, sent in facts["judgments_sent_in_other_periods"].items():
        _console.print(f"{period}: {sent} of {facts['budget']} judgments asked for.")
    if any(field["pairs"] for field in facts["fields"].values()):
        _console.print(_fields_table(facts["fields"]))
    for name, count in facts["proposed_labels"].items():
        _console.print(Text(f"New category asked for: {name} ({count} items)"))


def _fields_table(fields: dict[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("field", "same", "of pairs", "alpha (items)"):
        table.add_column(column, overflow="fold")
    for name, field in fields.items():
        numbers = (str(field["same"]), str(field["pairs"]), _alpha(field["alpha"]))
        table.add_row(Text(name), *numbers)
    return table


def _period(platform: Platform, workload: Workload) -> tuple[datetime, datetime, str]:
    now = platform.clock.now()
    start = period_start(workload.cadence, now, workload.timezone)
    return start, now, period_name(workload.cadence, now, workload.timezone)


def _alpha(agreement: dict[str, Any]) -> str:
    alpha = agreement["alpha"]
    return f"{'not defined' if alpha is None else format(alpha, '.2f')} ({agreement['items']})"


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"


def _accuracy(control: dict[str, Any]) -> str:
    if control["accuracy"] is None:
        return "not measured"
    return f"{control['accuracy']:.1%} ({control['lower']:.1%} to {control['upper']:.1%})"
