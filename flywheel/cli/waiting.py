"""`flywheel waiting`: what waits for a person, with the command that continues it."""

from dataclasses import asdict

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console(soft_wrap=True, highlight=False)


@app.command()
def waiting(
    json_output: JsonOption = False,
) -> None:
    """List what waits for a person: approvals, failed gates, reviews, disputes, dead letters.

    Dagster shows the same list as the asset platform/waiting_for_a_person.
    """
    from flywheel.usecases.waiting import waiting_for_people

    items = waiting_for_people(open_platform(existing=True))
    if json_output:
        print_facts([asdict(item) for item in items])
        return
    if not items:
        _console.print("Nothing waits for a person.")
    for item in items:
        since = f" (since {item.since:%Y-%m-%d %H:%M} UTC)" if item.since else ""
        _console.print(
            Text.assemble((f"{item.workload_id}  {item.kind}: ", "bold"), item.text, since)
        )
        _console.print(Text(f"  next: {item.command}"))
