"""`import_labeled`: the rows of a labeled file become the seed; `judge_labeled` only looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from flywheel.ingest.labeled_file import LabeledFile
    from flywheel.ingest.seed_check import SeedCheck
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "SeedChoices",
    "SeedImport",
    "golden_note",
    "import_labeled",
    "import_rows",
    "judge_labeled",
]

_SHOWN = 40


@dataclass(frozen=True)
class SeedChoices:
    """What a person says of a labeled file; ``answer`` is a column of whole answers."""

    text: str
    label: str | None
    fields: Mapping[str, str]
    subject: str | None
    separator: str | None
    skip_bad: bool
    answer: str | None = None


@dataclass(frozen=True)
class SeedImport:
    """The file, what became of its rows, and the texts of the whole seed by label."""

    content: "LabeledFile"
    check: "SeedCheck"
    counts: Mapping[str, int]

    @property
    def is_good(self) -> bool:
        """Return whether any row is in the seed now."""
        return bool(self.check.new or self.check.imported_before)

    @property
    def problems(self) -> list[str]:
        """Explain why rows were left out, a line for each kind of problem."""
        from flywheel.ingest.seed_check import explain_problems

        return explain_problems(self.check.problems)

    @property
    def rows(self) -> int:
        """Labeled rows of the file, the bad ones included."""
        return len(self.content.rows) + len(self.content.problems)


def import_labeled(
    platform: "Platform", workload: "Workload", file: Path, choices: SeedChoices
) -> SeedImport:
    """Import the rows that are new; rows that were imported before count once.

    Raises:
        DataError: rows cannot be used, all of them named, and they are not to be skipped.
    """
    from flywheel.events.foreign import hash_subject
    from flywheel.ingest.seed import import_seed, label_counts, seed_answers

    stored_answers = seed_answers(platform.lake, workload.id)
    content, check = judge_labeled(workload, file, choices, stored_answers)
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
    return SeedImport(content, check, label_counts(platform.lake, workload.id))


def import_rows(
    platform: "Platform", workload: "Workload", rows: Sequence[tuple[str, Any]], *, source_name: str
) -> int:
    """Import texts with their answers as the seed, all of them good; return how many were new.

    Raises:
        DataError: a row cannot be used; nothing is imported then.
    """
    from flywheel.ingest.seed import import_seed

    return import_seed(
        platform.lake, workload, rows, source_name=source_name, now=platform.clock.now()
    )


def judge_labeled(
    workload: "Workload", file: Path, choices: SeedChoices, stored_answers: Mapping[str, str]
) -> "tuple[LabeledFile, SeedCheck]":
    """Read a labeled file and judge its rows, for `init` and `import` alike.

    Args:
        workload: whose rows they are to be.
        file: the labeled file.
        choices: of the person.
        stored_answers: answers of the seed that is there, by `text_key`.

    Raises:
        DataError: rows cannot be used, all of them named, and they are not to be skipped.
    """
    from flywheel.ingest.seed_check import check_seed

    content = _read(workload, file, choices)
    check = check_seed(workload, content.rows, stored_answers)
    check.problems = sorted([*content.problems, *check.problems], key=lambda one: one.line)
    if check.problems and not choices.skip_bad:
        raise _refusal(file, check)
    return content, check


def golden_note(size: int, counts: Mapping[str, int], minimum_examples: int) -> str:
    """Return what a golden set leaves to train on, as a sentence.

    Args:
        size: the workload's ``golden_size``.
        counts: texts of the seed by label.
        minimum_examples: with which training starts.
    """
    from flywheel.dataset.golden import golden_counts

    rows, golden = sum(counts.values()), sum(golden_counts(size, counts).values())
    left = rows - golden
    note = (
        f"Of the {rows:,} rows of the seed the golden set (golden_size {size:,}, at most half of "
        f"each label), on which candidates are compared and never trained, takes up to {golden:,}; "
        f"about {left:,} are left to train on."
    )
    if rows < minimum_examples:
        note += (
            f" Training starts with {minimum_examples:,} accepted examples (minimum_examples): "
            f"{minimum_examples - rows:,} more are needed."
        )
    elif golden > left or 3 * golden > rows:
        note += " A smaller golden_size leaves more, and lets the gate see less."
    return note


def _read(workload: "Workload", file: Path, choices: SeedChoices) -> "LabeledFile":
    from flywheel.ingest.labeled_answers import read_answers
    from flywheel.ingest.labeled_file import read_labeled

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
    return read_labeled(
        file,
        workload,
        text=choices.text,
        label=choices.label,
        fields=choices.fields,
        subject=choices.subject,
        separator=separator,
    )


def _separator(name: str | None) -> str | None:
    from flywheel.io.delimited_file import SEPARATORS

    if name is None or name in SEPARATORS.values():
        return name
    if name not in SEPARATORS:
        raise ConfigurationError(
            f"There is no separator {name!r}.", next_step=f"choose {', '.join(SEPARATORS)}"
        )
    return SEPARATORS[name]


def _refusal(file: Path, check: "SeedCheck") -> DataError:
    from flywheel.ingest.seed_check import explain_problems

    problems = explain_problems(check.problems)
    more = [f"and {len(problems) - _SHOWN:,} more kinds"] if len(problems) > _SHOWN else []
    return DataError(
        f"{len(check.problems):,} rows of {file.name} cannot be used, and nothing was taken:\n  "
        + "\n  ".join([*problems[:_SHOWN], *more]),
        next_step="correct the file or the taxonomy, or leave these rows out with --skip-bad",
    )
