"""`ApiError`: an error in OpenAI's shape, with a status that tells a client what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flywheel.errors import (
    DataError,
    EventError,
    IntegrityError,
    NotFoundError,
    TransientError,
)
from flywheel.gateway.calls import TierUse
from flywheel.io.records import JsonObject

__all__ = ["ApiError", "api_error_of", "bad_request"]

_RETRY_SECONDS = "1"


@dataclass(eq=False)  # frozen, a traceback could not be set
class ApiError(Exception):
    """What a client gets instead of an answer.

    ``status`` is the HTTP status, ``code`` a stable word for programs, ``parameter`` the field of
    the request that is at fault, ``workload_id`` the workload that was asked in vain, ``uses`` what
    its tiers were asked for.
    """

    status: int
    code: str
    message: str
    parameter: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    workload_id: str | None = None
    uses: tuple[TierUse, ...] = ()

    @property
    def is_the_clients(self) -> bool:
        """Whether the request itself is at fault, so that no other release would answer it."""
        return self.status < 500  # noqa: PLR2004 - a status

    @property
    def body(self) -> JsonObject:
        """The JSON body, as OpenAI's clients read it."""
        kind = "invalid_request_error" if self.is_the_clients else "server_error"
        return {
            "error": {
                "message": self.message,
                "type": kind,
                "param": self.parameter,
                "code": self.code,
            }
        }


def bad_request(
    message: str, parameter: str | None = None, *, code: str = "invalid_value"
) -> ApiError:
    """Return the error of a request that must be changed before it is sent again."""
    return ApiError(400, code, message, parameter)


def api_error_of(error: Exception) -> ApiError:
    """Translate an error of a model server; addresses and paths stay out of the answer."""
    if isinstance(error, EventError):
        return bad_request(error.message, "messages", code=str(error.reason))
    if isinstance(error, DataError):
        return bad_request(error.message, "messages", code="input_too_long")
    if isinstance(error, NotFoundError):
        return ApiError(503, "release_not_loaded", "The model is not loaded.", headers=_retry())
    if isinstance(error, TransientError):
        return ApiError(503, "unavailable", "The model server is not available.", headers=_retry())
    if isinstance(error, IntegrityError):
        return ApiError(503, "integrity", "The model's files were changed; it is not served.")
    return ApiError(500, "internal_error", "The request failed.")


def _retry() -> Mapping[str, str]:
    return {"Retry-After": _RETRY_SECONDS}
