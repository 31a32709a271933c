"""`TaskGroups`: calls of a log, grouped by the prompt that they share, in bounded memory.

A task is its system prompt's first words; where that says little, the first words of the user's
text as well. Groups that few calls share are no task of their own: they go to one that is named so.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from flywheel.economics.logged_call import LoggedCall
from flywheel.economics.samples import DistinctCounts, Reservoir, text_hash

__all__ = ["VARYING", "TaskGroup", "TaskGroups"]

VARYING = "(no common prompt)"
_SYSTEM_WORDS, _OPENING_WORDS = 16, 5
_FEW_CALLS = 20
_MOST_GROUPS = 2_000
_DISTINCT, _SAMPLE = 20_000, 200
_CHARACTERS = 4_000
_NUMBER = re.compile(r"\d+")

Key = tuple[str, str, str]


@dataclass
class TaskGroup:
    """What the calls of one task have in common, and samples of their texts.

    ``system`` and ``opening`` are words of the prompt as they were first seen.
    """

    client: str
    system: str
    opening: str
    calls: int = 0
    failed: int = 0
    models: Counter[str] = field(default_factory=Counter)
    tokens: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    first_at: datetime | None = None
    last_at: datetime | None = None
    seconds: Reservoir[float] = field(default_factory=lambda: Reservoir(1_000))
    texts: Reservoir[str] = field(default_factory=lambda: Reservoir(_SAMPLE))
    answers: Reservoir[str] = field(default_factory=lambda: Reservoir(_SAMPLE))
    inputs: DistinctCounts = field(default_factory=lambda: DistinctCounts(_DISTINCT))
    answer_counts: DistinctCounts = field(default_factory=lambda: DistinctCounts(_DISTINCT))

    def add(self, call: LoggedCall) -> None:
        """Count one call."""
        model = call.model or "unnamed model"
        self.calls += 1
        self.failed += call.failed
        self.models[model] += 1
        if call.input_tokens is not None and call.output_tokens is not None:
            self._add_tokens(model, 1, call.input_tokens, call.output_tokens)
        if call.seconds is not None:
            self.seconds.add(call.seconds)
        self._stretch(call.at, call.at)
        if call.asked:
            self.inputs.add(call.asked)
            self.texts.add(call.asked[:_CHARACTERS])
        if call.answer is not None and not call.failed:
            self.answer_counts.add(" ".join(call.answer.split()).casefold())
            self.answers.add(call.answer[:_CHARACTERS])

    def merge(self, other: "TaskGroup") -> None:
        """Take the calls of a small group, whose samples hold all of them."""
        self.calls += other.calls
        self.failed += other.failed
        self.models += other.models
        for model, counts in other.tokens.items():
            self._add_tokens(model, *counts)
        self._stretch(other.first_at, other.last_at)
        for one in other.seconds:
            self.seconds.add(one)
        for text in other.texts:
            self.texts.add(text)
        for text in other.answers:
            self.answers.add(text)
        self.inputs.merge(other.inputs)
        self.answer_counts.merge(other.answer_counts)

    def _add_tokens(self, model: str, calls: int, given: float, answered: float) -> None:
        before = self.tokens.get(model, (0, 0.0, 0.0))
        self.tokens[model] = (before[0] + calls, before[1] + given, before[2] + answered)

    def _stretch(self, first: datetime | None, last: datetime | None) -> None:
        if first is not None and (self.first_at is None or first < self.first_at):
            self.first_at = first
        if last is not None and (self.last_at is None or last > self.last_at):
            self.last_at = last


class TaskGroups:
    """All calls so far, by task."""

    def __init__(self) -> None:
        self._groups: dict[Key, TaskGroup] = {}

    def add(self, call: LoggedCall) -> None:
        """Count one call under its task."""
        key = _key(call)
        if key not in self._groups and len(self._groups) >= _MOST_GROUPS:
            self._merge_small(also_systems=True)
            if len(self._groups) >= _MOST_GROUPS // 2:
                key = (key[0], "", VARYING)
        if key not in self._groups:
            opening = VARYING if key[2] == VARYING else _words(call.opening, _OPENING_WORDS)
            system = _words(call.system, 4 * _SYSTEM_WORDS) if key[1] else ""
            self._groups[key] = TaskGroup(key[0], system, opening)
        self._groups[key].add(call)

    def tasks(self) -> Iterator[TaskGroup]:
        """Yield the tasks, small groups merged, the most frequent first."""
        self._merge_small()
        yield from sorted(self._groups.values(), key=lambda group: (-group.calls, group.system))

    def _merge_small(self, *, also_systems: bool = False) -> None:
        for key in [key for key, group in self._groups.items() if group.calls < _FEW_CALLS]:
            client, system, opening = key
            if opening == VARYING or not (opening or also_systems):
                continue
            # What differs is left out of the name of the rest: the opening, or the whole prompt.
            rest = (client, system if opening else "", VARYING)
            group = self._groups.pop(key)
            if rest not in self._groups:
                name = group.system if opening else ""
                self._groups[rest] = TaskGroup(client, name, VARYING)
            self._groups[rest].merge(group)


def _key(call: LoggedCall) -> Key:
    system = _normal(call.system)
    client = call.client or ""
    words = system.split()
    if len(words) >= _SYSTEM_WORDS:
        # Dates, names and retrieved texts come behind the instruction as a rule.
        return client, str(text_hash(" ".join(words[:_SYSTEM_WORDS]))), ""
    opening = " ".join(_normal(call.opening).split()[:_OPENING_WORDS])
    return client, system, opening or VARYING


def _normal(text: str) -> str:
    return _NUMBER.sub("#", text[:_CHARACTERS]).casefold()


def _words(text: str, number: int) -> str:
    return " ".join(text[:_CHARACTERS].split()[:number])
