"""The workload file: one narrow task with its owner, labels or schema, budget and thresholds.

The model is strict: an unknown key or a wrong value is refused with its path and what is allowed.
"""

import hashlib
import json
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.workload.answer_paths import field_paths
from flywheel.workload.answer_schema import unsupported
from flywheel.workload.periods import Cadence
from flywheel.workload.sections import (
    ClassificationTask,
    DailyTimes,
    DriftThresholds,
    ExtractionTask,
    GateRules,
    Limits,
    PreferenceRecipe,
    ReviewPolicy,
    SamplingShares,
    Strict,
    TrainingRecipe,
    TriggerRules,
)
from flywheel.workload.taxonomy import Taxonomy
from flywheel.workload.time_zones import known_time_zone

__all__ = [
    "ClassificationTask",
    "DailyTimes",
    "DriftThresholds",
    "ExtractionTask",
    "GateRules",
    "Limits",
    "PreferenceRecipe",
    "ReviewPolicy",
    "SamplingShares",
    "TrainingRecipe",
    "TriggerRules",
    "Workload",
    "WorkloadId",
    "load_named_workload",
    "load_workload",
    "load_workload_of",
    "load_workloads",
    "parse_workload",
]

# Files whose content was checked before, in this process.
_REMEMBERED_FILES = 1024
_MOST_LEVELS = 100

WorkloadId = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=48)
]


class Workload(Strict):
    """One task on the platform, as its file states it."""

    id: WorkloadId = Field(description="name of the workload in every tool; it never changes")
    owner: str = Field(min_length=1, description="team or person that decides about releases")
    description: str = Field(default="", description="what the task is, for people")
    timezone: Annotated[str, AfterValidator(known_time_zone)] = Field(
        default="UTC", description="time zone of periods and daily times, such as Europe/Prague"
    )
    seed: int = Field(default=0, ge=0, description="seed of every random choice")
    task: Annotated[ClassificationTask | ExtractionTask, Field(discriminator="type")] = Field(
        description="what the model answers: a label, or a JSON object"
    )
    taxonomy: Taxonomy | None = Field(
        default=None,
        description="labels; required for a classification and for an extraction with a label_field",
    )
    prompt: str = Field(description="text sent to the model; contains {input} exactly once")
    base_model: str = Field(
        default="smollm2",
        description="tiny, smollm2, a folder, or the name of a model on the Hugging Face hub",
    )
    cadence: Cadence = Field(
        default="quarterly",
        description="length of a period: each opens a cycle and has a review budget",
    )
    daily: DailyTimes = DailyTimes()
    minimum_examples: int = Field(
        default=500,
        ge=1,
        description="accepted examples, the seed included, below which nothing is trained",
    )
    golden_size: int = Field(
        default=450, ge=10, description="cases of the golden set: frozen, never trained on"
    )
    review: ReviewPolicy = ReviewPolicy()
    drift: DriftThresholds = DriftThresholds()
    trigger: TriggerRules = TriggerRules()
    gates: GateRules = GateRules()
    training: TrainingRecipe = TrainingRecipe()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.prompt.count("{input}") != 1:
            msg = "prompt: must contain {input} exactly once"
            raise ValueError(msg)
        needs_labels = self.task.type == "classification" or self.task.label_field is not None
        if needs_labels and self.taxonomy is None:
            msg = "taxonomy: required for classification and for an extraction with a label_field"
            raise ValueError(msg)
        if not needs_labels and self.taxonomy is not None:
            msg = "taxonomy: name the field that it governs in task.label_field"
            raise ValueError(msg)
        task = self.task
        paths = () if isinstance(task, ClassificationTask) else field_paths(task.json_schema)
        strange = sorted(set(self.gates.field_minimum) - set(paths))
        if strange:
            msg = f"gates.field_minimum: {strange[0]!r} is not one of {', '.join(paths) or 'no fields'}"
            raise ValueError(msg)
        return self

    @property
    def taxonomy_version(self) -> int:
        """Version of the taxonomy, 0 where there is none."""
        return self.taxonomy.version if self.taxonomy else 0

    @cached_property
    def revision(self) -> str:
        """Digest of everything the file says, 12 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """JSON schema of a parsed answer, the active label names filled in."""
        if isinstance(self.task, ClassificationTask):
            assert self.taxonomy is not None  # checked above
            return {"enum": list(self.taxonomy.names)}
        schema = json.loads(json.dumps(self.task.json_schema))
        if self.task.label_field is not None and self.taxonomy is not None:
            field = schema["properties"][self.task.label_field]
            field |= {"type": "string", "enum": list(self.taxonomy.names)}
        return dict(schema)

    def label_of(self, output: Any) -> str | None:
        """Return the label name inside a parsed answer, or None where it has none."""
        if isinstance(self.task, ClassificationTask):
            return output if isinstance(output, str) else None
        if self.task.label_field is None or not isinstance(output, dict):
            return None
        value = output.get(self.task.label_field)
        return value if isinstance(value, str) else None

    def with_label(self, output: Any, name: str) -> Any:
        """Return ``output`` with its label replaced by ``name``."""
        if isinstance(self.task, ClassificationTask):
            return name
        return {**output, str(self.task.label_field): name}


def load_workload(path: Path) -> Workload:
    """Read and check one workload file; what it holds is checked again once it has changed."""
    try:
        return _workload_of(path, path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no workload file {path}.", next_step="write one with `flywheel init`"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", next_step="see to it that it is a readable file"
        ) from error


@lru_cache(maxsize=_REMEMBERED_FILES)
def _workload_of(path: Path, content: bytes) -> Workload:
    try:
        text = content.decode("utf-8")
        _refuse_deep(text)
        raw = yaml.load(text, Loader=yaml.CSafeLoader)
    # ValueError: no UTF-8, or a date that YAML reads and the calendar does not know.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{path} is not readable YAML: {error}", next_step="correct the file"
        ) from error
    if not isinstance(raw, dict):
        raise ConfigurationError(
            f"{path} holds no mapping of keys to values.",
            next_step="write one with `flywheel init`",
        )
    workload = parse_workload(raw, source=str(path))
    _check_schema(workload, str(path))
    return workload


def _refuse_deep(text: str) -> None:
    # The fast loader calls itself for each level, in C: deep enough, it ends the process.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_LEVELS:
            msg = f"it is nested deeper than {_MOST_LEVELS} levels"
            raise ValueError(msg)


def parse_workload(raw: dict[str, Any], *, source: str) -> Workload:
    """Check a workload given as plain data; ``source`` names it in errors."""
    try:
        return Workload.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError(
            f"{source} is not a valid workload:\n{_explain(error)}",
            next_step="correct the keys named above; `flywheel init` shows all of them",
        ) from error
    except (TypeError, RecursionError) as error:
        # Values that YAML can write and JSON cannot, such as a key that is a number.
        raise ConfigurationError(
            f"{source} is not a valid workload: {error}",
            next_step="write keys as texts, and no value that holds itself",
        ) from error


def _check_schema(workload: Workload, source: str) -> None:
    # Of files alone: the snapshot of a cycle that an earlier version opened reads back as it was.
    if isinstance(workload.task, ClassificationTask):
        return
    lines = unsupported(workload.task.json_schema)
    if lines:
        raise ConfigurationError(
            f"{source} asks for more than is supported of JSON Schema:\n  " + "\n  ".join(lines),
            next_step="correct the keys named above",
        )


def load_workloads(folder: Path) -> dict[str, Workload]:
    """Read every ``*.yaml`` in a folder, all of which must load.

    A deployment reads its own by `flywheel.workload.folder`, where one file stops no other.
    """
    return {path.stem: load_named_workload(path) for path in sorted(folder.glob("*.yaml"))}


def load_workload_of(folder: Path, workload_id: str) -> Workload:
    """Read the file of one workload in a folder, and no other file."""
    path = folder / f"{workload_id}.yaml"
    # An id that leads elsewhere is no workload of this folder.
    if path.parent != folder or not path.exists():
        names = ", ".join(sorted(other.stem for other in folder.glob("*.yaml")))
        raise NotFoundError(
            f"There is no workload {workload_id!r} in {folder}.",
            next_step=f"choose one of: {names or 'none yet, see `flywheel init`'}",
        )
    return load_named_workload(path)


def load_named_workload(path: Path) -> Workload:
    """Read a workload file that is named by its workload's id."""
    workload = load_workload(path)
    if path.stem != workload.id:
        raise ConfigurationError(
            f"{path} holds the workload {workload.id!r}.",
            next_step=f"name the file {workload.id}.yaml",
        )
    return workload


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"]) or "(file)"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = f"unknown key; allowed here: {', '.join(_siblings(item['loc']))}"
        lines.append(f"  {where}: {message} (given: {str(item['input'])[:80]!r})")
    return "\n".join(lines)


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    # Walks the models along the error's path; a step that is no field (a list index or the tag
    # of the task union) is passed over.
    model: type[BaseModel] = Workload
    tags: dict[str, type[BaseModel]] = {
        "classification": ClassificationTask,
        "extraction": ExtractionTask,
    }
    for part in location[:-1]:
        if part in tags:
            model = tags[str(part)]
            continue
        field = model.model_fields.get(str(part))
        model = _model_in(field.annotation) or model if field else model
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found:
            return found
    return None
