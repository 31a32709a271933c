"""The workload file: one narrow task with its owner, labels or schema, budget and thresholds.

The model is strict: an unknown key or a wrong value is refused with its path and what is allowed.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.periods import Cadence
from flywheel.taxonomy import Taxonomy

__all__ = [
    "ClassificationTask",
    "DailyTimes",
    "DriftThresholds",
    "ExtractionTask",
    "GateRules",
    "Limits",
    "ReviewPolicy",
    "SamplingShares",
    "TrainingRecipe",
    "TriggerRules",
    "Workload",
    "WorkloadId",
    "load_workload",
    "load_workloads",
    "parse_workload",
]

WorkloadId = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=48)
]


def _unquoted_time(value: object) -> object:
    # YAML reads an unquoted 12:30 as 750, in base 60.
    return f"{value // 60:02d}:{value % 60:02d}" if type(value) is int else value


TimeOfDay = Annotated[
    str,
    StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"),
    BeforeValidator(_unquoted_time),
]
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))


class ClassificationTask(_Strict):
    """Choose one label of the taxonomy."""

    type: Literal["classification"]


class ExtractionTask(_Strict):
    """Fill a JSON schema; ``label_field`` takes its allowed values from the taxonomy."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    type: Literal["extraction"]
    json_schema: dict[str, Any] = Field(alias="schema")
    label_field: str | None = None

    @model_validator(mode="after")
    def _schema_is_usable(self) -> Self:
        from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - 0.1 s

        try:
            Draft202012Validator.check_schema(self.json_schema)
        except SchemaError as error:
            msg = f"not a valid JSON schema: {error.message}"
            raise ValueError(msg) from error
        properties = self.json_schema.get("properties")
        if self.json_schema.get("type") != "object" or not properties:
            msg = "the schema must be of type object and have properties"
            raise ValueError(msg)
        if self.label_field is not None and self.label_field not in properties:
            msg = f"label_field {self.label_field!r} is not one of {', '.join(sorted(properties))}"
            raise ValueError(msg)
        return self


class SamplingShares(_Strict):
    """How the review budget is split; the shares add up to 1."""

    control: Share = 0.25
    uncertain: Share = 0.45
    novel: Share = 0.2
    flagged: Share = 0.1

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = self.control + self.uncertain + self.novel + self.flagged
        if abs(total - 1) > 1e-6:  # noqa: PLR2004 - rounding
            msg = f"the shares add up to {total:g}, not to 1"
            raise ValueError(msg)
        return self


class ReviewPolicy(_Strict):
    """What people are asked, and how often twice."""

    budget: int = Field(default=400, ge=1, description="judgments a period, all included")
    shares: SamplingShares = SamplingShares()
    confidence: Share = 0.85
    overlap: Share = Field(default=0.1, description="share of items judged by two people")
    near_duplicate: Share = Field(default=0.85, description="similarity from which texts are one")


class DriftThresholds(_Strict):
    """From which score a column counts as drifted, and for how long."""

    psi: float = Field(default=0.2, gt=0, description="population stability index of a column")
    jensen_shannon: Share = Field(default=0.15, description="distance of words and categories")
    quality_drop: Share = Field(default=0.05, description="fall of accuracy on the control slice")
    window_days: int = Field(default=7, ge=1)
    windows: int = Field(default=2, ge=1, description="drifted windows in a row that count")
    minimum_events: int = Field(default=200, ge=10, description="fewer in a window: no verdict")


class DailyTimes(_Strict):
    """When the daily work of a workload begins, in its own time zone."""

    sample: TimeOfDay = Field(default="04:00", description="choose what people review")
    observe: TimeOfDay = Field(default="05:00", description="profile, measure drift")


class TriggerRules(_Strict):
    """What opens a cycle besides the calendar."""

    cooldown_days: int = Field(default=14, ge=0)
    corrections: int = Field(default=1000, ge=1, description="new corrections that open a cycle")


class GateRules(_Strict):
    """What a candidate must show before a person is asked."""

    margin: Share = Field(default=0.03, description="non-inferiority margin in accuracy")
    holdout_margin: Share = Field(default=0.1, description="the same on the smaller holdout")
    significance: float = Field(default=0.05, gt=0, lt=0.5)
    power: float = Field(default=0.8, gt=0.5, lt=1)
    slice_floor: Share = Field(default=0.1, description="largest fall of one label's accuracy")
    slice_minimum: int = Field(default=20, ge=1, description="cases a slice needs for a floor")
    must_not_lose: Share = Field(default=0.98, description="share of fixed cases still right")
    schema_validity: Share = 0.99
    latency_ratio: float = Field(default=1.5, gt=0, description="p95 of candidate over champion")
    approval_days: int = Field(default=7, ge=1, description="life of a granted approval")


class TrainingRecipe(_Strict):
    """How an adapter is trained; every value is logged with the run."""

    method: Literal["sft"] = "sft"
    epochs: int = Field(default=6, ge=1, le=100)
    learning_rate: float = Field(default=1e-3, gt=0, lt=1)
    batch_size: int = Field(default=16, ge=1)
    rank: int = Field(default=16, ge=1, le=256)
    alpha: int = Field(default=32, ge=1)
    dropout: Share = 0.0
    maximum_tokens: int = Field(default=256, ge=16)
    checkpoint_steps: int = Field(default=50, ge=1)
    timeout_seconds: int = Field(default=6 * 3600, ge=1)


class Limits(_Strict):
    """Bounds at the edge."""

    event_bytes: int = Field(default=1_048_576, ge=1024)
    input_characters: int = Field(default=8_000, ge=16)
    answer_tokens: int = Field(default=128, ge=1)


class Workload(_Strict):
    """One task on the platform, as its file states it."""

    id: WorkloadId
    owner: str = Field(min_length=1)
    description: str = ""
    timezone: str = "UTC"
    seed: int = Field(default=0, ge=0)
    task: Annotated[ClassificationTask | ExtractionTask, Field(discriminator="type")]
    taxonomy: Taxonomy | None = None
    prompt: str
    base_model: str = "smollm2"
    cadence: Cadence = "quarterly"
    daily: DailyTimes = DailyTimes()
    minimum_examples: int = Field(default=500, ge=1)
    golden_size: int = Field(default=300, ge=10)
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
    """Read and check one workload file."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no workload file {path}.", next_step="write one with `flywheel init`"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is not readable YAML: {error}", next_step="correct the file"
        ) from error
    if not isinstance(raw, dict):
        raise ConfigurationError(
            f"{path} holds no mapping of keys to values.",
            next_step="write one with `flywheel init`",
        )
    return parse_workload(raw, source=str(path))


def parse_workload(raw: dict[str, Any], *, source: str) -> Workload:
    """Check a workload given as plain data; ``source`` names it in errors."""
    try:
        return Workload.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError(
            f"{source} is not a valid workload:\n{_explain(error)}",
            next_step="correct the keys named above; `flywheel init` shows all of them",
        ) from error


def load_workloads(folder: Path) -> dict[str, Workload]:
    """Read every ``*.yaml`` in a folder; each file is named by its workload's id."""
    workloads: dict[str, Workload] = {}
    for path in sorted(folder.glob("*.yaml")):
        workload = load_workload(path)
        if path.stem != workload.id:
            raise ConfigurationError(
                f"{path} holds the workload {workload.id!r}.",
                next_step=f"name the file {workload.id}.yaml",
            )
        workloads[workload.id] = workload
    return workloads


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
