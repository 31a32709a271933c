"""`answer_items`: a person answers review items in a terminal, one question at a time.

Texts of others are shown as plain text: neither markup nor control characters get through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from flywheel.errors import ConfigurationError, RefusedError
from flywheel.ports.answer_desk import AnswerDesk, OpenItem
from flywheel.ports.review_queue import AnnotationKind
from flywheel.review.queues.answer_fields import answer_fields
from flywheel.review.queues.label_studio_format import SIMULATED, draft_problems
from flywheel.review.queues.terminal_prose import Edit, TextQuestions, edit_text
from flywheel.review.queues.terminal_questions import Questions
from flywheel.review.queues.terminal_text import Ask, Command, Undo, plain
from flywheel.workload.conversation import TURN_BEGINS
from flywheel.workload.model import ClassificationTask, GenerationTask, Workload

__all__ = ["SessionReport", "answer_items"]

_WIDEST = 100


@dataclass(frozen=True)
class SessionReport:
    """What a person did before leaving."""

    judged: int
    skipped: int
    left: int


def answer_items(
    console: Console,
    ask: Ask,
    desk: AnswerDesk,
    workload: Workload,
    annotator: str,
    *,
    edit: Edit = edit_text,
) -> SessionReport:
    """Ask about every open item until none is left or the person quits.

    Args:
        console: where items are shown.
        ask: shows a prompt and returns a line; EOFError and KeyboardInterrupt quit.
        desk: where the items are and the answers go.
        workload: whose items.
        annotator: the name of the person, not one of the simulated.
        edit: opens a text in an editor and returns what was saved, None where nothing was.
    """
    if annotator.startswith(SIMULATED):
        raise ConfigurationError(
            f"Names that begin with {SIMULATED} are kept for simulated annotators.",
            next_step="answer under your own name",
        )
    tasks = desk.open_items(workload, annotator)
    session = _Session(console, ask, desk, workload, annotator, edit)
    answered: list[tuple[int, AnnotationKind]] = []
    at = 0
    while at < len(tasks) or answered:
        try:
            if at == len(tasks):
                session.confirm_end()
                break
            show_task(console, workload, tasks[at], f"{at + 1} of {len(tasks)}")
            kind = session.judge(tasks[at])
        except (EOFError, KeyboardInterrupt):
            break
        except Undo:
            at = session.take_back(tasks, answered, at)
            continue
        if kind == "quit":
            break
        if kind is not None:
            answered.append((at, kind))
        at += 1
    return session.report(answered)


class _Session:
    def __init__(
        self,
        console: Console,
        ask: Ask,
        desk: AnswerDesk,
        workload: Workload,
        annotator: str,
        edit: Edit,
    ) -> None:
        self._console = console
        self._ask = ask
        self._desk = desk
        self._workload = workload
        self._annotator = annotator
        self._questions = Questions(console, ask, workload)
        self._texts = TextQuestions(console, ask, workload, edit)

    def judge(self, task: OpenItem) -> AnnotationKind | Literal["quit"] | None:
        """Ask about an item and store the judgment; None where others gave all of them."""
        self._console.print(Text(_help(self._workload, task), style="dim"))
        started = perf_counter()
        output: Any = None
        proposed: str | None = None
        try:
            output, kind, proposed = self._ask_about(task)
        except Command as command:
            if command.kind is None:
                return "quit"
            kind = command.kind
        try:
            self._desk.submit(
                self._workload,
                task.item_id,
                self._annotator,
                output,
                kind=kind,
                proposed_label=proposed,
                seconds=round(perf_counter() - started, 1),
            )
        except RefusedError as error:
            self._console.print(Text(error.message, style="yellow"))
            return None
        return kind

    def _ask_about(self, task: OpenItem) -> tuple[Any, AnnotationKind, str | None]:
        if isinstance(self._workload.task, ClassificationTask):
            return self._questions.label(task.suggestion)
        if isinstance(self._workload.task, GenerationTask):
            draft = task.suggestion if isinstance(task.suggestion, str) else None
            return self._texts.answer(task.input, draft), "answer", None
        return self._questions.answer(task.suggestion)

    def report(self, answered: Sequence[tuple[int, AnnotationKind]]) -> SessionReport:
        """Count what was done, and what is left."""
        skipped = sum(kind == "skipped" for _, kind in answered)
        left = len(self._desk.open_items(self._workload, self._annotator))
        return SessionReport(len(answered) - skipped, skipped, left)

    def confirm_end(self) -> None:
        """Let the last answer be taken back too."""
        if self._ask("that was the last item (Enter ends, u takes your answer back): ") == "u":
            raise Undo

    def take_back(
        self, tasks: Sequence[OpenItem], answered: list[tuple[int, AnnotationKind]], at: int
    ) -> int:
        """Withdraw the last judgment of this session and return the number of its item."""
        if not answered:
            self._console.print(Text("there is nothing to take back", style="yellow"))
            return at
        before, _ = answered.pop()
        self._desk.withdraw(self._workload, tasks[before].item_id, self._annotator)
        self._console.print(Text("taken back; the item is asked again", style="yellow"))
        return before


def _help(workload: Workload, task: OpenItem) -> str:
    parts = []
    if isinstance(workload.task, ClassificationTask):
        parts += ["Enter keeps the model's answer"] if task.suggestion is not None else []
        parts += ["number or part of a name", "n new category"]
    elif isinstance(workload.task, GenerationTask):
        parts += ["Enter keeps the draft"] if task.suggestion is not None else []
        parts += ["e edit", "old => new replaces words", "t type all of it"]
    elif workload.task.label_field is not None:
        parts += [f"n new category, at {workload.task.label_field}"]
    return " · ".join([*parts, "s skip", "? can't tell", "u back", "q quit"])


def show_task(console: Console, workload: Workload, task: OpenItem, place: str) -> None:
    """Show an item: its text, why it was chosen, and the model's answer where that is allowed."""
    console.print()
    width = min(console.width, _WIDEST)  # a pipe has no width of its own
    asked = Text(plain(task.input))
    if workload.input == "conversation":
        asked.highlight_regex(TURN_BEGINS, "bold")
    console.print(Panel(asked, title=place, title_align="left", width=width))
    console.print(Text.assemble(("why: ", "dim"), (plain(task.reason), "dim")))
    if task.suggestion is None:
        return
    sure = "" if task.confidence is None else f"  ({task.confidence:.0%} sure)"
    if workload.form.is_text:
        console.print(Text.assemble(("draft:", "dim"), (sure, "dim")))
        console.print(Panel(Text(plain(str(task.suggestion))), width=width))
        for line in draft_problems(workload, task.input, task.suggestion):
            console.print(Text(plain(line), style="yellow"))
        return
    if not isinstance(task.suggestion, dict):
        suggestion = plain(str(task.suggestion))
        console.print(Text.assemble(("model: ", "dim"), (suggestion, "bold"), (sure, "dim")))
        return
    console.print(Text.assemble(("model:", "dim"), (sure, "dim")))
    fields = {field.name: field for field in answer_fields(workload)}
    for name, value in task.suggestion.items():
        field = fields.get(name)
        written = str(value) if field is None else field.written(value)
        lines = written if isinstance(written, list) else [str(written)]
        title = name if field is None else field.title
        console.print(Text.assemble((f"  {plain(title)}: ", "dim"), (plain(lines[0]), "bold")))
        for line in lines[1:]:
            console.print(Text(" " * (len(title) + 4) + plain(line), style="bold"))
