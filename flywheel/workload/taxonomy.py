"""Labels with stable ids, and the versions they came and went in.

An id is never reused. A rename keeps the id and lists the former name; a merge names the label
that takes over; a split names the labels that a person must choose between again.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from flywheel.io.folding import twin_key
from flywheel.workload.label_names import clear_name, normalized

__all__ = ["Label", "LabelId", "Taxonomy"]

LabelId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
LabelName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=120, strip_whitespace=True),
    AfterValidator(clear_name),
]


class Label(BaseModel):
    """One label: its stable id, its present name and its history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: LabelId = Field(description="stable id, never used again")
    name: LabelName = Field(description="name that model and people use")
    description: str = Field(
        default="", description="what belongs under the label, shown to people"
    )
    former_names: tuple[LabelName, ...] = Field(
        default=(), description="names that older judgments and answers use"
    )
    added: int = Field(default=1, ge=1, description="taxonomy version that brought the label")
    retired: int | None = Field(default=None, ge=2, description="version that retired it")
    merged_into: LabelId | None = Field(default=None, description="label that took over")
    split_into: tuple[LabelId, ...] = Field(
        default=(), description="labels between which a person must choose again"
    )

    @model_validator(mode="after")
    def _heirs_need_retirement(self) -> Self:
        if (self.merged_into or self.split_into) and self.retired is None:
            msg = f"label {self.id!r} is merged or split: say in which version it is `retired`"
            raise ValueError(msg)
        return self


class Taxonomy(BaseModel):
    """All labels a workload ever had, at one version."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    version: int = Field(default=1, ge=1, description="raised by every change of the labels")
    labels: tuple[Label, ...] = Field(
        min_length=2, description="every label that the workload ever had"
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [name for label in self.labels for name in (label.name, *label.former_names)]
        for attribute, values in (("id", [label.id for label in self.labels]), ("name", names)):
            twice = sorted(value for value, count in Counter(values).items() if count > 1)
            if twice:
                msg = f"label {attribute} used twice: {', '.join(twice)}"
                raise ValueError(msg)
        twins = _twins(self.labels)
        if twins:
            msg = f"label names that people take for one: {'; '.join(twins)}"
            raise ValueError(msg)
        ids = {label.id for label in self.labels}
        for label in self.labels:
            if max(label.added, label.retired or 1) > self.version:
                msg = (
                    f"label {label.id!r} speaks of a version after {self.version}: raise `version`"
                )
                raise ValueError(msg)
            for heir in (*label.split_into, *([label.merged_into] if label.merged_into else [])):
                if heir not in ids:
                    msg = f"label {label.id!r} points at {heir!r}, which is not a label"
                    raise ValueError(msg)
        if len(self.active) < 2:  # noqa: PLR2004 - a choice needs two
            msg = "fewer than two labels are active"
            raise ValueError(msg)
        return self

    @cached_property
    def active(self) -> tuple[Label, ...]:
        """Labels in use at this version, in file order."""
        return tuple(label for label in self.labels if label.retired is None)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the active labels, in file order."""
        return tuple(label.name for label in self.active)

    def find(self, name: str) -> Label | None:
        """Return the label that bears or bore ``name``, retired ones included.

        Answers may write an accent as a character of its own; both spellings are one name.
        """
        return self._by_name.get(normalized(name))

    def resolve(self, label_id: str) -> Label | None:
        """Follow merges to the active label of ``label_id``.

        None means that a person must decide again: the label was retired or split, or is unknown.
        """
        label = self._by_id.get(label_id)
        visited: set[str] = set()
        while label is not None and label.merged_into and label.id not in visited:
            visited.add(label.id)
            label = self._by_id.get(label.merged_into)
        return label if label is not None and label.retired is None else None

    @cached_property
    def _by_name(self) -> dict[str, Label]:
        return {n: label for label in self.labels for n in (label.name, *label.former_names)}

    @cached_property
    def _by_id(self) -> dict[str, Label]:
        return {label.id: label for label in self.labels}


def _twins(labels: Sequence[Label]) -> list[str]:
    # Names of one label may differ by case: that is how it was renamed.
    owners: dict[str, tuple[str, str]] = {}
    twins = []
    for label in labels:
        for name in (label.name, *label.former_names):
            owner, first = owners.setdefault(twin_key(name), (label.id, name))
            if owner != label.id:
                twins.append(f"{first!r} of {owner!r} and {name!r} of {label.id!r}")
    return twins
