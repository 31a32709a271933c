"""`begin_workload`: the first file of a workload, with the labels of a labeled file where one is given."""

import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

from flywheel.deployment.csv_labels import labels_in_csv
from flywheel.deployment.workload_text import DISCORDANCE, workload_text
from flywheel.errors import ConfigurationError
from flywheel.io.atomic import creating, make_folder
from flywheel.settings import Settings, make_private
from flywheel.usecases.import_seed import SeedChoices, golden_note, judge_labeled
from flywheel.workload.files import load_workload
from flywheel.workload.model import parse_workload

__all__ = ["LabeledSource", "NewWorkload", "begin_workload"]


@dataclass(frozen=True)
class LabeledSource:
    """A labeled file to take the labels from, and its columns."""

    file: Path
    label_column: str = "label"
    text_column: str = "text"
    skip_bad: bool = False


@dataclass(frozen=True)
class NewWorkload:
    """The file that was written; ``notes`` say what its rules cannot do, ``command`` comes next."""

    path: Path
    labels: int
    notes: tuple[str, ...]
    command: str | None = None


def begin_workload(
    settings: Settings,
    workload_id: str,
    *,
    owner: str = "owner",
    task: str = "classification",
    base_model: str | None = None,
    source: LabeledSource | None = None,
    discordance: float = DISCORDANCE,
) -> NewWorkload:
    """Write a commented workload file that loads as it is; it may begin the deployment.

    Args:
        settings: name the folder of workload files.
        workload_id: such as support_tickets.
        owner: person or team that answers for it.
        task: classification, extraction or generation.
        base_model: as the file is to name it; default: that of the model of a file.
        source: where the labels are taken from.
        discordance: share of answers that differ between two models: decides the size of the
            golden set.

    Raises:
        ConfigurationError: the file is there already, or a value cannot be.
        DataError: rows of the source cannot be used, and they are not to be skipped.
    """
    from flywheel.drift.quality_promise import quality_promise

    path = settings.workload_folder / f"{workload_id}.yaml"
    if path.exists():
        raise ConfigurationError(
            f"{path} is there already.", next_step="edit it, or choose another id"
        )
    if source is not None and task == "generation":
        raise ConfigurationError(
            "A generation has no labels to take from a file.",
            next_step="leave out --from-csv, then import the file: `flywheel import FILE --workload "
            f"{workload_id} --text COLUMN --label COLUMN`",
        )
    counts = {} if source is None else _labels_of(source)
    labels = list(counts) or ["first label", "second label"]
    text = workload_text(
        workload_id,
        owner=owner,
        labels=labels,
        task=task,
        discordance=discordance,
        base_model=base_model,
    )
    make_private(settings.home, settings)  # it may be the first to need it
    make_folder(path.parent)
    with creating(path, private=False) as file:
        file.write(text.encode())
    workload = load_workload(path)
    promise = quality_promise(workload)
    notes = [] if promise.holds else [f"note: {promise.sentence}."]
    command = None
    if source is not None:
        notes.append(golden_note(workload.golden_size, counts, workload.minimum_examples))
        command = _import_command(workload_id, source)
    labels = labels if workload.taxonomy else []
    return NewWorkload(path, len(labels), tuple(notes), command)


def _labels_of(source: LabeledSource) -> dict[str, int]:
    # Returns the labels with their usable rows; `flywheel import` will judge the file alike.
    from flywheel.io.delimited_file import read_table

    counts = labels_in_csv(source.file, source.label_column, skip_bad=True)
    if source.text_column not in read_table(source.file, [source.label_column]).columns:
        return labels_in_csv(source.file, source.label_column, skip_bad=source.skip_bad)
    text = workload_text("of_the_file", owner="owner", labels=list(counts))
    workload = parse_workload(yaml.safe_load(text), source=source.file.name)
    choices = SeedChoices(
        source.text_column, source.label_column, {}, None, None, skip_bad=source.skip_bad
    )
    _, check = judge_labeled(workload, source.file, choices, {})
    usable = Counter(str(row.output) for row in check.new)
    return {name: usable[name] for name in counts if usable[name]}


def _import_command(workload_id: str, source: LabeledSource) -> str:
    words = ["flywheel", "import", str(source.file), "--workload", workload_id]
    words += ["--text", source.text_column, "--label", source.label_column]
    words += ["--skip-bad"] if source.skip_bad else []
    return shlex.join(words)
