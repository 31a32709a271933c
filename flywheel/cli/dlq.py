"""`flywheel dlq`: records that broke the contract: groups, list, show, export, replay, gaps."""

import base64
from pathlib import Path

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.io.spelling import show_invisible
from flywheel.usecases.dead_letters import (
    choose_letters,
    declare_lost,
    export_letters,
    group_letters,
    list_letters,
    read_letter,
    replay_letters,
)
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer(help="Dead letters: records that broke the contract.", no_args_is_help=True)
_console = Console()
_SHOWN_BYTES = 4_000
_SHOWN_ERROR = 300
_REASON = typer.Option(None, help="only this reason code")
_TOPIC = typer.Option(None, help="only this topic")
_SINCE = typer.Option(None, help="only those first seen at or after this time (ISO)")
_UNTIL = typer.Option(None, help="only those first seen before this time (ISO)")
_CONTAINS = typer.Option(None, help="only those with this text in their bytes or error")
_JSON = typer.Option(False, "--json", help="one JSON object a line")


@app.command()
def groups(
    reason: str | None = _REASON,
    topic: str | None = _TOPIC,
    since: str | None = _SINCE,
    until: str | None = _UNTIL,
    contains: str | None = _CONTAINS,
    json_output: bool = _JSON,
) -> None:
    """Count the dead letters by topic and reason, with an example of each."""
    chosen = choose_letters(reason=reason, topic=topic, since=since, until=until, contains=contains)
    kinds = group_letters(open_platform(existing=True), chosen)
    if json_output:
        for group in kinds:
            print_facts(vars(group))
        return
    _print(f"{sum(group.count for group in kinds):,} dead letters, {len(kinds):,} kinds")
    for group in kinds:
        _print(f"{group.count:>9,}  {group.reason}  ({group.topic})")
        first, last = f"{group.first_seen:%Y-%m-%d %H:%M}", f"{group.last_seen:%Y-%m-%d %H:%M}"
        _print(f"           seen {first if first == last else f'{first} to {last}'}")
        _print(f"           {show_invisible(group.example, limit=_SHOWN_ERROR)}")
        _print(f"           flywheel dlq show {group.example_id}")


@app.command("list")
def list_command(  # noqa: PLR0913, PLR0917 - the same filters for each command
    reason: str | None = _REASON,
    topic: str | None = _TOPIC,
    since: str | None = _SINCE,
    until: str | None = _UNTIL,
    contains: str | None = _CONTAINS,
    limit: int = typer.Option(50, min=1, help="most letters on a page"),
    page: int = typer.Option(1, min=1, help="which page"),
    json_output: bool = _JSON,
) -> None:
    """List the dead letters that are still dead, newest first, page by page."""
    chosen = choose_letters(reason=reason, topic=topic, since=since, until=until, contains=contains)
    listed = list_letters(open_platform(existing=True), chosen, limit=limit, page=page)
    if json_output:
        for letter in listed.letters:
            print_facts(letter)
        return
    for letter in listed.letters:
        _print(f"{letter.id}  {letter.reason}")
        size = "erased" if letter.bytes is None else f"{letter.bytes:,} bytes"
        _print(f"    {letter.first_seen:%Y-%m-%d %H:%M}  {letter.topic}  {size}")
        _print(f"    {show_invisible(letter.error or '', limit=_SHOWN_ERROR)}")
    more = f"; more with --page {page + 1}" if page * limit < listed.total else ""
    _print(f"{len(listed.letters):,} of {listed.total:,} dead letters{more}")


@app.command()
def show(
    letter: str = typer.Argument(help="TOPIC_ID:PARTITION:OFFSET, as `dlq list` shows it"),
    raw: bool = typer.Option(False, "--raw", help="write the bytes as they are, and nothing else"),
    json_output: JsonOption = False,
) -> None:
    """Show one dead letter with its bytes: of an import, the line as it was in the file."""
    row, value = read_letter(open_platform(existing=True), letter)
    if raw:
        typer.get_binary_stream("stdout").write(value)
        return
    if json_output:
        # Bytes of an unknown sender: base64 loses none.
        print_facts(row | {"raw_base64": base64.b64encode(value).decode("ascii")})
        return
    for name, content in row.items():
        _print(f"{name:>10}  {content}")
    # repr keeps control characters of an unknown sender away from the terminal.
    more = f" … and {len(value) - _SHOWN_BYTES:,} more" if len(value) > _SHOWN_BYTES else ""
    _print(f"       raw  {value[:_SHOWN_BYTES]!r}{more}")


@app.command()
def export(
    file: Path = typer.Argument(help="JSON lines to write; must not be there"),
    reason: str | None = _REASON,
    topic: str | None = _TOPIC,
    since: str | None = _SINCE,
    until: str | None = _UNTIL,
    contains: str | None = _CONTAINS,
    json_output: JsonOption = False,
) -> None:
    """Write dead letters to a file, one a line, to repair `record` and `replay --file` it."""
    chosen = choose_letters(reason=reason, topic=topic, since=since, until=until, contains=contains)
    count = export_letters(open_platform(existing=True), chosen, file)
    if json_output:
        print_facts({"file": file, "letters": count})
        return
    _print(f"{count:,} dead letters are in {file}, for you alone to read.")
    _print(f"Repair `record` in it, then: flywheel dlq replay --file {file}")


@app.command("replay")
def replay_command(
    letter: str | None = typer.Argument(None, help="one dead letter; all when left out"),
    reason: str | None = _REASON,
    file: Path | None = typer.Option(None, help="repaired letters, as `dlq export` wrote them"),
    json_output: JsonOption = False,
) -> None:
    """Send dead letters through the present contract; what is good now lands, once.

    Safe to run again: a letter that has landed is no longer dead. Lines of an import are read again.
    """
    done = replay_letters(open_platform(existing=True), letter=letter, reason=reason, file=file)
    report = done.report
    if json_output:
        figures = {"landed": dict(report.landed), "still_dead": dict(report.still_dead)}
        print_facts(figures | {"not_dead": done.not_dead})
        return
    _print(f"{report.landed.total():,} landed, {report.still_dead.total():,} are still dead")
    for which, count in sorted(report.landed.items()):
        _print(f"{count:>9,}  landed      {which}")
    for which, count in sorted(report.still_dead.items()):
        _print(f"{count:>9,}  still dead  {which}")
    if done.not_dead:
        _print(f"{done.not_dead:>9,}  in the file, but no dead letters (any more)")


@app.command()
def gap(
    topic: str = typer.Argument(help="topic whose log lost records"),
    partition: int = typer.Argument(help="its partition"),
    declared_by: str = typer.Option(..., "--as", help="who declares it"),
    reason: str = typer.Option(..., help="what happened"),
    json_output: JsonOption = False,
) -> None:
    """Declare that records the log no longer holds are lost, so that ingest continues after them."""
    lost = declare_lost(
        open_platform(existing=True), topic, partition, declared_by=declared_by, reason=reason
    )
    if json_output:
        print_facts({"topic": topic, "partition": partition, "offsets_lost": lost})
        return
    _print(f"{lost:,} offsets declared lost.")


def _print(line: str) -> None:
    # Nothing is wrapped or cut: an id that is broken over two lines cannot be copied.
    _console.print(Text(line), soft_wrap=True)
