"""`flywheel dlq`: events that broke the contract: list, show, replay, and declared gaps."""

import json

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(help="Dead letters: events that broke the contract.", no_args_is_help=True)
_console = Console()
_SHOWN_BYTES = 4_000


@app.command("list")
def list_command(
    reason: str | None = typer.Option(None, help="only this reason code"),
    topic: str | None = typer.Option(None, help="only this topic"),
    limit: int = typer.Option(50, min=1, help="most rows to show"),
    json_output: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """List the dead letters that are still dead, newest first."""
    from flywheel.ingest.deadletters import (  # noqa: PLC0415 - commands load what they use
        DeadLetterId,
        list_dead_letters,
    )

    rows = list_dead_letters(open_platform().lake, reason=reason, topic=topic, limit=limit)
    ids = [str(DeadLetterId(row["topic_id"], row["partition"], row["offset"])) for row in rows]
    if json_output:
        kept = ("topic", "reason", "error", "bytes", "first_seen")
        for key, row in zip(ids, rows, strict=True):
            typer.echo(json.dumps({"id": key} | {name: row[name] for name in kept}, default=str))
        return
    table = Table(title=f"{len(rows)} dead letters")
    for column in ("id", "topic", "reason", "error", "bytes", "first seen"):
        table.add_column(column, no_wrap=column in {"id", "reason"}, overflow="fold")
    for key, row in zip(ids, rows, strict=True):
        seen = f"{row['first_seen']:%Y-%m-%d %H:%M}"
        cells = (key, row["topic"], row["reason"], row["error"] or "", str(row["bytes"]), seen)
        table.add_row(*(Text(cell) for cell in cells))
    _console.print(table)


@app.command()
def show(
    letter: str = typer.Argument(help="TOPIC_ID:PARTITION:OFFSET, as `dlq list` shows it"),
    raw: bool = typer.Option(False, "--raw", help="write the bytes as they are, and nothing else"),
) -> None:
    """Show one dead letter with its bytes."""
    from flywheel.ingest.deadletters import (  # noqa: PLC0415 - (as above)
        DeadLetterId,
        show_dead_letter,
    )

    row = show_dead_letter(open_platform().lake, DeadLetterId.parse(letter))
    value = row.pop("raw") or b""
    if raw:
        typer.get_binary_stream("stdout").write(value)
        return
    for name, content in row.items():
        _console.print(Text(f"{name:>10}  {content}"))
    # repr keeps control characters of an unknown sender away from the terminal.
    more = f" … and {len(value) - _SHOWN_BYTES:,} more" if len(value) > _SHOWN_BYTES else ""
    _console.print(Text(f"       raw  {value[:_SHOWN_BYTES]!r}{more}"))


@app.command("replay")
def replay_command(
    letter: str | None = typer.Argument(None, help="one dead letter; all when left out"),
    reason: str | None = typer.Option(None, help="only this reason code"),
) -> None:
    """Send dead letters through the present contract; what is good now lands, once."""
    from flywheel.events import EventContract  # noqa: PLC0415 - (as above)
    from flywheel.ingest.deadletters import DeadLetterId, replay  # noqa: PLC0415 - (as above)

    platform = open_platform()
    folder = platform.workload_folder
    report = replay(
        platform.lake,
        EventContract(folder.workloads.values(), not_loaded=folder.problems.keys()),
        now=platform.clock.now(),
        reason=reason,
        letter=DeadLetterId.parse(letter) if letter else None,
    )
    table = Table(title="replay")
    for column in ("outcome", "which", "count"):
        table.add_column(column)
    for which, count in sorted(report.landed.items()):
        table.add_row("landed", Text(which), str(count))
    for which, count in sorted(report.still_dead.items()):
        table.add_row("still dead", which, str(count))
    _console.print(table)


@app.command()
def gap(
    topic: str = typer.Argument(help="topic whose log lost records"),
    partition: int = typer.Argument(help="its partition"),
    declared_by: str = typer.Option(..., "--as", help="who declares it"),
    reason: str = typer.Option(..., help="what happened"),
) -> None:
    """Declare that records the log no longer holds are lost, so that ingest goes on after them."""
    from flywheel.ingest.gaps import declare_gap  # noqa: PLC0415 - (as above)

    platform = open_platform()
    lost = declare_gap(
        platform.log,
        platform.lake,
        topic=topic,
        partition=partition,
        declared_by=declared_by,
        reason=reason,
        now=platform.clock.now(),
    )
    _console.print(f"{lost:,} offsets declared lost.")
