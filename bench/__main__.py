"""`make bench`: every ratio, its anchor beside it, in one run on this machine."""

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from bench.decisions import figures
from bench.figure import Figure

_MODULES = [
    "startup",
    "decode",
    "lake",
    "whole_path",
    "history",
    "scale",
    "drift",
    "drift_page",
    "near",
    "orchestration",
    "trainer",
    "serving",
    "gateway",
]


def main(arguments: list[str]) -> None:
    """Measure the named benchmarks, or all of them; ``decisions`` and ``canary`` are simulated."""
    choices = [*_MODULES, *_SIMULATED]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(choices))
    names = parser.parse_args(arguments).names
    if unknown := [name for name in names if name not in choices]:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(choices)}")
    console = Console()
    console.print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    for title, simulate in _SIMULATED.items():
        if not names or title in names:
            _figures(console, title, simulate)
    names = [name for name in names or _MODULES if name not in _SIMULATED]
    if names:
        _ratios(console, names)


def _canary() -> list[Figure]:
    return importlib.import_module("bench.canary").measure()  # type: ignore[no-any-return]


_SIMULATED: dict[str, Callable[[], list[Figure]]] = {"decisions": figures, "canary": _canary}


def _figures(console: Console, title: str, simulate: Callable[[], list[Figure]]) -> None:
    table = Table(title=f"{title} (seeded simulations)")
    for column in ("what", "before", "measured", "aim", ""):
        table.add_column(column, justify="left" if column == "what" else "right")
    with console.status(f"simulating {title}"):
        rows = simulate()
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
