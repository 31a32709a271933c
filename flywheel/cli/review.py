"""`flywheel review`: send answers to people, answer them, take the judgments in."""

from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.directed import direct, show_second_looks
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.order import IN_ORDER
from flywheel.cli.review_status import annotators, status
from flywheel.cli.set_aside import show_set_aside
from flywheel.errors import ConfigurationError, IntegrityError
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.review.sampling.batch_report import BatchReport
from flywheel.usecases.observe import collect_reviews, push_reviews, sample_reviews
from flywheel.wiring import Platform, open_platform

__all__ = ["app"]

app = typer.Typer(
    help="Send answers to people, and take their judgments in: push, answer, pull.",
    epilog=IN_ORDER,
)
_console = Console()
_HAS_A_BATCH = 3  # exit code: the named window was drawn before
_WORKLOAD = typer.Argument(help="id of the workload")
for command in (direct, status, annotators):
    app.command()(command)


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
    if report.of_earlier_releases:
        note += (
            f" {report.of_earlier_releases} answers of the window are of releases that answer no "
            "more: judged by chance alone, each counts for its own release."
        )
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
    partial: bool = typer.Option(False, help="the file is not a full export: infer no deletions"),
    json_output: JsonOption = False,
) -> None:
    """Take in what people answered and merge it into corrections."""
    platform = open_platform(existing=True)
    workload = platform.workload(workload_id)
    imported = None
    if file is not None:
        imported = _local(platform).take_export(workload, file, full=not partial)
    if imported is not None and not json_output:
        _console.print(
            f"{file}: {imported.tasks} tasks, {imported.added} annotations added, {imported.edited} edited, "
            f"{imported.deleted} deleted, {imported.unchanged} unchanged, "
            f"{imported.foreign_tasks} tasks of others left alone.",
            markup=False,
        )
        show_set_aside(_console, imported.set_aside, f"in {file}")
    report = collect_reviews(platform, workload)
    if json_output:
        print_facts({"export": imported, "merge": report})
        return
    written = ", ".join(f"{count} {status}" for status, count in report.corrections.items())
    _console.print(
        f"{report.annotations} new annotation versions; corrections: {written or 'no change'}; "
        f"{report.adjudications} sent to adjudication, {report.adjudications_waiting} waiting for "
        f"budget, {report.second_judgments} doubtful answers to a second person, "
        f"{report.label_checks} unusual labels to decide again, "
        f"{report.unusable} answers could not be used."
    )
    show_second_looks(platform, workload.id)
    show_set_aside(_console, report.set_aside, f"of {workload.id}")


@app.command()
def answer(
    workload_id: str = _WORKLOAD,
    annotator: str = typer.Option(..., "--as", help="your name"),
) -> None:
    """Answer review items in the terminal, those of the local queue or of Label Studio.

    An answer is stored at once; `u` takes the last one back and asks again. What is typed must fit
    the workload's schema. In a field of text, quotes keep what would be a command: "q" is the text.
    In Label Studio, your name is the e-mail address of your account.
    """
    from flywheel.review.queues.terminal import answer_items

    platform = open_platform(existing=True)
    workload = platform.workload(workload_id)
    report = answer_items(_console, _ask, platform.desk, workload, annotator)
    _console.print(
        f"{report.judged} judged, {report.skipped} skipped, {report.left} left for you. "
        f"Next: [bold]flywheel review pull {workload.id}[/bold]"
    )


def _ask(prompt: str) -> str:
    return _console.input(Text(prompt))  # as text: brackets in it are not markup


@app.command()
def provision(
    workload_ids: list[str] | None = typer.Argument(None, help="of workloads; none: all of them"),
    overwrite: bool = typer.Option(
        False, help="replace a labeling configuration that was changed by hand"
    ),
) -> None:
    """Make or update each workload's project in Label Studio; what is right is left alone."""
    from flywheel.usecases.annotator_accounts import provision_projects

    platform = open_platform(existing=True)
    changed_by_hand = []
    for result in provision_projects(platform, workload_ids or (), overwrite=overwrite):
        if result.error is not None:
            changed_by_hand.append(result.workload_id)
            _console.print(Text(f"{result.workload_id}: {result.error.message}", style="red"))
        elif result.done is not None:
            changes = ", ".join(result.done.changes) or "nothing to change"
            _console.print(Text(f"{result.workload_id}: {changes}. {result.done.project.url}"))
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
