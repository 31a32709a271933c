"""`Masking`: placeholders such as ``<EMAIL_1>`` in the place of personal data.

One `Masking` belongs to one call: the same value has the same placeholder in its request, its
answer and its output. What a placeholder stood for is kept nowhere.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.privacy.finding import Pii
from flywheel.privacy.names import find_names
from flywheel.privacy.recognizers import find_pii
from flywheel.workload.privacy import PrivacyRules

__all__ = ["Masking"]

# Names and ids of the protocol, and what is a keyed hash already.
_NOT_TEXTS = frozenset(
    {"id", "object", "model", "role", "type", "user", "safety_identifier", "trace_id",
     "conversation_id", "system_fingerprint", "finish_reason", "service_tier", "tool_call_id"}
)  # fmt: skip
_PLACEHOLDER = re.compile(r"<([A-Z_]{2,16})_(\d{1,9})>")


class Masking:
    """Mask the texts of one call.

    Args:
        rules: what is looked for.
    """

    def __init__(self, rules: PrivacyRules) -> None:
        self._rules = rules
        self._placeholders: dict[tuple[str, str], str] = {}
        self._last: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many different items were masked, by kind."""
        return Counter(kind for kind, _ in self._placeholders)

    def text(self, text: str) -> str:
        """Return a text with a placeholder for each item; one without any is returned as it is.

        Raises:
            ConfigurationError: the workload masks names, and the model that finds them is missing.
        """
        text = self._names(text)
        # What stood beside an item may be recognizable only without it.
        while findings := find_pii(text, kinds=self._rules.kinds, region=self._rules.region):
            text = self._replaced(text, findings)
        return text

    def value(self, value: Any, key: str = "") -> Any:
        """Return parsed JSON with every text masked, but for ids and names of the protocol."""
        if isinstance(value, str):
            return value if key in _NOT_TEXTS else self.text(value)
        if isinstance(value, list):
            return [self.value(item, key) for item in value]
        if isinstance(value, dict):
            return {name: self.value(item, name) for name, item in value.items()}
        return value

    def _names(self, text: str) -> str:
        # Once: to a model a placeholder may be a name as well.
        if self._rules.names is None or not text.strip():
            return text
        numbers = find_pii(text, kinds=self._rules.kinds, region=self._rules.region)
        taken = [(one.start, one.end) for one in numbers]
        taken += [match.span() for match in _PLACEHOLDER.finditer(text)]
        names = [
            name
            for name in find_names(text, self._rules.names)
            if all(name.end <= start or end <= name.start for start, end in taken)
        ]
        return self._replaced(text, names)

    def _replaced(self, text: str, findings: Sequence[Pii]) -> str:
        self._avoid_existing(text)
        parts, end = [], 0
        for finding in findings:
            parts += [text[end : finding.start], self._placeholder(finding)]
            end = finding.end
        return "".join([*parts, text[end:]])

    def _placeholder(self, finding: Pii) -> str:
        name = finding.kind.upper()
        item = (finding.kind, finding.value)
        if item not in self._placeholders:
            self._last[name] += 1
            self._placeholders[item] = f"<{name}_{self._last[name]}>"
        return self._placeholders[item]

    def _avoid_existing(self, text: str) -> None:
        # A caller may have masked before us: its <EMAIL_1> is another address than our first.
        ours = set(self._placeholders.values())
        for match in _PLACEHOLDER.finditer(text):
            if match[0] not in ours:
                self._last[match[1]] = max(self._last[match[1]], int(match[2]))
