"""`flywheel dlq`: records that broke the contract: groups, list, show, export, replay, gaps."""

import base64
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.errors import ConfigurationError
from flywheel.io.spelling import show_invisible
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.ingest.dead_letter_list import DeadLetterFilter
    from flywheel.ingest.deadletters import ReplayReport
    from flywheel.wiring import Platform

__all__ = ["app"]

app = typer.Typer(help="Dead letters: records that broke the contract.", no_args_is_help=True)
_console = Console()
_SHOWN_BYTES = 4_000
_SHOWN_ERROR = 300
_AT_ONCE = 2_000
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
    from flywheel.ingest.dead_letter_list import group_dead_letters

    found = group_dead_letters(
        open_platform(existing=True).lake, _filter(reason, topic, since, until, contains)
    )
    if json_output:
        for group in found:
            typer.echo(json.dumps(vars(group), default=str))
        return
    _print(f"{sum(group.count for group in found):,} dead letters, {len(found):,} kinds")
    for group in found:
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
    from flywheel.ingest.dead_letter_list import (
        count_dead_letters,
        list_dead_letters,
    )
    from flywheel.ingest.deadletters import DeadLetterId

    lake = open_platform(existing=True).lake
    chosen = _filter(reason, topic, since, until, contains)
    rows = list_dead_letters(lake, chosen, limit=limit, page=page)
    ids = [str(DeadLetterId(row["topic_id"], row["partition"], row["offset"])) for row in rows]
    if json_output:
        names = ("topic", "reason", "error", "bytes", "first_seen")
        for key, row in zip(ids, rows, strict=True):
            typer.echo(json.dumps({"id": key} | {name: row[name] for name in names}, default=str))
        return
    for key, row in zip(ids, rows, strict=True):
        _print(f"{key}  {row['reason']}")
        size = "erased" if row["bytes"] is None else f"{row['bytes']:,} bytes"
        _print(f"    {row['first_seen']:%Y-%m-%d %H:%M}  {row['topic']}  {size}")
        _print(f"    {show_invisible(row['error'] or '', limit=_SHOWN_ERROR)}")
    total = count_dead_letters(lake, chosen)
    more = f"; more with --page {page + 1}" if page * limit < total else ""
    _print(f"{len(rows):,} of {total:,} dead letters{more}")


@app.command()
def show(
    letter: str = typer.Argument(help="TOPIC_ID:PARTITION:OFFSET, as `dlq list` shows it"),
    raw: bool = typer.Option(False, "--raw", help="write the bytes as they are, and nothing else"),
    json_output: JsonOption = False,
) -> None:
    """Show one dead letter with its bytes: of an import, the line as it was in the file."""
    from flywheel.ingest.dead_letter_list import content_of
    from flywheel.ingest.deadletters import (
        DeadLetterId,
        show_dead_letter,
    )

    row = show_dead_letter(open_platform(existing=True).lake, DeadLetterId.parse(letter))
    value = content_of(row.pop("raw") or b"")
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
    from flywheel.ingest.dead_letter_list import export_dead_letters

    chosen = _filter(reason, topic, since, until, contains)
    count = export_dead_letters(open_platform(existing=True).lake, chosen, file)
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
    json_output: bool = typer.Option(False, "--json", help="print the counts as JSON"),
) -> None:
    """Send dead letters through the present contract; what is good now lands, once.

    Safe to run again: a letter that has landed is no longer dead. Lines of an import are read anew.
    """
    from flywheel.ingest.deadletters import DeadLetterId, ReplayReport

    if letter is not None and file is not None:
        raise ConfigurationError(
            "A letter's id and --file were both given.", next_step="give one of them"
        )
    platform = open_platform(existing=True)
    report = ReplayReport()
    unknown = 0
    if file is not None:
        unknown = _replay_file(platform, file, _known_reason(reason), report)
    else:
        letters = None if letter is None else [DeadLetterId.parse(letter)]
        _replay(platform, _known_reason(reason), letters, None, report)
    if json_output:
        figures = {"landed": dict(report.landed), "still_dead": dict(report.still_dead)}
        typer.echo(json.dumps(figures | {"not_dead": unknown}))
        return
    _print(f"{report.landed.total():,} landed, {report.still_dead.total():,} are still dead")
    for which, count in sorted(report.landed.items()):
        _print(f"{count:>9,}  landed      {which}")
    for which, count in sorted(report.still_dead.items()):
        _print(f"{count:>9,}  still dead  {which}")
    if unknown:
        _print(f"{unknown:>9,}  in the file, but no dead letters (any more)")


@app.command()
def gap(
    topic: str = typer.Argument(help="topic whose log lost records"),
    partition: int = typer.Argument(help="its partition"),
    declared_by: str = typer.Option(..., "--as", help="who declares it"),
    reason: str = typer.Option(..., help="what happened"),
    json_output: JsonOption = False,
) -> None:
    """Declare that records the log no longer holds are lost, so that ingest goes on after them."""
    from flywheel.ingest.gaps import declare_gap

    platform = open_platform(existing=True)
    lost = declare_gap(
        platform.log,
        platform.lake,
        topic=topic,
        partition=partition,
        declared_by=declared_by,
        reason=reason,
        now=platform.clock.now(),
    )
    if json_output:
        print_facts({"topic": topic, "partition": partition, "offsets_lost": lost})
        return
    _print(f"{lost:,} offsets declared lost.")


def _replay_file(
    platform: "Platform", file: Path, reason: str | None, report: "ReplayReport"
) -> int:
    # Returns how many letters of the file are not dead.
    from flywheel.ingest.dead_letter_repair import read_repaired
    from flywheel.ingest.deadletters import DeadLetterId

    repaired = read_repaired(file)
    letters = [DeadLetterId.parse(text) for text in repaired]
    for start in range(0, len(letters), _AT_ONCE):
        _replay(platform, reason, letters[start : start + _AT_ONCE], repaired, report)
    return len(letters) - report.landed.total() - report.still_dead.total()


def _replay(
    platform: "Platform",
    reason: str | None,
    letters: Any,
    repaired: dict[str, bytes] | None,
    report: "ReplayReport",
) -> None:
    from flywheel.events import EventContract
    from flywheel.ingest.dead_letter_repair import Repairs
    from flywheel.ingest.deadletters import replay

    now = platform.clock.now()
    folder = platform.workload_folder
    key = platform.settings.hash_key.get_secret_value()
    done = replay(
        platform.lake,
        EventContract(folder.workloads.values(), not_loaded=folder.problems.keys()),
        now=now,
        reason=reason,
        letters=letters,
        repair=Repairs(folder.workloads, hash_key=key, now=now, repaired=repaired),
    )
    report.landed += done.landed
    report.still_dead += done.still_dead


def _filter(
    reason: str | None,
    topic: str | None,
    since: str | None,
    until: str | None,
    contains: str | None,
) -> "DeadLetterFilter":
    from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC
    from flywheel.ingest.dead_letter_list import DeadLetterFilter

    topics = (INFERENCES_TOPIC, FEEDBACK_TOPIC)
    if topic is not None and topic not in topics:
        raise ConfigurationError(
            f"There is no topic {topic!r}.", next_step=f"choose {' or '.join(topics)}"
        )
    return DeadLetterFilter(
        _known_reason(reason), topic, _moment("--since", since), _moment("--until", until), contains
    )


def _known_reason(reason: str | None) -> str | None:
    from flywheel.events import Reason

    if reason is not None and reason not in set(Reason):
        raise ConfigurationError(
            f"There is no reason {reason!r}.", next_step=f"choose {', '.join(sorted(Reason))}"
        )
    return reason


def _moment(option: str, value: str | None) -> datetime | None:
    from flywheel.errors import EventError
    from flywheel.events.foreign import read_moment

    if value is None:
        return None
    try:
        return read_moment(value)[0]
    except EventError as error:
        raise ConfigurationError(
            f"{option}: {error.message}", next_step="write for example 2026-03-01T12:00"
        ) from error


def _print(line: str) -> None:
    # Nothing is wrapped or cut: an id that is broken over two lines cannot be copied.
    _console.print(Text(line), soft_wrap=True)
