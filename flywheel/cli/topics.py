"""`flywheel topics`: the topics that the project declares, made and compared."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.eventlog.topics import TopicState

__all__ = ["app"]

app = typer.Typer(help="Topics of the event log.", no_args_is_help=True)
_console = Console()
_DAY = 24 * 3600
_MEBIBYTE = 2**20
_LABELS = {
    "retention_seconds": "retention",
    "record_bytes": "largest record",
    "record_time": "time of a record",
}


@app.command("apply")
def apply_command(
    json_output: JsonOption = False,
) -> None:
    """Make the topics that are missing; tell, and leave alone, what differs (exit code 1)."""
    from flywheel.usecases.topics import make_topics

    _report(make_topics(open_platform()), json_output=json_output)


@app.command("show")
def show_command(
    json_output: JsonOption = False,
) -> None:
    """Compare the topics with what is declared; exit code 1 where one differs or is missing."""
    from flywheel.usecases.topics import compare_log_topics

    _report(compare_log_topics(open_platform(existing=True)), json_output=json_output)


@app.command("retire")
def retire_command(
    topic_id: Annotated[str, typer.Argument(help="id of a topic that the log has no more")],
    name: Annotated[str, typer.Option("--as", help="who says so")],
    reason: Annotated[str, typer.Option(help="why the topic is gone, in a sentence")],
    json_output: JsonOption = False,
) -> None:
    """Record that a topic was replaced on purpose, so that `verify` accounts for what it left."""
    from flywheel.usecases.retired_topics import retire_topic

    rows = retire_topic(open_platform(existing=True), topic_id, actor=name, reason=reason)
    if json_output:
        print_facts({"topic": topic_id, "rows": rows})
        return
    _console.print(f"{topic_id} is retired with {rows:,} rows", markup=False, soft_wrap=True)


def _report(states: "Sequence[TopicState]", *, json_output: bool) -> None:
    if json_output:
        rows = [asdict(s) | {"state": _state(s), "differences": s.differences} for s in states]
        print_facts(rows)
    else:
        _console.print(_table(states))
    all_match = all(state.found is not None and not state.differences for state in states)
    if not all_match:
        if not json_output:
            _console.print(
                "Nothing was changed. Change the topic with Kafka's own tools (kafka-configs, "
                "kafka-topics) if the difference is not meant."
            )
        raise typer.Exit(1)


def _state(state: "TopicState") -> str:
    if state.found is None:
        return "missing"
    if state.differences:
        return "differs"
    return "made" if state.made else "as declared"


def _table(states: "Sequence[TopicState]") -> Table:
    table = Table(title="topics")
    for column in ("topic", "state", "setting", "declared", "found"):
        table.add_column(column)
    for state in states:
        actual = {} if state.found is None else asdict(state.found)
        for row, (name, declared) in enumerate(asdict(state.declared).items()):
            value = actual.get(name)
            style = "red" if name in state.differences else ""
            table.add_row(
                Text("" if row else state.name),
                "" if row else _state(state),
                _LABELS.get(name, name),
                _shown(name, declared),
                Text("—" if value is None else _shown(name, value), style=style),
                end_section=row == len(asdict(state.declared)) - 1,
            )
    return table


def _shown(name: str, value: object) -> str:
    if not isinstance(value, int):
        return str(value)
    if name == "retention_seconds":
        if value < 0:
            return "for ever"
        return f"{value // _DAY:,} days" if value % _DAY == 0 else f"{value:,} s"
    if name == "record_bytes":
        return f"{value // _MEBIBYTE:,} MiB" if value % _MEBIBYTE == 0 else f"{value:,} bytes"
    return f"{value:,}"
