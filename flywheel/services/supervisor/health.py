"""`ask`, `answers` and `status_of`: whether an HTTP service answers, and what."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from flywheel.errors import ConfigurationError, HttpError
from flywheel.io.http import HttpAnswer, HttpClient, HttpService

__all__ = ["answers", "ask", "status_of"]

_SECONDS = 5.0
_MOST_BYTES = 1_000_000
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def ask(url: str) -> str | None:
    """Return what a URL answers with success, and None otherwise."""
    answer = _get(url)
    return answer.text.strip() if answer is not None and answer.is_success else None


def answers(url: str, *, headers: Mapping[str, str] = _NO_HEADERS) -> bool:
    """Return whether a URL answers with status 200."""
    answer = _get(url, headers)
    return answer is not None and answer.status == HTTPStatus.OK


def status_of(url: str) -> int | None:
    """Return the status with which a URL answers, None where nothing does."""
    answer = _get(url)
    return None if answer is None else answer.status


def _get(url: str, headers: Mapping[str, str] = _NO_HEADERS) -> HttpAnswer | None:
    service = HttpService(url, "The service", headers=headers)
    try:
        with HttpClient(service, seconds=_SECONDS, most_bytes=_MOST_BYTES) as client:
            return client.send("GET")
    except (HttpError, ConfigurationError):
        return None
