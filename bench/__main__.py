"""`make bench`: every ratio, its anchor beside it, in one run on this machine."""

import importlib
import os
import platform
import sys

from rich.console import Console
from rich.table import Table

from bench.decisions import figures

_MODULES = [
    "startup",
    "decode",
    "lake",
    "whole_path",
    "drift",
    "orchestration",
    "trainer",
    "serving",
]


def main(names: list[str]) -> None:
    """Measure the named benchmarks, or all of them; ``decisions`` names the simulated decisions."""
    console = Console()
    console.print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    if not names or "decisions" in names:
        _decisions(console)
    names = [name for name in names or _MODULES if name != "decisions"]
    if names:
        _ratios(console, names)


def _decisions(console: Console) -> None:
    table = Table(title="decisions (seeded simulations)")
    for column in ("what", "before", "measured", "aim", ""):
        table.add_column(column, justify="left" if column == "what" else "right")
    with console.status("simulating decisions"):
        rows = figures()
    for row in rows:
        verdict = "[green]met[/green]" if row.met else "[yellow]short[/yellow]"
        table.add_row(row.name, row.before, row.measured, row.aim, verdict)
    console.print(table)


def _ratios(console: Console, names: list[str]) -> None:
    table = Table(title="ratios (medians; anchor measured in the same run)")
    for column in ("what", "measured", "anchor", "ratio", "aim", ""):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name in names:
        with console.status(f"measuring {name}"):
            ratios = importlib.import_module(f"bench.{name}").measure()
        for ratio in ratios:
            table.add_row(
                ratio.name,
                f"{ratio.measured:.3g} {ratio.unit}",
                f"{ratio.anchor:.3g} {ratio.unit}",
                f"{ratio.value:.2f}",
                ratio.aim,
                "[green]met[/green]" if ratio.good else "[yellow]short[/yellow]",
            )
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
