"""What an answer means under the present taxonomy: label names of any version mapped to ids.

People, events and old rows speak label names; comparing two answers needs the ids behind them.
"""

from dataclasses import dataclass
from typing import Any

from flywheel.workload.answer_values import answer_validator, explain, plain_numbers
from flywheel.workload.json_text import canonical_json
from flywheel.workload.model import Workload

__all__ = ["AnswerMapping", "PresentAnswer"]


@dataclass(frozen=True)
class PresentAnswer:
    """An answer in present label names.

    ``label_id`` is None where the workload has no labels or ``unknown`` names one that it lacks;
    ``problem`` says why the answer cannot be used as it stands.
    """

    output: Any
    label_id: str | None
    unknown: str | None = None
    problem: str | None = None

    @property
    def usable(self) -> bool:
        """Whether the answer is valid under the present taxonomy and schema."""
        return self.problem is None


class AnswerMapping:
    """Read answers of one workload, whichever taxonomy version they speak."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._validator = answer_validator(workload.output_schema)
        self._known: dict[str, PresentAnswer] = {}
        self._keys: dict[str, str] = {}

    @property
    def workload(self) -> Workload:
        """The workload whose answers are read."""
        return self._workload

    def present(self, output: Any) -> PresentAnswer:
        """Map an answer to the present label names and check it."""
        normal = self._workload.form.normal
        if self._workload.form.is_text:  # seldom the same one twice
            return self._read(normal(output))
        text = canonical_json(output)
        if text not in self._known:  # most answers are given again and again
            self._known[text] = self._read(normal(output))
        return self._known[text]

    def _read(self, output: Any) -> PresentAnswer:
        taxonomy = self._workload.taxonomy
        label_id = None
        if taxonomy is not None:
            name = self._workload.label_of(output)
            if name is None:
                return PresentAnswer(output, None, problem="it holds no label")
            named_label = taxonomy.find(name)
            if named_label is None:
                return PresentAnswer(output, None, unknown=name, problem=f"{name!r} is not a label")
            label = taxonomy.resolve(named_label.id)
            if label is None:
                return PresentAnswer(
                    output, named_label.id, problem=f"label {named_label.id} was retired"
                )
            label_id = label.id
            output = self._workload.with_label(output, label.name)
        error = next(iter(self._validator.iter_errors(output)), None)
        return PresentAnswer(output, label_id, problem=explain(error) if error else None)

    def key(self, output: Any) -> str:
        """Return a text that two answers share exactly when they mean the same."""
        if self._workload.form.is_text:
            return self._key(output)
        text = canonical_json(output)
        if text not in self._keys:
            self._keys[text] = self._key(output)
        return self._keys[text]

    def _key(self, output: Any) -> str:
        current_output = self.present(output)
        if current_output.label_id is None:
            return canonical_json(plain_numbers(current_output.output))
        named = self._workload.with_label(current_output.output, current_output.label_id)
        return canonical_json(plain_numbers(named))

    def same(self, one: Any, other: Any) -> bool:
        """Return whether two answers count as the same: they mean the same, or are texts alike."""
        return self.key(one) == self.key(other) or self._workload.form.alike(one, other)

    def label_name(self, output: Any) -> str:
        """Return the name of the label in an answer, or the whole answer where it has none."""
        return self._workload.label_of(output) or canonical_json(output)

    def text(self, output: Any) -> str:
        """Write an answer in label names, as rows of a dataset hold it."""
        return self._workload.form.write(output)
