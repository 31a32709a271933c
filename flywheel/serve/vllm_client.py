"""`VllmClient`: calls to one vLLM; its failures become an unavailable service or a wrong token."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import read_base
from flywheel.errors import (
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    UnavailableError,
)
from flywheel.io.http import HttpClient, HttpService
from flywheel.ports.model_server import base_alias

__all__ = ["ServedModels", "VllmClient", "error_message"]

_CONNECT_SECONDS = 5.0
_MOST_SAID = 400


@dataclass(frozen=True)
class ServedModels:
    """What a vLLM serves: names and folder of its base, and each adapter's folder by its name."""

    bases: tuple[str, ...]
    root: str
    adapters: Mapping[str, str]

    def serves(self, digest: str) -> bool:
        """Return whether its base is the one with this digest.

        Its name carries the digest. Where its folder can be read from here and holds a base model,
        the folder must agree.

        Raises:
            IntegrityError: the name says one base, and the folder holds another.
        """
        if base_alias(digest) not in self.bases:
            return False
        if (served := _digest_in(self.root)) not in {None, digest}:
            raise IntegrityError(
                f"A vLLM calls its base model {base_alias(digest)}, and serves the folder "
                f"{self.root}, which holds the base model {str(served)[:16]}.",
                next_step="start it again with --model and --served-model-name of one base",
            )
        return True


class VllmClient:
    """Talk to vLLM over connections that are kept open.

    Args:
        url: ``http://host:port``, without ``/v1``.
        token: its ``--api-key``, if it has one.
        connections: most requests at a time.
        timeout_seconds: longest wait for one answer.
    """

    def __init__(
        self, url: str, token: str | None, *, connections: int, timeout_seconds: float
    ) -> None:
        self.url = url.rstrip("/")
        service = HttpService(
            self.url,
            "vLLM",
            next_step="start it (`flywheel services up vllm`), or correct FLYWHEEL_VLLM_URL",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            repeatable=True,
        )
        self._http = HttpClient(
            service,
            seconds=timeout_seconds,
            connect_seconds=_CONNECT_SECONDS,
            connections=connections,
        )

    def get(self, path: str) -> Any:
        """Return the JSON of a path; anything but success is UnavailableError."""
        status, payload = self.send("GET", path)
        if status != HTTPStatus.OK:
            raise UnavailableError(
                f"vLLM at {self.url} answered {path} with {status}: {error_message(payload)}",
                next_step="look at `flywheel services logs vllm`",
            )
        return payload

    def models(self) -> ServedModels:
        """Return what it serves."""
        cards = self.get("/v1/models")["data"]
        return ServedModels(
            bases=tuple(card["id"] for card in cards if card.get("parent") is None),
            root=next((str(card["root"]) for card in cards if card.get("parent") is None), ""),
            adapters={card["id"]: card["root"] for card in cards if card.get("parent") is not None},
        )

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and content, parsed where it is JSON.

        Raises:
            UnavailableError: vLLM does not answer, or breaks off.
            ConfigurationError: it refuses the token.
        """
        answer = self._http.send(method, path, body)
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise ConfigurationError(
                f"vLLM at {self.url} refuses the token.",
                next_step="set FLYWHEEL_VLLM_TOKEN to vLLM's --api-key",
            )
        try:
            return answer.status, json.loads(answer.content)
        except ValueError:
            return answer.status, answer.text

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _digest_in(root: str) -> str | None:
    # None: the folder is on another machine, may not be read here, or holds no base model.
    try:
        return read_base(Path(root)).digest
    except (NotFoundError, OSError):
        return None


def error_message(payload: Any) -> str:
    """Return what an error answer says, shortened."""
    message = payload
    if isinstance(payload, dict):
        error = payload.get("error", payload)
        message = error.get("message", error) if isinstance(error, dict) else error
    return str(message)[:_MOST_SAID]
