"""`flywheel doctor`: a check of the machine, the settings, the services and the stores."""

from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.deployment.doctor import examine
from flywheel.deployment.findings import Finding, masked
from flywheel.wiring import Platform, open_platform

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def doctor(json_output: JsonOption = False) -> None:
    """Check the machine, the settings and every store, and say what to do."""
    platform = open_platform()
    findings = list(examine(platform))
    if json_output:
        rows = [asdict(one) | {"detail": masked(one.detail, platform.settings)} for one in findings]
        print_facts({"good": all(one.good for one in findings), "findings": rows})
    else:
        _show(platform, findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def _show(platform: Platform, findings: Sequence[Finding]) -> None:
    table = Table(title=Text(f"flywheel doctor  ·  {platform.home}"))
    for column in ("check", "", "detail"):
        table.add_column(column)
    for finding in findings:
        mark = "[green]ok[/green]" if finding.good else "[red]no[/red]"
        mark = "[yellow]note[/yellow]" if finding.warning else mark
        detail = masked(finding.detail, platform.settings)
        table.add_row(Text(finding.what), mark, Text(detail))
    _console.print(table)
