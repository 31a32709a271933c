"""Questions of one item, asked in the terminal: `ask_label` and `ask_answer`.

A value is taken only if the schema takes it; what is wrong is explained and asked again. `u` goes
back by one question.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.text import Text

from flywheel.io.records import JsonObject
from flywheel.ports.review_queue import AnnotationKind
from flywheel.review.queues.answer_fields import AnswerField, answer_fields, field_of
from flywheel.review.queues.terminal_text import (
    Ask,
    NewCategory,
    Undo,
    match_options,
    plain,
    raise_command,
)
from flywheel.workload.answer_text import EMPTY_LIST, columns, read_line, read_typed, write_line
from flywheel.workload.answer_values import answer_validator, explain
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["Questions"]

_ABSENT: Any = object()
_LIST_HELP = (
    "a line adds an item · e 2 edits the second · d 2 removes it · - removes all · Enter ends"
)


class Questions:
    """Ask one person about the items of one workload.

    Args:
        console: where options and mistakes are shown.
        ask: shows a prompt and returns a line.
        workload: whose items.
    """

    def __init__(self, console: Console, ask: Ask, workload: Workload) -> None:
        self._console = console
        self._ask = ask
        self._fields = answer_fields(workload)
        self._mapping = AnswerMapping(workload)

    def label(self, suggestion: Any) -> tuple[Any, AnnotationKind, str | None]:
        """Ask for the label of a classification."""
        try:
            default = _ABSENT if suggestion is None else suggestion
            return self._choice(self._fields[0], default), "answer", None
        except NewCategory:
            return None, "new_category", self._category()

    def answer(self, suggestion: Any) -> tuple[Any, AnnotationKind, str | None]:
        """Ask for the fields of an extraction; a usable suggestion may be kept or edited in parts."""
        answer = dict(suggestion) if isinstance(suggestion, dict) else {}
        problem = self._mapping.present(answer).problem if answer else None
        if problem is not None:
            self._warn(f"the model's answer cannot be kept: {problem}")
        if not answer or problem is not None:
            return self._all_fields(answer)
        answer = self._mapping.present(answer).output
        names = {field.title: field for field in self._fields}
        while True:
            typed = self._line("answer (Enter keeps it, e edits all, or the name of a field)")
            if typed == "":
                return answer, "answer", None
            matches = match_options(typed, list(names)) if typed != "e" else []
            if len(matches) != 1 and typed != "e":
                self._warn(f"which field is {typed!r}? {', '.join(names)}")
                continue
            try:
                if typed == "e":
                    return self._all_fields(answer)
                proposed = self._one_field(names[matches[0]], answer)
            except Undo:
                continue
            if proposed is not None:
                return answer, "new_category", proposed
            self._console.print(Text(self._written(names[matches[0]], answer), style="green"))

    def _written(self, field: AnswerField, answer: Mapping[str, Any]) -> str:
        if field.name not in answer:
            return f"→ {plain(field.title)} is empty"
        return f"→ {plain(field.title)}: {plain(_shown(field, answer[str(field.name)]))}"

    def _all_fields(self, suggestion: Mapping[str, Any]) -> tuple[Any, AnnotationKind, str | None]:
        answer = {
            str(f.name): suggestion[str(f.name)] for f in self._fields if f.name in suggestion
        }
        proposed = None
        at = 0
        while at < len(self._fields):
            try:
                named = self._one_field(self._fields[at], answer)
            except Undo:
                if at == 0:
                    raise
                at -= 1
                continue
            proposed = named if self._fields[at].is_label else proposed
            at += 1
        if proposed is None:
            problem = self._mapping.present(answer).problem
            if problem is not None:  # no field alone is wrong
                self._warn(problem)
                return self._all_fields(answer)
        return answer, "new_category" if proposed else "answer", proposed

    def _one_field(self, field: AnswerField, answer: JsonObject) -> str | None:
        # Puts the value into the answer; returns the name of a category that does not exist yet.
        name = str(field.name)
        default = answer.get(name, _ABSENT)
        if (
            default is not _ABSENT
            and not field.is_label
            and _problem(field.schema, default) is not None
        ):
            default = _ABSENT
        try:
            value = self._value(field, default)
        except NewCategory:
            answer.pop(name, None)
            return self._category()
        answer.pop(name, None)
        if value is not _ABSENT:
            answer[name] = value
        return None

    def _value(self, field: AnswerField, default: Any) -> Any:
        if field.kind == "choices":
            return self._choice(field, default)
        if field.kind == "list":
            return self._list(field, default)
        return self._typed(field, default)

    def _category(self) -> str:
        name = ""
        while not name:
            name = self._ask("name of the new category: ").strip()
        return name

    def _choice(self, field: AnswerField, current: Any) -> Any:
        options = list(field.options)
        written = None if current is _ABSENT else field.written(current)
        default = f" [{plain(str(written))}]" if written in options else ""
        listed = options
        while True:
            numbered = [Text(f"{number:>3} {plain(o)}") for number, o in enumerate(listed, 1)]
            self._console.print(Columns(numbered, padding=(0, 2)))
            typed = self._line(f"{field.title}{default}", label=field.is_label)
            if typed == "" and default:
                return current
            if self._is_left_out(field, typed):
                return self._left_out(field)
            matches = match_options(typed, listed) if typed else options
            if len(matches) == 1:
                self._console.print(Text(f"→ {plain(matches[0])}", style="green"))
                return field.options[matches[0]]
            if not matches:
                self._warn("nothing fits; all are shown again")
            listed = matches or options

    def _typed(self, field: AnswerField, current: Any) -> Any:
        default = "" if current is _ABSENT else f" [{plain(_shown(field, current))}]"
        hint = f" ({field.hint})" if field.hint and not default else ""
        while True:
            typed = self._line(f"{field.title}{hint}{default}")
            if typed == "" and current is not _ABSENT:
                return current
            if self._is_left_out(field, typed):
                return self._left_out(field)
            value = (read_line if field.kind == "group" else read_typed)(field.schema, typed)
            problem = _problem(field.schema, value) if typed else "it may not be empty"
            if problem is None:
                return value
            self._warn(problem)

    def _list(self, field: AnswerField, default: Any) -> Any:
        items = list(default) if isinstance(default, list) else []
        schema = field.schema.get("items")
        schema = schema if isinstance(schema, Mapping) else {}
        self._console.print(Text(f"{plain(field.title)}: {field.hint}", style="dim"))
        self._console.print(Text(_LIST_HELP, style="dim"))
        decided = default is not _ABSENT
        while True:
            for number, item in enumerate(items, 1):
                self._console.print(Text(f"{number:>3} {plain(write_line(schema, item))}"))
            typed = self._line(f"{field.title} [{len(items)}]")
            if typed == "":
                if not decided and not field.required:
                    return _ABSENT
                problem = _problem(field.schema, items)
                if not decided:
                    problem = f"no line yet; {EMPTY_LIST} if there is none"
                if problem is None:
                    return items
                self._warn(problem)
                continue
            decided = True
            if typed == EMPTY_LIST and not items and _problem(field.schema, items) is None:
                return items
            self._change(items, schema, typed)

    def _change(self, items: list[Any], schema: Mapping[str, Any], typed: str) -> None:
        if typed == EMPTY_LIST:
            items.clear()
            return
        command, _, number = typed.partition(" ")
        if command in ("e", "d") and number.isdecimal():
            if not 1 <= int(number) <= len(items):
                self._warn(f"there is no item {number}")
            elif command == "d":
                del items[int(number) - 1]
            else:
                self._edit(items, int(number) - 1, schema)
            return
        value = read_line(schema, typed)
        problem = _problem(schema, value)
        if problem is None:
            items.append(value)
        else:
            self._warn(problem)

    def _edit(self, items: list[Any], at: int, schema: Mapping[str, Any]) -> None:
        parts = columns(schema)
        try:
            if parts is None:
                items[at] = self._value(field_of("item", schema, required=True), items[at])
                return
            changed = dict(items[at])
            for name, inner in parts.items():
                part = field_of(name, inner, required=name in schema.get("required", ()))
                self._one_field(part, changed)
            items[at] = {name: changed[name] for name in parts if name in changed}
        except Undo:
            self._warn("the item is as it was")

    def _is_left_out(self, field: AnswerField, typed: str) -> bool:
        return typed in ("", "-") and (field.nullable or not field.required)

    def _left_out(self, field: AnswerField) -> Any:
        return None if field.nullable and field.required else _ABSENT

    def _line(self, prompt: str, *, label: bool = False) -> str:
        typed = self._ask(f"{prompt}: ").strip()
        raise_command(typed)
        if typed == "n" and label:
            raise NewCategory
        return typed

    def _warn(self, text: str) -> None:
        self._console.print(Text(plain(text), style="yellow"))


def _problem(schema: Mapping[str, Any], value: Any) -> str | None:
    error = next(iter(answer_validator(schema).iter_errors(value)), None)
    return None if error is None else explain(error)


def _shown(field: AnswerField, value: Any) -> str:
    written = field.written(value)
    return (
        "; ".join(written)
        if isinstance(written, Sequence) and not isinstance(written, str)
        else str(written)
    )
