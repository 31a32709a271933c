"""`show_seed_import`: what `flywheel import` prints of a labeled CSV or TSV."""

from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import print_facts
from flywheel.io.spelling import show_invisible
from flywheel.usecases.import_seed import SeedImport, golden_note
from flywheel.workload.model import Workload

__all__ = ["show_seed_import"]

_console = Console(highlight=False)
_SHOWN = 40
_SHOWN_LINES = 5


def show_seed_import(done: SeedImport, workload: Workload, *, as_json: bool) -> None:
    """Print what became of the rows of a labeled file, and what the golden set takes."""
    if as_json:
        print_facts(_figures(done))
        return
    for line in _lines(done):
        _console.print(Text(line))
    note = golden_note(workload.golden_size, done.counts, workload.minimum_examples)
    _console.print(Text(note))


def _lines(done: SeedImport) -> list[str]:
    check = done.check
    lines = [f"{len(check.new):,} of {done.rows:,} labeled rows are new."]
    if check.imported_before or check.repeated:
        lines.append(
            f"{check.imported_before:,} were imported before, {check.repeated:,} repeat another row."
        )
    for (given, label), where in check.respelled.items():
        lines.append(_respelled(given, label, where))
    if check.problems:
        lines.append(f"{len(check.problems):,} rows are left out:")
        lines += [f"  {problem}" for problem in done.problems[:_SHOWN]]
    return lines


def _respelled(spelling: str, label: str, where: list[int]) -> str:
    places = ", ".join(map(str, where[:_SHOWN_LINES])) + (" …" if len(where) > _SHOWN_LINES else "")
    return f"{show_invisible(spelling)!r} was read as {label!r} (line {places})."


def _figures(done: SeedImport) -> dict[str, object]:
    check = done.check
    return {
        "rows": done.rows,
        "new": len(check.new),
        "imported_before": check.imported_before,
        "repeated": check.repeated,
        "bad": len({problem.line for problem in check.problems}),
        "problems": [{"line": one.line, "problem": one.message} for one in check.problems],
        "respelled": [
            {"given": spelling, "label": label, "lines": lines}
            for (spelling, label), lines in check.respelled.items()
        ],
    }
