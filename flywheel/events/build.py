"""Parts of an event that producers in this project write: chat requests and responses."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from flywheel.workload.answers import canonical_json
from flywheel.workload.chat_prompt import instructions_of
from flywheel.workload.conversation import Speech, read_thread
from flywheel.workload.model import Workload

__all__ = ["chat_request", "chat_response", "raw_json"]


def raw_json(value: Any) -> Raw:
    """Write a JSON value as an event carries it."""
    return Raw(canonical_json(value).encode())


def chat_request(workload: Workload, text: str, *, model: str) -> Raw:
    """Write the OpenAI chat request that asks ``model`` about ``text``.

    The workload's instructions are the system message; the text alone is the user message, the
    turns of a conversation are messages each.
    """
    instructions = instructions_of(workload.prompt)
    system = [{"role": "system", "content": instructions}] if instructions else []
    spoken = [Speech("user", text)] if workload.input == "last_user" else read_thread(text)
    messages = system + [{"role": turn.speaker, "content": turn.text} for turn in spoken]
    return raw_json(
        {
            "model": model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": workload.limits.answer_tokens,
        }
    )


def chat_response(
    text: str,
    *,
    model: str,
    response_id: str,
    created: datetime,
    prompt_tokens: int,
    completion_tokens: int,
) -> Raw:
    """Write the OpenAI chat completion that carries an answer's text."""
    return Raw(
        msgspec.json.encode(
            {
                "id": f"chatcmpl-{response_id}",
                "object": "chat.completion",
                "created": int(created.timestamp()),
                "model": model,
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": text},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": completion_tokens,
                    "total_tokens": prompt_tokens + completion_tokens,
                },
            }
        )
    )
