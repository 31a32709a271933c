"""`check_seed`: which labeled rows a workload can start from, and what is wrong with the others.

A pure decision over the rows of one file and the seed that is there already.
"""

import difflib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flywheel.ingest.labeled_file import LabeledRow
from flywheel.io.delimited_file import TableProblem
from flywheel.io.spelling import Spellings, show_invisible
from flywheel.workload.answer_values import answer_validator, explain
from flywheel.workload.answers import canonical_json
from flywheel.workload.conversation import input_length, plain_input
from flywheel.workload.model import Workload

__all__ = ["SeedCheck", "check_seed", "explain_problems", "text_key"]

_SHOWN_LINES = 8


@dataclass
class SeedCheck:
    """What a labeled file brings.

    ``new`` are usable rows with their answers in present label names; ``respelled`` are the lines
    on which a label was spelled otherwise, by spelling and label.
    """

    new: list[LabeledRow] = field(default_factory=list)
    problems: list[TableProblem] = field(default_factory=list)
    respelled: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    repeated: int = 0
    imported_before: int = 0


def text_key(text: str) -> str:
    """Return a key that texts share which differ in blanks alone."""
    return " ".join(text.split())


def check_seed(
    workload: Workload, rows: Sequence[LabeledRow], stored_answers: Mapping[str, str]
) -> SeedCheck:
    """Sort rows into new ones, those that are there already, and problems.

    Args:
        workload: whose taxonomy, schema and limits the rows must keep.
        rows: as the file has them.
        stored_answers: answers (JSON) of the seed that the workload has, by `text_key`.
    """
    check = SeedCheck()
    answers = _Answers(workload)
    usable: dict[str, list[LabeledRow]] = {}
    for written in rows:
        text = plain_input(workload.input, written.text, workload.limits.input_characters)
        row = replace(written, text=text)
        problem = _text_problem(workload, row.text)
        if problem is None:
            output, problem = answers.read(row.output)
        if problem is not None:
            check.problems.append(TableProblem(row.line, problem))
            continue
        spelling, label = workload.label_of(row.output), workload.label_of(output)
        if (
            spelling != label
            and spelling is not None
            and label is not None
            and not answers.bore(spelling)
        ):
            check.respelled[spelling, label].append(row.line)
        accepted = LabeledRow(row.line, row.text, output, row.subject)
        usable.setdefault(text_key(row.text), []).append(accepted)
    for key, alike in usable.items():
        _sort(check, workload, alike, stored_answers.get(key))
    check.problems.sort(key=lambda problem: problem.line)
    check.new.sort(key=lambda row: row.line)
    return check


def explain_problems(problems: Sequence[TableProblem]) -> list[str]:
    """Write every problem once, with the lines that have it."""
    lines: dict[str, list[int]] = {}
    for problem in problems:
        lines.setdefault(problem.message, []).append(problem.line)
    return [f"{_places(where)}: {message}" for message, where in lines.items()]


def _places(lines: Sequence[int]) -> str:
    numbers = ", ".join(f"{line:,}" for line in lines[:_SHOWN_LINES])
    more = f" and {len(lines) - _SHOWN_LINES:,} more" if len(lines) > _SHOWN_LINES else ""
    return f"{'line' if len(lines) == 1 else 'lines'} {numbers}{more}"


def _sort(
    check: SeedCheck, workload: Workload, alike: Sequence[LabeledRow], before: str | None
) -> None:
    # Rows of one text: of two answers neither is known to be right.
    answers = {canonical_json(row.output): row for row in reversed(alike)}
    if len(answers) > 1:
        conflicting = " and ".join(
            f"{_shown(workload, row.output)} (line {row.line:,})"
            for row in sorted(answers.values(), key=lambda row: row.line)
        )
        check.problems += [
            TableProblem(row.line, f"one text with different answers: {conflicting}")
            for row in alike
        ]
        return
    (answer,) = answers
    if before is None:
        check.new.append(alike[0])
        check.repeated += len(alike) - 1
    elif before == answer:
        check.imported_before += 1
        check.repeated += len(alike) - 1
    else:
        message = (
            f"its text was imported before as {_shown(workload, json.loads(before))}, "
            f"not {_shown(workload, alike[0].output)}"
        )
        check.problems += [TableProblem(row.line, message) for row in alike]


def _shown(workload: Workload, output: Any) -> str:
    label = workload.label_of(output)
    show_all = isinstance(output, str) or len(output) == 1
    return repr(show_invisible(label if label and show_all else canonical_json(output)))


def _text_problem(workload: Workload, text: str) -> str | None:
    limit = workload.limits.input_characters
    if not text:
        return "no text"
    if "\0" in text:  # as in an inference event
        return "the text holds the character U+0000"
    length = input_length(workload.input, text)
    if length > limit:
        return (
            f"the text has {length:,} characters, {limit:,} are allowed (limits.input_characters)"
        )
    return None


class _Answers:
    # Most answers of a file are given again and again.
    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        labels = workload.taxonomy.labels if workload.taxonomy else ()
        self._names = {name for label in labels for name in (label.name, *label.former_names)}
        self._spellings = Spellings(self._names)
        self._validator = answer_validator(workload.output_schema)
        self._seen: dict[str, tuple[Any, str | None]] = {}

    def bore(self, name: str) -> bool:
        """Whether a label bears or bore this very name."""
        return name in self._names

    def read(self, output: Any) -> tuple[Any, str | None]:
        """Return the answer in present label names, or what is wrong with it."""
        key = canonical_json(output)
        if key not in self._seen:
            self._seen[key] = self._read(output)
        return self._seen[key]

    def _read(self, output: Any) -> tuple[Any, str | None]:
        taxonomy = self._workload.taxonomy
        if taxonomy is not None:
            spelling = self._workload.label_of(output)
            if not spelling:
                return None, "no label"
            name = self._spellings.find(spelling)
            label = taxonomy.find(name) if name is not None else None
            if label is None:
                return None, self._unknown(spelling)
            current_label = taxonomy.resolve(label.id)
            if current_label is None:
                return None, f"{show_invisible(spelling)!r} is a label that was retired or split"
            output = self._workload.with_label(output, current_label.name)
        error = next(iter(self._validator.iter_errors(output)), None)
        if error is not None:
            return None, explain(error)
        return output, None

    def _unknown(self, spelling: str) -> str:
        near = difflib.get_close_matches(spelling, sorted(self._names), n=1)
        hint = f"; is {near[0]!r} meant?" if near else ""
        return f"{show_invisible(spelling)!r} is not a label of {self._workload.id}{hint}"
