"""`import_labelled`: the part of `flywheel import` that takes a labelled CSV or TSV as the seed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.dataset.golden import golden_counts
from flywheel.errors import ConfigurationError, DataError
from flywheel.events.foreign import hash_subject
from flywheel.ingest.labelled_answers import read_answers
from flywheel.ingest.labelled_file import LabelledFile, read_labelled
from flywheel.ingest.seed import import_seed, label_counts, seed_answers
from flywheel.ingest.seed_check import SeedCheck, check_seed, explain_problems
from flywheel.io.delimited_file import SEPARATORS
from flywheel.io.spelling import show_invisible
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["SeedChoices", "golden_note", "import_labelled", "judge_labelled"]

_console = Console(highlight=False)
_SHOWN = 40
_SHOWN_LINES = 5


@dataclass(frozen=True)
class SeedChoices:
    """Options of the command for a labelled file; ``answer`` is a column of whole answers."""

    text: str
    label: str | None
    fields: Mapping[str, str]
    subject: str | None
    separator: str | None
    skip_bad: bool
    answer: str | None = None


def import_labelled(
    platform: Platform, workload: Workload, file: Path, choices: SeedChoices, *, as_json: bool
) -> bool:
    """Import the rows that are new, print what became of the others, and return whether any is good.

    Raises:
        DataError: rows cannot be used, all of them named, and they are not to be skipped.
    """
    present = seed_answers(platform.lake, workload.id)
    content, check = judge_labelled(workload, file, choices, present)
    if check.new:
        key = platform.settings.hash_key.get_secret_value()
        subjects = [row.subject and hash_subject(row.subject, key) for row in check.new]
        import_seed(
            platform.lake,
            workload,
            [(row.text, row.output) for row in check.new],
            source_name=file.name,
            now=platform.clock.now(),
            subject_ids=subjects if any(subjects) else None,
        )
    counts = label_counts(platform.lake, workload.id)
    if as_json:
        typer.echo(json.dumps(_figures(content, check)))
    else:
        _show(content, check)
        _console.print(Text(golden_note(workload.golden_size, counts, workload.minimum_examples)))
    return bool(check.new or check.imported_before)


def judge_labelled(
    workload: Workload, file: Path, choices: SeedChoices, present: Mapping[str, str]
) -> tuple[LabelledFile, SeedCheck]:
    """Read a labelled file and judge its rows, for `init` and `import` alike.

    Args:
        workload: whose rows they are to be.
        file: the labelled file.
        choices: of the command.
        present: answers of the seed that is there, by `text_key`.

    Raises:
        DataError: rows cannot be used, all of them named, and they are not to be skipped.
    """
    content = _read(workload, file, choices)
    check = check_seed(workload, content.rows, present)
    check.problems = sorted([*content.problems, *check.problems], key=lambda one: one.line)
    if check.problems and not choices.skip_bad:
        raise _refusal(file, check)
    return content, check


def _read(workload: Workload, file: Path, choices: SeedChoices) -> LabelledFile:
    separator = _separator(choices.separator)
    if choices.answer is not None:
        return read_answers(
            file,
            workload,
            text=choices.text,
            answer=choices.answer,
            subject=choices.subject,
            separator=separator,
        )
    return read_labelled(
        file,
        workload,
        text=choices.text,
        label=choices.label,
        fields=choices.fields,
        subject=choices.subject,
        separator=separator,
    )


def golden_note(size: int, counts: Mapping[str, int], minimum_examples: int) -> str:
    """Return what a golden set leaves to train on, as a sentence.

    Args:
        size: the workload's ``golden_size``.
        counts: texts of the seed by label.
        minimum_examples: with which training starts.
    """
    rows, golden = sum(counts.values()), sum(golden_counts(size, counts).values())
    left = rows - golden
    said = (
        f"Of the {rows:,} rows of the seed the golden set (golden_size {size:,}, at most half of "
        f"each label) takes up to {golden:,}; about {left:,} are left to train on."
    )
    if rows < minimum_examples:
        said += (
            f" Training starts with {minimum_examples:,} accepted examples (minimum_examples): "
            f"{minimum_examples - rows:,} more are needed."
        )
    elif golden > left or 3 * golden > rows:
        said += " A smaller golden_size leaves more, and lets the gate see less."
    return said


def _separator(name: str | None) -> str | None:
    if name is None or name in SEPARATORS.values():
        return name
    if name not in SEPARATORS:
        raise ConfigurationError(
            f"There is no separator {name!r}.", next_step=f"choose {', '.join(SEPARATORS)}"
        )
    return SEPARATORS[name]


def _refusal(file: Path, check: SeedCheck) -> DataError:
    told = explain_problems(check.problems)
    more = [f"and {len(told) - _SHOWN:,} more kinds"] if len(told) > _SHOWN else []
    return DataError(
        f"{len(check.problems):,} rows of {file.name} cannot be used, and nothing was taken:\n  "
        + "\n  ".join([*told[:_SHOWN], *more]),
        next_step="correct the file or the taxonomy, or leave these rows out with --skip-bad",
    )


def _show(content: LabelledFile, check: SeedCheck) -> None:
    rows = len(content.rows) + len(content.problems)
    lines = [f"{len(check.new):,} of {rows:,} labelled rows are new."]
    if check.imported_before or check.repeated:
        lines.append(
            f"{check.imported_before:,} were imported before, {check.repeated:,} repeat another row."
        )
    for (given, taken), where in check.respelled.items():
        lines.append(_respelled(given, taken, where))
    if check.problems:
        lines.append(f"{len(check.problems):,} rows are left out:")
        lines += [f"  {said}" for said in explain_problems(check.problems)[:_SHOWN]]
    for line in lines:
        _console.print(Text(line))


def _respelled(given: str, taken: str, where: list[int]) -> str:
    places = ", ".join(map(str, where[:_SHOWN_LINES])) + (" …" if len(where) > _SHOWN_LINES else "")
    return f"{show_invisible(given)!r} was read as {taken!r} (line {places})."


def _figures(content: LabelledFile, check: SeedCheck) -> dict[str, object]:
    return {
        "rows": len(content.rows) + len(content.problems),
        "new": len(check.new),
        "imported_before": check.imported_before,
        "repeated": check.repeated,
        "bad": len({problem.line for problem in check.problems}),
        "problems": [{"line": one.line, "problem": one.message} for one in check.problems],
        "respelled": [
            {"given": given, "label": taken, "lines": lines}
            for (given, taken), lines in check.respelled.items()
        ],
    }
