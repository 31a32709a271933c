"""How a parsed answer is written for a model, and read back.

A base model may hold one token of its own for a label (the tiny base does) and reserved tokens for
labels that come later; for any other base a label is written by its name. Rows, events and
corrections always speak names; only what a model reads and writes speaks surfaces.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from flywheel.errors import ConfigurationError, DataError
from flywheel.io.records import JsonObject
from flywheel.workload.answer_values import (
    answer_validator,
    closed,
    explain,
    ordered,
    plain_integers,
)
from flywheel.workload.generation import GenerationTask
from flywheel.workload.json_text import canonical_json
from flywheel.workload.model import Workload
from flywheel.workload.passage import Passage, join_passages, owned, quoted

__all__ = ["ANY_TEXT", "AnswerCodec", "assign_surfaces", "canonical_json"]

# Anything but nothing, line ends included.
ANY_TEXT = r"(.|\n)+"


def assign_surfaces(
    workload: Workload, earlier: Mapping[str, str], reserved: Sequence[str]
) -> dict[str, str]:
    """Give every label id its surface in a base model.

    Args:
        workload: whose taxonomy is meant.
        earlier: surfaces that the base was built with, by label id; empty for an ordinary base.
        reserved: spare surfaces, handed out in file order to labels added since.
    """
    labels = workload.taxonomy.labels if workload.taxonomy else ()
    if not earlier and not reserved:
        return {label.id: label.name for label in labels}
    late = [label.id for label in labels if label.id not in earlier]
    if len(late) > len(reserved):
        raise ConfigurationError(
            f"The base model has {len(reserved)} spare label tokens, but {len(late)} labels came "
            "after it was built.",
            next_step=f"build it again with `flywheel base build tiny --workload {workload.id}`",
        )
    return {**earlier, **dict(zip(late, reserved, strict=False))}


@dataclass(frozen=True)
class AnswerCodec:
    """Translate between a parsed answer and the text of one base model.

    ``surfaces`` maps label ids to the text that stands for them; labels whose ids are in
    ``excluded`` are not among the answers that a model may choose.
    """

    workload: Workload
    surfaces: Mapping[str, str]
    excluded: frozenset[str] = frozenset()

    @property
    def choices(self) -> list[str]:
        """Surfaces of the active labels that may be chosen, in file order."""
        labels = self.workload.taxonomy.active if self.workload.taxonomy else ()
        return [self.surfaces[label.id] for label in labels if label.id not in self.excluded]

    @property
    def schema(self) -> JsonObject:
        """JSON schema of the text that a model may write for an extraction."""
        schema = closed(json.loads(json.dumps(self.workload.output_schema)))
        if self._label_field is not None:
            schema["properties"][self._label_field]["enum"] = self.choices
        return schema

    @property
    def pattern(self) -> str | None:
        """Regular expression of the text that a model may write, None but for a generation."""
        task = self.workload.task
        if not isinstance(task, GenerationTask):
            return None
        return ANY_TEXT if task.pattern is None else task.pattern

    def with_room(self, times: int) -> "AnswerCodec":
        """Return the codec for answers of several times the workload's longest answer."""
        if times == 1:
            return self
        limits = self.workload.limits
        wider = limits.model_copy(update={"answer_tokens": limits.answer_tokens * times})
        return replace(self, workload=self.workload.model_copy(update={"limits": wider}))

    def encode(self, output: Any) -> str:
        """Write a parsed answer as the model is to write it."""
        return self.passage(output).text

    def passage(self, output: Any) -> Passage:
        """Write a parsed answer, free text in it marked as user text.

        Labels, keys and values that the schema lists are the owner's; whatever else an answer
        holds was copied from a client's text or typed by an annotator.
        """
        name = self.workload.label_of(output)
        named = name is not None and self.workload.taxonomy is not None
        if name is not None and self.workload.taxonomy is not None:
            label = self.workload.taxonomy.find(name)
            if label is None or label.id not in self.surfaces:
                raise DataError(
                    f"{name!r} is not a label of {self.workload.id}.",
                    next_step="add it to the taxonomy or map it to a label",
                )
            output = self.workload.with_label(output, self.surfaces[label.id])
        if self.workload.form.fields is None:
            return (owned if named else quoted)(self.workload.form.write(output))
        # The mask writes the properties of every object in the schema's order, and no 5.0 for an
        # integer: what is trained on must be what may be answered.
        schema = self.workload.form.fields
        properties = schema["properties"]
        answer = {key: output[key] for key in properties if key in output}
        parts = [owned("{")]
        for key, value in plain_integers(schema, ordered(schema, answer)).items():
            comma = "," if len(parts) > 1 else ""
            parts.append(owned(f"{comma}{canonical_json(key)}:"))
            is_label = named and key == self._label_field
            listed = is_label or _is_listed(properties[key], value)
            parts.append((owned if listed else quoted)(canonical_json(value)))
        return join_passages([*parts, owned("}")])

    def decode(self, text: str) -> Any:
        """Read a model's text back; raise DataError where it breaks the schema."""
        try:
            output: Any = self.workload.form.read(text.strip())
        except ValueError as error:
            raise DataError(f"The answer is not JSON: {error}") from error
        surface = self.workload.label_of(output)
        if surface is not None and self.workload.taxonomy is not None:
            if surface not in self._names:
                raise DataError(f"{surface!r} stands for no active label of {self.workload.id}.")
            output = self.workload.with_label(output, self._names[surface])
        broken = next(self._validator.iter_errors(output), None)
        if broken is not None:
            raise DataError(f"The answer breaks the schema: {explain(broken)}")
        return output

    @property
    def _label_field(self) -> str | None:
        return getattr(self.workload.task, "label_field", None)

    @cached_property
    def _names(self) -> dict[str, str]:
        labels = self.workload.taxonomy.active if self.workload.taxonomy else ()
        return {self.surfaces[label.id]: label.name for label in labels}

    @cached_property
    def _validator(self) -> Any:
        # Made once: checking the schema itself takes far longer than checking an answer.
        return answer_validator(self.workload.output_schema)


def _is_listed(schema: Any, value: Any) -> bool:
    return isinstance(schema, dict) and (
        value in schema.get("enum", ()) or ("const" in schema and value == schema["const"])
    )
