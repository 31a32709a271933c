"""`flywheel import`: labelled examples as the seed, OpenAI-shaped records as events."""

from pathlib import Path

import typer
from rich.console import Console

from flywheel.errors import ConfigurationError
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command("import")
def import_command(
    file: Path = typer.Argument(help=".csv or .tsv with labels, or .jsonl with records"),
    workload: str = typer.Option(..., "--workload", "-w", help="whose they are"),
    text: str = typer.Option("text", help="CSV: column of the text"),
    label: str | None = typer.Option(None, help="CSV: column of the label"),
    field: list[str] = typer.Option(
        [], help="CSV: NAME=COLUMN of an extraction's field; none: the columns named as the fields"
    ),
    answer: str | None = typer.Option(
        None,
        help="CSV or JSONL of labelled examples: column or key that holds the whole answer, for an "
        "extraction as JSON",
    ),
    client: str = typer.Option("import", help="JSONL: client id where a line names none"),
) -> None:
    """Import labelled examples as the seed, or OpenAI-shaped JSONL as events.

    A CSV holds labelled examples; a JSONL file does with --answer. A cell of a list or a group of
    fields is JSON; an empty cell of an optional field is left out of the answer. The same examples
    again add nothing; a JSONL line that was imported before counts once.
    """
    from flywheel.ingest.labelled_answers import read_answers  # noqa: PLC0415 - when needed
    from flywheel.ingest.labelled_file import read_labelled  # noqa: PLC0415 - when needed
    from flywheel.ingest.openai_records import import_records  # noqa: PLC0415 - (as above)
    from flywheel.ingest.seed import import_seed  # noqa: PLC0415 - (as above)

    platform = open_platform()
    owner = platform.workload(workload)
    now = platform.clock.now()
    if answer is not None:
        rows = read_answers(file, owner, text=text, answer=answer)
        new = import_seed(platform.lake, owner, rows, source_name=file.name, now=now)
        _console.print(f"{new:,} of {len(rows):,} labelled rows are new.")
    elif file.suffix in {".csv", ".tsv"}:
        fields = dict(_field(entry) for entry in field)
        rows = read_labelled(file, owner, text=text, label=label, fields=fields)
        new = import_seed(platform.lake, owner, rows, source_name=file.name, now=now)
        _console.print(f"{new:,} of {len(rows):,} labelled rows are new.")
    elif file.suffix in {".jsonl", ".ndjson"}:
        report = import_records(platform.log, owner, file, client_id=client, now=now)
        _console.print(f"{report.events:,} records went into the log as events.")
        if report.unreadable:
            _console.print(
                f"{report.unreadable:,} lines are no such record; "
                "`flywheel ingest` makes them dead letters."
            )
        _console.print("Land them with [bold]flywheel ingest[/bold].")
    else:
        raise ConfigurationError(
            f"{file.name} is neither CSV nor JSONL.",
            next_step="name it .csv, .tsv or .jsonl",
        )


def _field(entry: str) -> tuple[str, str]:
    name, separator, column = entry.partition("=")
    if not (name and separator and column):
        raise ConfigurationError(
            f"--field {entry!r} does not read NAME=COLUMN.",
            next_step="write for example --field category=Category",
        )
    return name, column
