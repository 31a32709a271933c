"""`OpenAiEndpoint`: a tier that is asked over OpenAI's protocol, and whose answer is checked.

Nothing of a caller's request is passed on but the input and the headers that the tier lists;
redirects are not followed, and the key appears in no message.
"""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from flywheel.errors import ConfigurationError, DataError, UnavailableError
from flywheel.io.http import HttpAnswer, HttpClient, HttpService
from flywheel.io.records import JsonObject
from flywheel.workload.answers import AnswerCodec, assign_surfaces, canonical_json
from flywheel.workload.model import ClassificationTask, Workload
from flywheel.workload.prompt import stored_prompt
from flywheel.workload.tiers import Tier

__all__ = ["OpenAiEndpoint", "TierAnswer"]

_MOST_BYTES = 4 * 2**20
_CONNECTIONS = 16
_CONNECT_SECONDS = 5.0
_LABEL = "label"
# The answer of a general model is JSON around what a small one writes, in tokens of its own.
_FEWEST_TOKENS, _TOKENS_PER_TOKEN = 256, 4
_REFUSED_KEY = frozenset({401, 403})
_OK = 200
# What endpoints answer that have no list of models.
_NO_LIST = frozenset({404, 405, 501})


@dataclass(frozen=True)
class TierAnswer:
    """What an endpoint answered; as `Answer`, but without a confidence: it reports none of ours."""

    text: str
    output: Any
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    error: str | None = None
    confidence: None = None
    margin: None = None


class OpenAiEndpoint:
    """Ask one endpoint.

    Args:
        tier: where it is, and what it is asked for.
        workload: whose answers are asked for.
        environment: holds the key; default: the process's.
    """

    def __init__(
        self, tier: Tier, workload: Workload, environment: Mapping[str, str] | None = None
    ) -> None:
        assert tier.url is not None  # a tier without one is not an endpoint
        self._tier = tier
        self._codec = AnswerCodec(workload, assign_surfaces(workload, {}, ()))
        self._environment = os.environ if environment is None else environment
        self._client: HttpClient | None = None
        self._opening = threading.Lock()
        self.calls = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix=f"tier-{tier.name}")

    def close(self) -> None:
        """End the threads and connections; a call that is under way ends by its time-out."""
        self.calls.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def ask(
        self, text: str, headers: Mapping[str, str], rejected: TierAnswer | None = None
    ) -> TierAnswer:
        """Answer one input; called from one of the threads of ``calls``.

        Args:
            text: the input.
            headers: of the caller; those that the tier lists are passed on.
            rejected: an answer to it that did not fit, which the model is asked to correct.

        Raises:
            ConfigurationError: the key is missing or refused.
            UnavailableError: the endpoint does not answer, or not as OpenAI's protocol says.
        """
        body = self._body(text, rejected)
        passed = {name: headers[name] for name in self._tier.headers if name in headers}
        answer = self._http().send("POST", "/chat/completions", body, headers=passed)
        self._require_key_taken(answer)
        if answer.status != _OK:
            raise answer.failure()
        return self._read(answer)

    def inspect(self) -> str:
        """Ask the endpoint for its models, which costs nothing, and return what it answers in words.

        Raises:
            ConfigurationError: the key is missing or refused.
            UnavailableError: the endpoint cannot be reached, or fails.
        """
        answer = self._http().send("GET", "/models")
        self._require_key_taken(answer)
        if answer.status in _NO_LIST:
            return f"{self._tier.url} answers, and lists no models"
        if answer.status != _OK:
            raise answer.failure()
        body = answer.json()
        listed = body.get("data") if isinstance(body, dict) else None
        models = [one.get("id") for one in listed or () if isinstance(one, dict)]
        if models and self._tier.model not in models:
            raise ConfigurationError(
                f"The tier {self._tier.name} is asked for {self._tier.model}, which its endpoint "
                f"does not list: {', '.join(map(str, models[:5]))}.",
                next_step="correct the tier's model",
            )
        return f"{self._tier.url} answers, {self._tier.model}"

    def _require_key_taken(self, answer: HttpAnswer) -> None:
        if answer.status in _REFUSED_KEY:
            raise ConfigurationError(
                f"The tier {self._tier.name} refuses the key ({answer.status}).",
                next_step=f"set {self._tier.key_variable or 'key_variable'} to a valid key",
            )

    def _http(self) -> HttpClient:
        with self._opening:
            if self._client is None:
                self._client = self._open()
            return self._client

    def _open(self) -> HttpClient:
        assert self._tier.url is not None
        service = HttpService(
            self._tier.url,
            f"the tier {self._tier.name}",
            next_step="correct its url, or look at the endpoint",
            headers=self._credentials(),
        )
        return HttpClient(
            service,
            seconds=self._tier.timeout_seconds,
            connect_seconds=min(_CONNECT_SECONDS, self._tier.timeout_seconds),
            connections=_CONNECTIONS,
            most_bytes=_MOST_BYTES,
        )

    def _credentials(self) -> dict[str, str]:
        variable = self._tier.key_variable
        if variable is None:
            return {}
        key = self._environment.get(variable, "").strip()
        if not key:
            raise ConfigurationError(
                f"The tier {self._tier.name} has no key: {variable} is not set.",
                next_step=f"set {variable} in the gateway's environment and start it again",
            )
        return {"Authorization": f"Bearer {key}"}

    def _body(self, text: str, rejected: TierAnswer | None) -> JsonObject:
        limit = self._codec.workload.limits.answer_tokens
        body: dict[str, Any] = {
            "model": self._tier.model,
            "messages": self._messages(text, rejected),
            "response_format": self._response_format(),
            "temperature": 0,
            "max_tokens": max(_FEWEST_TOKENS, _TOKENS_PER_TOKEN * limit),
        } | self._tier.parameters  # fmt: skip
        return {name: value for name, value in body.items() if value is not None}

    def _response_format(self) -> JsonObject | None:
        if self._codec.workload.form.is_text:
            return None
        schema = {"name": "answer", "schema": self._schema, "strict": _is_strict(self._schema)}
        return {"type": "json_schema", "json_schema": schema}

    def _messages(self, text: str, rejected: TierAnswer | None) -> list[dict[str, str]]:
        prompt = stored_prompt(self._codec.workload, text, self._written)
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        messages = turns if self._codec.workload.form.is_text else self._instructed(turns)
        if rejected is not None:
            reason = rejected.error or "it does not fit the schema"
            messages += [
                {"role": "assistant", "content": rejected.text},
                {"role": "user", "content": f"This answer is not valid: {reason} Answer again."},
            ]
        return messages

    def _instructed(self, turns: list[dict[str, str]]) -> list[dict[str, str]]:
        instruction = f"Answer with one JSON object of this schema: {canonical_json(self._schema)}"
        if turns[0]["role"] == "system":
            instruction = f"{turns.pop(0)['content']}\n\n{instruction}"
        return [{"role": "system", "content": instruction}, *turns]

    def _written(self, output: Any) -> str:
        # Examples of a chat are answered in the form that is asked for.
        if isinstance(self._codec.workload.task, ClassificationTask):
            return canonical_json({_LABEL: output})
        return self._codec.encode(output)

    @property
    def _schema(self) -> JsonObject:
        if isinstance(self._codec.workload.task, ClassificationTask):
            properties = {_LABEL: {"type": "string", "enum": self._codec.choices}}
            return {
                "type": "object", "properties": properties, "required": [_LABEL],
                "additionalProperties": False,
            }  # fmt: skip
        return self._codec.schema

    def _read(self, answer: HttpAnswer) -> TierAnswer:
        body = answer.json()
        try:
            choice = body["choices"][0]
            content = choice["message"]["content"]
            usage = body.get("usage") or {}
            tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise UnavailableError(
                f"The tier {self._tier.name} answered with something that is not a chat completion.",
                next_step="correct its url: it ends with /v1 for most endpoints",
            ) from error
        text = content if isinstance(content, str) else ""
        output, problem = None, None
        if choice.get("finish_reason") == "length":
            problem = f"The answer was cut off after {tokens[1]} tokens."
        else:
            try:
                output = self._codec.decode(self._surface(text))
            except DataError as broken:
                problem = broken.message
        return TierAnswer(text, output, 0.0, *tokens, error=problem)

    def _surface(self, text: str) -> str:
        # An endpoint that does not know response_format may answer with the label alone.
        if not isinstance(self._codec.workload.task, ClassificationTask):
            return text
        try:
            answer = json.loads(text)
        except ValueError:
            return text
        label = answer.get(_LABEL) if isinstance(answer, dict) else answer
        return label if isinstance(label, str) else text


def _is_strict(schema: Any) -> bool:
    # OpenAI takes a schema as strict whose objects require all their properties and no others.
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return all(_is_strict(one) for one in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        names = set(schema.get("properties", {}))
        if (
            names != set(schema.get("required", ()))
            or schema.get("additionalProperties") is not False
        ):
            return False
    return all(_is_strict(one) for one in schema.values())
