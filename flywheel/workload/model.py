"""The workload file: one narrow task with its owner, labels or schema, budget and thresholds.

The model is strict: an unknown key or a wrong value is refused with its path and what is allowed.
"""

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from flywheel.errors import ConfigurationError
from flywheel.io.records import JsonObject
from flywheel.workload.answer_forms import AnswerForm, answer_form
from flywheel.workload.answer_paths import field_paths
from flywheel.workload.chat_prompt import Prompt, problem_of_examples, user_template
from flywheel.workload.conversation import InputForm
from flywheel.workload.few_shot import FewShotRules
from flywheel.workload.file_errors import explain_errors
from flywheel.workload.generation import GenerationTask
from flywheel.workload.judge import JudgeRules
from flywheel.workload.periods import Cadence
from flywheel.workload.privacy import PrivacyRules
from flywheel.workload.release_rules import ReleaseRules
from flywheel.workload.sections import (
    DailyTimes,
    DriftThresholds,
    GateRules,
    Limits,
    ReviewPolicy,
    SamplingShares,
    Strict,
    TriggerRules,
)
from flywheel.workload.tasks import ClassificationTask, ExtractionTask, Task
from flywheel.workload.taxonomy import Taxonomy
from flywheel.workload.tiers import EscalationRules, Tier, Tiers
from flywheel.workload.time_zones import known_time_zone
from flywheel.workload.training import PreferenceRecipe, RecipeSearch, TrainingRecipe

__all__ = [
    "ClassificationTask",
    "DailyTimes",
    "DriftThresholds",
    "EscalationRules",
    "ExtractionTask",
    "FewShotRules",
    "GateRules",
    "GenerationTask",
    "JudgeRules",
    "Limits",
    "PreferenceRecipe",
    "PrivacyRules",
    "RecipeSearch",
    "ReleaseRules",
    "ReviewPolicy",
    "SamplingShares",
    "Tier",
    "TrainingRecipe",
    "TriggerRules",
    "Workload",
    "WorkloadId",
    "parse_workload",
]


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
    task: Annotated[Task, Field(discriminator="type")] = Field(
        description="what the model answers: a label, a JSON object, or a text"
    )
    taxonomy: Taxonomy | None = Field(
        default=None,
        description="labels; required for a classification and for an extraction with a label_field",
    )
    prompt: Prompt = Field(
        description="text with {input} exactly once, or turns for the base's own chat template"
    )
    input: InputForm = Field(
        default="last_user",
        description="what a call is about: its last user message, or the conversation as turns",
    )
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
    few_shot: FewShotRules = FewShotRules()
    training: TrainingRecipe = TrainingRecipe()
    limits: Limits = Limits()
    groups: tuple[Annotated[str, StringConstraints(pattern=r"^\w+(\.\w+)*$")], ...] = Field(
        default=(),
        description="attributes that the model card compares: client_id, route, or a path in the "
        "request such as metadata.region",
    )
    privacy: PrivacyRules | None = Field(
        default=None,
        description="mask personal data in what is kept of calls and feedback; default: no masking",
    )
    release: ReleaseRules | None = Field(
        default=None,
        description="stages between approval and champion; left out: champion at once",
    )
    tiers: Tiers = Field(
        default=(),
        description="who may answer, cheapest first, the first being the champion; left out: the champion alone",
    )
    escalation: EscalationRules = EscalationRules()
    judge: JudgeRules | None = Field(
        default=None,
        description="a model that says which answers look wrong; left out: none is asked",
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if user_template(self.prompt).count("{input}") != 1:
            msg = "prompt (prompt.user of a chat): must contain {input} exactly once"
            raise ValueError(msg)
        if self.form.has_label and self.taxonomy is None:
            msg = "taxonomy: required for classification and for an extraction with a label_field"
            raise ValueError(msg)
        if not self.form.has_label and self.taxonomy is not None:
            msg = "taxonomy: name the field that it governs in task.label_field"
            if self.task.type == "generation":
                msg = "taxonomy: a generation has no labels"
            raise ValueError(msg)
        paths = () if self.form.fields is None else field_paths(self.form.fields)
        for key in ("field_minimum", "must_hold_fields"):
            strange = sorted(set(getattr(self.gates, key)) - set(paths))
            if strange:
                msg = f"gates.{key}: {strange[0]!r} is not one of {', '.join(paths) or 'no fields'}"
                raise ValueError(msg)
        if self.judge and self.judge.source.name in {tier.name for tier in self.tiers}:
            msg = f"judge.source.name: {self.judge.source.name} is the name of a tier"
            raise ValueError(msg)
        problem = problem_of_examples(self)
        if problem is not None:
            raise ValueError(problem)
        return self

    def on_tier(self, tier: Tier) -> "Workload":
        """Return the workload on the base of one of its tiers; that base is recorded under its id."""
        changes = {"id": f"{self.id}.{tier.name}", "base_model": tier.base_model}
        return self.model_copy(update=changes)

    @property
    def further_models(self) -> tuple[Tier, ...]:
        """Models that the file names beside the champion: the further tiers and the judge."""
        return (*self.tiers[1:], *(() if self.judge is None else (self.judge.source,)))

    @property
    def taxonomy_version(self) -> int:
        """Version of the taxonomy, 0 where there is none."""
        return self.taxonomy.version if self.taxonomy else 0

    @property
    def label_names(self) -> dict[str, str]:
        """Names of the labels by id, retired ones too; empty without a taxonomy."""
        return {one.id: one.name for one in self.taxonomy.labels} if self.taxonomy else {}

    @cached_property
    def revision(self) -> str:
        """Digest of everything the file says, 12 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def form(self) -> AnswerForm:
        """What the answers of the task are: a label, an object, or a text."""
        return answer_form(self.task)

    @cached_property
    def output_schema(self) -> JsonObject:
        """JSON schema of a parsed answer, the active label names filled in."""
        return self.form.schema(self.taxonomy.names if self.taxonomy else ())

    def label_of(self, output: Any) -> str | None:
        """Return the label name inside a parsed answer, or None where it has none."""
        return self.form.label_of(output)

    def with_label(self, output: Any, name: str) -> Any:
        """Return ``output`` with its label replaced by ``name``."""
        return self.form.with_label(output, name)


def parse_workload(raw: JsonObject, *, source: str) -> Workload:
    """Check a workload given as plain data; ``source`` names it in errors."""
    try:
        return Workload.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError(
            f"{source} is not a valid workload:\n{explain_errors(error, Workload)}",
            next_step="correct the keys named above; `flywheel init` shows all of them",
        ) from error
    except (TypeError, RecursionError) as error:
        # Values that YAML can write and JSON cannot, such as a key that is a number.
        raise ConfigurationError(
            f"{source} is not a valid workload: {error}",
            next_step="write keys as texts, and no value that holds itself",
        ) from error
