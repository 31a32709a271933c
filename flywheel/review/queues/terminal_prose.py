"""`TextQuestions`: a person edits the draft of a text in the terminal, by keys or in an editor.

What was changed is shown against the draft, and so is every rule that the text breaks; a text that
breaks one may still be stored, since the person decides.
"""

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from flywheel.review.queues.label_studio_format import draft_problems
from flywheel.review.queues.terminal_text import Ask, plain, raise_command
from flywheel.workload.model import Workload
from flywheel.workload.text_edits import word_changes

__all__ = ["Edit", "TextQuestions", "edit_text"]

Edit = Callable[[str], str | None]
_ARROW = "=>"
_END = "."  # the line that ends a typed text
_STYLES = {"same": "", "removed": "red strike", "added": "green"}


def edit_text(text: str) -> str | None:
    """Open a text in the editor of the person and return what was saved, None: nothing."""
    import click

    return click.edit(text)


class TextQuestions:
    """Ask one person for the text of an item.

    Args:
        console: where changes and broken rules are shown.
        ask: shows a prompt and returns a line.
        workload: whose items.
        edit: opens an editor.
    """

    def __init__(self, console: Console, ask: Ask, workload: Workload, edit: Edit) -> None:
        self._console = console
        self._ask = ask
        self._workload = workload
        self._edit = edit

    def answer(self, input_text: str, draft: str | None) -> str:
        """Return the text that is to be stored; `u` throws the edits of this item away first."""
        text = draft or ""
        while True:
            typed = self._ask(f"{self._question(text, draft)}: ").strip()
            if typed == "" and text:
                return text
            if typed == "u" and text != (draft or ""):
                text = draft or ""
                self._console.print(Text("the edits are undone", style="yellow"))
                continue
            changed = self._changed(typed, text)
            if changed is None:
                continue
            text = str(self._workload.form.normal(changed))
            self._show(input_text, draft, text)

    def _question(self, text: str, draft: str | None) -> str:
        if not text:
            return "answer (e opens an editor, t types it)"
        return "Enter keeps the draft" if text == draft else "Enter stores the text"

    def _changed(self, typed: str, text: str) -> str | None:
        # The text after one command, None where nothing was changed.
        raise_command(typed)
        if typed == "e":
            return self._edit(text)
        if typed == "t":
            return self._typed()
        if _ARROW not in typed:
            self._warn("e edits the text, t types all of it, `old => new` replaces words")
            return None
        old, _, new = (part.strip() for part in typed.partition(_ARROW))
        if not old or old not in text:
            self._warn(f"{old!r} is not in the text")
            return None
        return text.replace(old, new, 1)

    def _typed(self) -> str:
        lines = []
        while (line := self._ask(f"line ({_END} alone ends): ")) != _END:
            lines.append(line)
        return "\n".join(lines)

    def _show(self, input_text: str, draft: str | None, text: str) -> None:
        parts = [(plain(part), _STYLES[kind]) for kind, part in word_changes(draft or "", text)]
        self._console.print(Text.assemble(*parts))
        for line in draft_problems(self._workload, input_text, text):
            self._warn(line)

    def _warn(self, text: str) -> None:
        self._console.print(Text(plain(text), style="yellow"))
