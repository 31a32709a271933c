"""`AnswerReader`: the workload's answer in a model's response, or why there is none.

A refusal, an answer that cannot be read and a call that failed are three things: the first two are
the model's, the third is not, and a file full of any of them wants another look.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from flywheel.events.foreign.json_text import describe, dict_at, list_at, text_at
from flywheel.io.records import JsonObject
from flywheel.io.spelling import Spellings, show_invisible
from flywheel.workload.answer_values import STRICT_JSON
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import ClassificationTask, GenerationTask, Workload

__all__ = ["Answer", "AnswerKind", "AnswerReader"]

AnswerKind = Literal["parsed", "refused", "unparseable", "failed"]

_FENCE = re.compile(r"```[\w+-]*[ \t]*\n?(.*?)```", re.DOTALL)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
_SHOWN = 80
_CACHED = 10_000


@dataclass(frozen=True)
class Answer:
    """What a response says: ``output`` is the parsed answer, None unless ``kind`` is parsed."""

    kind: AnswerKind
    output: Any = None
    detail: str | None = None


class AnswerReader:
    """Read the answers of one workload, in label names of any taxonomy version."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        labels = workload.taxonomy.labels if workload.taxonomy else ()
        self._spellings = Spellings(
            name for label in labels for name in (label.name, *label.former_names)
        )
        self._seen: dict[str, Answer] = {}
        self._validator: Any = None

    def read(self, response: JsonObject | None, error: str | None) -> Answer:
        """Read a chat completion; content, parts, tool and function calls are looked at in turn."""
        if error is not None or response is None:
            return Answer("failed", detail=error or "no response")
        choices = list_at(response, "choices")
        first = choices[0] if choices and isinstance(choices[0], dict) else {}
        message = dict_at(first, "message")
        refusal = text_at(message, "refusal") or _refusal_part(message)
        if refusal is not None:
            return Answer("refused", detail=show_invisible(refusal, limit=_SHOWN))
        unread: Answer | None = None
        for text in _texts(message):
            answer = self._read_text(text)
            if answer.kind == "parsed":
                return answer
            unread = unread or answer
        if text_at(first, "finish_reason") == "content_filter":
            return Answer("refused", detail="finish_reason content_filter")
        cut = " (finish_reason length)" if text_at(first, "finish_reason") == "length" else ""
        if unread is not None:
            return Answer("unparseable", detail=f"{unread.detail}{cut}")
        content = describe(message.get("content"))
        return Answer("unparseable", detail=f"no answer in the message: content is {content}{cut}")

    def _read_text(self, text: str) -> Answer:
        answer = self._seen.get(text)
        if answer is None:
            answer = self._parse(text)
            if len(self._seen) < _CACHED:
                self._seen[text] = answer
        return answer

    def _parse(self, text: str) -> Answer:
        stripped = _THOUGHT.sub("", text).strip()
        if isinstance(self._workload.task, GenerationTask):
            written = self._workload.form.normal(stripped)
            if not written:
                return Answer("unparseable", detail="there is no text in the message")
            return Answer("parsed", written)
        if isinstance(self._workload.task, ClassificationTask):
            label = self._label(stripped)
            if label is not None:
                return Answer("parsed", label)
            return Answer(
                "unparseable", detail=f"{show_invisible(stripped, limit=_SHOWN)!r} is not a label"
            )
        problem = f"{show_invisible(stripped, limit=_SHOWN)!r} is not a JSON object"
        for value in _json_values(stripped):
            if isinstance(value, dict):
                output, broken = self._checked(value)
                if broken is None:
                    return Answer("parsed", output)
                problem = broken
        return Answer("unparseable", detail=problem)

    def _label(self, text: str) -> str | None:
        for candidate in _plain_texts(text):
            match = self._spellings.find(candidate)
            if match is not None:
                return match
        for value in _json_values(text):
            labels = {label for one in _strings(value) if (label := self._spellings.find(one))}
            if len(labels) == 1:
                return labels.pop()
        return None

    def _checked(self, output: JsonObject) -> tuple[Any, str | None]:
        # The label may be one that was retired since; everything else keeps the schema of today.
        label = self._workload.label_of(output)
        checked = output
        if self._workload.taxonomy is not None:
            name = self._spellings.find(label) if label is not None else None
            if name is None:
                field = str(getattr(self._workload.task, "label_field", None))
                excerpt = show_invisible(canonical_json(output.get(field)), limit=_SHOWN)
                return None, f"{field}: {excerpt} is not a label"
            output = self._workload.with_label(output, name)
            checked = self._workload.with_label(output, self._workload.taxonomy.names[0])
        if self._validator is None:
            from jsonschema import Draft202012Validator

            self._validator = Draft202012Validator(self._workload.output_schema)
        error = next(iter(self._validator.iter_errors(checked)), None)
        if error is None:
            return output, None
        where = ".".join(str(part) for part in error.absolute_path)
        message = show_invisible(error.message, limit=2 * _SHOWN)
        return (
            None,
            f"breaks the schema: {where}: {message}" if where else f"breaks the schema: {message}",
        )


def _texts(message: JsonObject) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str) and content.strip():
        yield content
    if isinstance(content, list):
        parts = [one["text"] for one in content if isinstance(dict_at(one).get("text"), str)]
        if any(parts):
            yield "".join(parts)
        for part in content:
            if text_at(part, "type") == "tool_use":
                yield _written(dict_at(part).get("input"))
    for call in list_at(message, "tool_calls"):
        yield _written(dict_at(call, "function").get("arguments"))
    if dict_at(message, "function_call"):
        yield _written(dict_at(message, "function_call").get("arguments"))
    if isinstance(message.get("parsed"), (dict, str)):
        yield _written(message["parsed"])


def _written(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    try:
        return json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return ""


def _refusal_part(message: JsonObject) -> str | None:
    for part in list_at(message, "content"):
        if text_at(part, "type") == "refusal":
            return text_at(part, "refusal") or "refused"
    return None


def _plain_texts(text: str) -> Iterator[str]:
    yield text
    fenced = _FENCE.findall(text)
    for candidate in [*fenced[:1], text] if len(fenced) == 1 else [text]:
        bare = candidate.strip().strip(_QUOTES).strip()
        yield bare
        yield bare.rstrip(".!").strip(_QUOTES)


def _json_values(text: str) -> Iterator[Any]:
    # The whole text, what stands in its one fence, and the one object in a sentence.
    fenced = _FENCE.findall(text)
    for candidate in [text, *fenced] if len(fenced) == 1 else [text]:
        try:
            yield STRICT_JSON.decode(candidate)
        except (ValueError, RecursionError):
            continue
        return
    start = text.find("{")
    if start >= 0:
        try:
            value, end = STRICT_JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            return
        if "{" not in text[end:]:
            yield value


def _strings(value: Any) -> Iterator[str]:
    items = [value]
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, list):
        items = value
    for item in items:
        if isinstance(item, str):
            yield item.strip()
        elif isinstance(item, list) and len(item) == 1 and isinstance(item[0], str):
            yield item[0].strip()
