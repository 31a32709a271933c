"""`flywheel import`: labelled examples as the seed, logs of any platform as events."""

from pathlib import Path

import typer

from flywheel.errors import ConfigurationError
from flywheel.io.packed_file import suffix_of
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_TABLES = {".csv", ".tsv"}
_LOGS = {".jsonl", ".ndjson", ".json"}


@app.command("import")
def import_command(  # noqa: PLR0913, PLR0917 - one option for each thing that a file may leave open
    file: Path = typer.Argument(
        help="labelled .csv or .tsv, or a log as .jsonl, .ndjson or .json; .gz and .zst too"
    ),
    workload: str = typer.Option(..., "--workload", "-w", help="whose they are"),
    format_name: str = typer.Option(
        "auto",
        "--format",
        help="csv · openai · nvidia · chat · batch · responses · completion · litellm · openpipe · "
        "tensorzero · langfuse · mlflow; auto: guessed for each record",
    ),
    text: str = typer.Option("text", help="CSV: column of the text"),
    label: str | None = typer.Option(None, help="CSV: column of the label"),
    field: list[str] = typer.Option(
        [], help="CSV: NAME=COLUMN, for each field of an extraction; default: columns of its fields"
    ),
    answer: str | None = typer.Option(
        None,
        help="labelled CSV or JSONL: column or key that holds the whole answer, for an extraction "
        "as JSON",
    ),
    separator: str | None = typer.Option(
        None, help="CSV: comma · semicolon · tab · pipe; default: what the header shows"
    ),
    skip_bad: bool = typer.Option(
        False, "--skip-bad", help="CSV: leave bad rows out and import the rest"
    ),
    client: str = typer.Option("import", help="log: client id where a record names none"),
    subject: str | None = typer.Option(
        None,
        help="column, or path in a record (metadata.customer), of the person; stored hashed; a "
        "record without it becomes a dead letter",
    ),
    requests: Path | None = typer.Option(None, help="batch output: the batch's input file"),
    timezone: str = typer.Option("UTC", help="log: of times without a zone"),
    time: str | None = typer.Option(None, help="log: ISO time of records that have none"),
    json_output: bool = typer.Option(False, "--json", help="print the report as JSON"),
) -> None:
    """Import a labelled CSV as the seed, or a log of model calls as events.

    A CSV holds labelled examples; a JSONL file does with --answer. A cell of a list or a group of
    fields is JSON; an empty cell of an optional field is left out of the answer.
    Safe to run again: rows and calls that were imported before, from whatever file, count once.
    Exits with 1 where nothing in the file was good.
    """
    from flywheel.cli.import_log import LogChoices, import_log
    from flywheel.cli.import_seed import SeedChoices, import_labelled

    kind = format_name.casefold()
    platform = open_platform(existing=True)
    owner = platform.workload(workload)
    if answer is not None or kind == "csv" or (kind == "auto" and suffix_of(file) in _TABLES):
        columns = dict(_field(entry) for entry in field)
        choices = SeedChoices(
            text, label, columns, subject, separator, skip_bad=skip_bad, answer=answer
        )
        good = import_labelled(platform, owner, file, choices, as_json=json_output)
    elif kind == "auto" and suffix_of(file) not in _LOGS:
        raise ConfigurationError(
            f"{file.name} is neither CSV nor JSONL by its name.",
            next_step="say what it is with --format, for example --format csv or --format openai",
        )
    else:
        named = None if kind == "auto" else kind
        log_choices = LogChoices(named, client, subject, requests, timezone, time)
        good = import_log(platform, owner, file, log_choices, as_json=json_output)
    if not good:
        raise typer.Exit(1)


def _field(entry: str) -> tuple[str, str]:
    name, separator, column = entry.partition("=")
    if not (name and separator and column):
        raise ConfigurationError(
            f"--field {entry!r} does not read NAME=COLUMN.",
            next_step="write for example --field category=Category",
        )
    return name, column
