"""`Task`: what a model answers: a label (`ClassificationTask`), an object (`ExtractionTask`) or a text."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from flywheel.workload.answer_paths import item_fields
from flywheel.workload.generation import GenerationTask
from flywheel.workload.sections import Strict

__all__ = ["ClassificationTask", "ExtractionTask", "Task"]


class ClassificationTask(Strict):
    """Choose one label of the taxonomy."""

    type: Literal["classification"] = Field(description="the answer is a label's name")


class ExtractionTask(Strict):
    """Fill a JSON schema; ``label_field`` takes its allowed values from the taxonomy."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    type: Literal["extraction"] = Field(description="the answer is a JSON object")
    json_schema: dict[str, Any] = Field(
        alias="schema", description="JSON schema of the answer, an object with properties"
    )
    label_field: str | None = Field(
        default=None, description="property whose allowed values are the taxonomy's names"
    )
    item_keys: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default={},
        description="fields that make two items of a list the same one, by the list's path, such "
        "as line_items: [sku]; a list without is matched by most equal fields",
    )

    @model_validator(mode="after")
    def _schema_is_usable(self) -> Self:
        from jsonschema import Draft202012Validator, SchemaError

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
        lists = item_fields(self.json_schema)
        for path, names in self.item_keys.items():
            strange = sorted(set(names) - set(lists.get(path, ())))
            if strange:
                known = ", ".join(f"{one}: {', '.join(fields)}" for one, fields in lists.items())
                msg = f"item_keys.{path}: {strange[0]!r} is not one of {known or 'no lists of groups'}"
                raise ValueError(msg)
        return self


Task = ClassificationTask | ExtractionTask | GenerationTask
