"""`render_turns`: the turns of a chat as one passage, written by the base model's own template.

The template sees a mark in place of every content. Nothing in a client's text can thus steer it,
and what it wrote around the marks is known to be the owner's. A template that trims contents has
them trimmed here, so that a text gets the ids that `apply_chat_template` gives it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal
from weakref import WeakKeyDictionary, proxy

from flywheel.errors import ConfigurationError
from flywheel.workload.passage import Passage, join_passages, owned, trimmed
from flywheel.workload.tokenization import control_tokens

__all__ = ["Turn", "end_of_turn", "has_chat_template", "render_turns"]

Role = Literal["system", "user", "assistant"]

# Blanks around the mark show what a template trims. No template writes these itself.
_BLANK = "\t\n\t"
_MARK = re.compile(f"({_BLANK})?\ue000(\\d+)\ue001({_BLANK})?")
# Reasoning bases answer at once by their template's own switch; others ignore it.
_SWITCHES: Mapping[str, Any] = {"enable_thinking": False, "thinking": False}
# A template that writes the day would have a model trained on other prompts than it is asked.
_DAY = date(2024, 7, 26)
_TODAY = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")
_PLAIN_PROMPT = "write prompt as one text, or choose a base model that was trained on chats"


@dataclass(frozen=True)
class Turn:
    """One turn of a chat."""

    role: Role
    content: Passage


def has_chat_template(tokenizer: Any) -> bool:
    """Return whether a base model says how it writes a chat."""
    return bool(getattr(tokenizer, "chat_template", None))


def render_turns(tokenizer: Any, turns: Sequence[Turn]) -> Passage:
    """Write turns as the base was trained on them, up to where the assistant's answer begins.

    Raises:
        ConfigurationError: the base has no template, its template refuses these turns, or a client
            could end a turn of it.
    """
    return _template_of(tokenizer).passage(turns)


def end_of_turn(tokenizer: Any) -> int | None:
    """Return the token by which a template ends the assistant's turn; None where it has none."""
    return _template_of(tokenizer).end


@dataclass(frozen=True)
class _Slot:
    # The place of one turn's content in the template's text.
    turn: int
    trims_start: bool
    trims_end: bool


class _Template:
    """One base's template, and what it writes around the contents of each order of roles."""

    def __init__(self, tokenizer: Any) -> None:
        if not has_chat_template(tokenizer):
            raise ConfigurationError(
                "prompt: the base model has no chat template.", next_step=_PLAIN_PROMPT
            )
        # Remembered for as long as the tokenizer is referenced elsewhere.
        self._tokenizer: Any = proxy(tokenizer)
        self.source = tokenizer.chat_template
        text = tokenizer.get_chat_template()
        self._text = _TODAY.sub(lambda found: repr(_DAY.strftime(found[2])), text)
        if "strftime_now(" in self._text:
            raise ConfigurationError(
                "prompt: the base model's chat template writes the day into every prompt.",
                next_step=_PLAIN_PROMPT,
            )
        self._frames: dict[tuple[Role, ...], list[str | _Slot]] = {}

    def passage(self, turns: Sequence[Turn]) -> Passage:
        roles = tuple(turn.role for turn in turns)
        if roles not in self._frames:
            self._frames[roles] = self._checked(roles)
        parts = []
        for part in self._frames[roles]:
            if isinstance(part, str):
                parts.append(owned(part))
            else:
                content = turns[part.turn].content
                parts.append(trimmed(content, start=part.trims_start, end=part.trims_end))
        return join_passages(parts, whole=True)

    @cached_property
    def end(self) -> int | None:
        frame = self._frame(("user", "assistant"), asks=False)
        after = frame[-1]
        ids = self._ids(after) if isinstance(after, str) else []
        return ids[0] if ids and ids[0] in control_tokens(self._tokenizer) else None

    def _checked(self, roles: tuple[Role, ...]) -> list[str | _Slot]:
        frame = self._frame(roles, asks=True)
        last = frame[-1] if isinstance(frame[-1], str) else ""
        if last.count("<think>") > last.count("</think>"):
            raise ConfigurationError(
                "base_model: its chat template opens a thought before every answer and has no "
                "switch for it; answers under the workload's mask hold no thoughts.",
                next_step=_PLAIN_PROMPT,
            )
        controls = control_tokens(self._tokenizer)
        if controls.keys().isdisjoint(self._ids(last)):
            raise ConfigurationError(
                "base_model: its chat template ends the user's turn in plain text, which any "
                "client's text could hold.",
                next_step=_PLAIN_PROMPT,
            )
        if self.end not in (None, self._tokenizer.eos_token_id):
            raise ConfigurationError(
                f"base_model: the end of a turn is {controls[self.end or 0]}, but its tokenizer "
                f"ends texts with {self._tokenizer.eos_token}.",
                next_step="run `flywheel base build` again: an import settles it",
            )
        return frame

    def _frame(self, roles: tuple[Role, ...], *, asks: bool) -> list[str | _Slot]:
        from jinja2 import TemplateError

        messages = [
            {"role": role, "content": f"{_BLANK}\ue000{index}\ue001{_BLANK}"}
            for index, role in enumerate(roles)
        ]
        try:
            text = self._tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=asks,
                chat_template=self._text,
                date_string=_DAY.strftime("%d %b %Y"),
                **_SWITCHES,
            )
        except (TemplateError, TypeError, ValueError) as error:
            field = "prompt.system" if roles[0] == "system" else "prompt"
            raise ConfigurationError(
                f"{field}: the base model's chat template refuses these turns "
                f"({', '.join(roles)}): {error}",
                next_step="put the instructions into prompt.user"
                if roles[0] == "system"
                else _PLAIN_PROMPT,
            ) from error
        return _parts(str(text), roles)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _parts(text: str, roles: Sequence[Role]) -> list[str | _Slot]:
    parts: list[str | _Slot] = []
    done = 0
    for found in _MARK.finditer(text):
        if found.start() > done:
            parts.append(text[done : found.start()])
        parts.append(_Slot(int(found[2]), trims_start=not found[1], trims_end=not found[3]))
        done = found.end()
    if done < len(text):
        parts.append(text[done:])
    written = sorted(part.turn for part in parts if isinstance(part, _Slot))
    if written != list(range(len(roles))):
        lost = [role for index, role in enumerate(roles) if written.count(index) != 1]
        raise ConfigurationError(
            f"prompt: the base model's chat template does not write the {', '.join(lost)} turn "
            "once, as it was given.",
            next_step=_PLAIN_PROMPT,
        )
    return parts


_TEMPLATES: WeakKeyDictionary[Any, _Template] = WeakKeyDictionary()


def _template_of(tokenizer: Any) -> _Template:
    cached = _TEMPLATES.get(tokenizer)
    if cached is None or cached.source != tokenizer.chat_template:
        cached = _TEMPLATES[tokenizer] = _Template(tokenizer)
    return cached
