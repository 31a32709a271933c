"""`flywheel import`: labeled examples as the seed, logs of any platform as events."""

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
        help="labeled .csv or .tsv, or a log as .jsonl, .ndjson, .json or a platform's .csv; .gz "
        "and .zst too"
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
        help="labeled CSV or JSONL: column or key that holds the whole answer, for an extraction "
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
    source_workload: str | None = typer.Option(
        None,
        help="log: the workload id that the records name, where it is not --workload; those of "
        "other ids become dead letters",
    ),
    requests: Path | None = typer.Option(None, help="batch output: the batch's input file"),
    timezone: str = typer.Option("UTC", help="log: of times without a zone"),
    time: str | None = typer.Option(None, help="log: ISO time of records that have none"),
    json_output: bool = typer.Option(False, "--json", help="print the report as JSON"),
) -> None:
    """Import a labeled CSV as the seed, or a log of model calls as events.

    A CSV holds labeled examples, unless its columns are those of a platform's log or --format
    names one; a JSONL file does with --answer. A cell of a list or a group of fields is JSON; an
    empty cell of an optional field is left out of the answer.
    Safe to run again: rows and calls that were imported before, from whatever file, count once.
    Exits with 1 where nothing in the file was good.
    """
    from flywheel.cli.import_log import show_log_import
    from flywheel.cli.import_seed import show_seed_import
    from flywheel.usecases.import_log import LogChoices, import_log
    from flywheel.usecases.import_seed import SeedChoices, import_labeled

    kind = format_name.casefold()
    platform = open_platform(existing=True)
    owner = platform.workload(workload)
    stated = answer is not None or kind == "csv"
    if stated or (kind == "auto" and _is_labeled(file, named=label is not None or bool(field))):
        columns = dict(_field(entry) for entry in field)
        choices = SeedChoices(
            text, label, columns, subject, separator, skip_bad=skip_bad, answer=answer
        )
        rows = import_labeled(platform, owner, file, choices)
        show_seed_import(rows, owner, as_json=json_output)
        is_good = rows.is_good
    elif kind == "auto" and suffix_of(file) not in _LOGS | _TABLES:
        raise ConfigurationError(
            f"{file.name} is neither CSV nor JSONL by its name.",
            next_step="say what it is with --format, for example --format csv or --format openai",
        )
    else:
        named = None if kind == "auto" else kind
        log_choices = LogChoices(named, client, subject, source_workload, requests, timezone, time)
        calls = import_log(platform, owner, file, log_choices)
        show_log_import(calls, owner, file, as_json=json_output)
        is_good = calls.is_good
    if not is_good:
        raise typer.Exit(1)


def _is_labeled(file: Path, *, named: bool) -> bool:
    # A table is labeled where its label is named, or its columns are not those of a log.
    from flywheel.events.foreign import is_log_table
    from flywheel.io.delimited_file import read_table

    if suffix_of(file) not in _TABLES:
        return False
    return named or not is_log_table(read_table(file, ()).columns)


def _field(entry: str) -> tuple[str, str]:
    name, separator, column = entry.partition("=")
    if not (name and separator and column):
        raise ConfigurationError(
            f"--field {entry!r} does not read NAME=COLUMN.",
            next_step="write for example --field category=Category",
        )
    return name, column
