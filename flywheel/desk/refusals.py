"""`Refusal`: an answer of the desk that is not the page that was asked for."""

from dataclasses import dataclass, field

from flywheel.errors import (
    DataError,
    FlywheelError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    TransientError,
)

__all__ = ["Refusal", "refusal_of"]


@dataclass
class Refusal(Exception):  # noqa: N818 - an answer, which may be the right one
    """An HTTP status, what happened and what to do."""

    status: int
    message: str
    next_step: str
    headers: dict[str, str] = field(default_factory=dict)


def refusal_of(error: FlywheelError) -> Refusal:
    """Return the answer to an error of the use cases."""
    statuses: tuple[tuple[type[FlywheelError], int], ...] = (
        (NotFoundError, 404),
        (DataError, 400),
        (RefusedError, 409),
        (IntegrityError, 409),
        (TransientError, 503),
    )
    status = next((code for kind, code in statuses if isinstance(error, kind)), 500)
    return Refusal(status, error.message, error.next_step)
