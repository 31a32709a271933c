"""A person answers review items in a terminal: one question at a time, by keyboard.

Texts of others are shown as plain text: neither markup nor control characters get through.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from flywheel.errors import ConfigurationError, RefusedError
from flywheel.ports.review_queue import AnnotationKind
from flywheel.review.label_studio_format import SIMULATED
from flywheel.review.local_queue import LocalReviewQueue
from flywheel.review.task_view import Task
from flywheel.workload import ClassificationTask, Workload

__all__ = ["SessionReport", "answer_items", "match_options", "plain"]

Ask = Callable[[str], str]
_HELP = "number or part of a name · s skip · ? can't tell · n new category · q quit"
_COMMANDS: dict[str, AnnotationKind] = {"s": "skipped", "?": "cant_tell", "n": "new_category"}


@dataclass(frozen=True)
class SessionReport:
    """What a person did before leaving."""

    judged: int
    skipped: int
    left: int


class _Command(Exception):  # noqa: N818 - ends one question, is no failure
    def __init__(self, kind: AnnotationKind | None) -> None:
        super().__init__()
        self.kind = kind  # None: quit


def answer_items(
    console: Console, ask: Ask, queue: LocalReviewQueue, workload: Workload, annotator: str
) -> SessionReport:
    """Ask about every open item until none is left or the person quits.

    Args:
        console: where items are shown.
        ask: shows a prompt and returns a line; EOFError and KeyboardInterrupt quit.
        queue: the items.
        workload: whose items.
        annotator: the person's name.
    """
    if annotator.startswith(SIMULATED):
        raise ConfigurationError(
            f"Names that begin with {SIMULATED} are kept for simulated annotators.",
            next_step="answer under your own name",
        )
    tasks = queue.open_tasks(workload.id, annotator)
    done = {"judged": 0, "skipped": 0}
    for number, task in enumerate(tasks, 1):
        show_task(console, task, f"{number} of {len(tasks)}")
        started = perf_counter()
        try:
            output, kind, proposed = _question(console, ask, workload, task)
        except (EOFError, KeyboardInterrupt):
            break
        except _Command as command:
            if command.kind is None:
                break
            output, kind, proposed = None, command.kind, None
        try:
            queue.submit(
                workload,
                task.item_id,
                annotator,
                output,
                kind=kind,
                proposed_label=proposed,
                seconds=round(perf_counter() - started, 1),
            )
        except RefusedError as error:
            console.print(Text(error.message, style="yellow"))
            continue
        done["skipped" if kind == "skipped" else "judged"] += 1
    left = len(queue.open_tasks(workload.id, annotator))
    return SessionReport(done["judged"], done["skipped"], left)


def show_task(console: Console, task: Task, place: str) -> None:
    """Show an item: its text, why it was chosen, and the model's answer where that is allowed."""
    console.print()
    console.print(Panel(Text(plain(task.input)), title=place, title_align="left"))
    console.print(Text.assemble(("why: ", "dim"), (plain(task.reason), "dim")))
    if task.suggestion is not None:
        sure = "" if task.confidence is None else f"  ({task.confidence:.0%} sure)"
        shown = plain(_shown(task.suggestion))
        console.print(Text.assemble(("model: ", "dim"), (shown, "bold"), (sure, "dim")))


def match_options(typed: str, options: Sequence[str]) -> list[str]:
    """Return the options that a person may mean: by number, name, part, or letters in order."""
    if typed.isdecimal() and 1 <= int(typed) <= len(options):
        return [options[int(typed) - 1]]
    folded = typed.casefold().strip()
    exact = [option for option in options if option.casefold() == folded]
    part = [option for option in options if folded in option.casefold()]
    return exact or part or [option for option in options if _in_order(folded, option.casefold())]


def plain(text: str) -> str:
    """Replace control characters, which could write over what stands on the screen."""
    return "".join(
        character if character in "\n\t" or unicodedata.category(character)[0] != "C" else "\ufffd"
        for character in text
    )


def _question(
    console: Console, ask: Ask, workload: Workload, task: Task
) -> tuple[Any, AnnotationKind, str | None]:
    keep = "Enter keeps the model's answer · " if task.suggestion is not None else ""
    console.print(Text(keep + _HELP, style="dim"))
    if isinstance(workload.task, ClassificationTask):
        chosen, proposed = _label(console, ask, workload, task.suggestion)
        return (None, "new_category", proposed) if proposed else (chosen, "answer", None)
    return _fields(console, ask, workload, task.suggestion)


def _fields(
    console: Console, ask: Ask, workload: Workload, suggestion: Any
) -> tuple[Any, AnnotationKind, str | None]:
    assert not isinstance(workload.task, ClassificationTask)  # asked for extractions only
    kept = suggestion if isinstance(suggestion, dict) else {}
    properties = workload.output_schema["properties"]
    required = workload.output_schema.get("required", ())
    answer: dict[str, Any] = {}
    proposed = None
    if kept:
        first = _line(ask, "answer (Enter keeps all of it, e edits)")
        if first == "":
            return kept, "answer", None
    for name, schema in properties.items():
        if name == workload.task.label_field:
            value, proposed = _label(console, ask, workload, kept.get(name))
            if proposed:
                continue
        elif "enum" in schema:
            options = [str(option) for option in schema["enum"]]
            text = _choose(console, ask, name, options, kept.get(name))
            value = schema["enum"][options.index(text)]
        else:
            value = _typed(
                console, ask, name, schema, kept.get(name), optional=name not in required
            )
        if value is not None:
            answer[name] = value
    return answer, "new_category" if proposed else "answer", proposed


def _label(console: Console, ask: Ask, workload: Workload, kept: Any) -> tuple[Any, str | None]:
    # The chosen label, or the name of a category that does not exist yet.
    assert workload.taxonomy is not None  # a workload with labels has one
    try:
        chosen = _choose(console, ask, "label", list(workload.taxonomy.names), kept)
    except _Command as command:
        if command.kind != "new_category":
            raise
        name = ""
        while not name:
            name = ask("name of the new category: ").strip()
        return None, name
    return chosen, None


def _choose(console: Console, ask: Ask, what: str, options: list[str], kept: Any) -> str:
    shown = options
    while True:
        numbered = [Text(f"{number:>3} {plain(o)}") for number, o in enumerate(shown, 1)]
        console.print(Columns(numbered, padding=(0, 2)))
        typed = _line(ask, f"{what} [{kept}]" if kept in options else what)
        if typed == "" and kept in options:
            return str(kept)
        found = match_options(typed, shown) if typed else options
        if len(found) == 1:
            console.print(Text(f"→ {plain(found[0])}", style="green"))
            return found[0]
        if not found:
            console.print(Text("nothing fits; all are shown again", style="yellow"))
        shown = found or options


def _typed(
    console: Console, ask: Ask, name: str, schema: dict[str, Any], kept: Any, *, optional: bool
) -> Any:
    import json  # noqa: PLC0415 - beside its use

    from jsonschema import Draft202012Validator  # noqa: PLC0415 - 0.1 s

    while True:
        default = "" if kept is None else f" [{_shown(kept)}]"
        typed = _line(ask, f"{name}{default}")
        if typed == "" and (kept is not None or optional):
            return kept
        value: Any = typed
        if schema.get("type") != "string":
            try:
                value = json.loads(typed)
            except ValueError:
                value = typed
        error = next(iter(Draft202012Validator(schema).iter_errors(value)), None)
        if error is None:
            return value
        console.print(Text(f"{plain(error.message)}", style="yellow"))


def _line(ask: Ask, prompt: str) -> str:
    typed = ask(f"{prompt}: ").strip()
    if typed == "q":
        raise _Command(None)
    if typed in _COMMANDS:
        raise _Command(_COMMANDS[typed])
    return typed


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return " · ".join(f"{key}: {inner}" for key, inner in value.items())
    return str(value)


def _in_order(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)
