"""`read_form`, `form_token` and `Seal`: forms that only the page that was shown can have sent."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from flywheel.desk.refusals import Refusal
from flywheel.desk.sessions import Session
from flywheel.io.keyed_hash import keyed_hash

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = [
    "FORM_TOKEN",
    "Seal",
    "form_token",
    "read_form",
    "require_form_token",
    "require_same_origin",
]

FORM_TOKEN = "form_token"  # noqa: S105 - name of a field
_BODY_BYTES = 100_000
_FIELDS = 20
_MINUTES = 60


async def read_form(request: "Request") -> dict[str, str]:
    """Return the fields of a form; a larger body than any form's is refused before it is read.

    Raises:
        Refusal: 413 or 415, or 400 for fields that are not UTF-8 or come twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refusal(415, "This is not a form.", "send it from the page")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES:
            raise Refusal(413, "The form is too long.", f"shorten it to {_BODY_BYTES} bytes")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise Refusal(400, "The form cannot be read.", "send it from the page") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refusal(400, "A field comes twice.", "send it from the page")
    return fields


def require_same_origin(request: "Request", public_url: str | None) -> None:
    """Refuse a form that another site sent, by what the browser says of its origin.

    Browsers send ``Origin`` with every form; one without it comes from no browser, and has no
    session either.

    Args:
        request: the POST.
        public_url: address at which people reach the desk; None: the one that was asked for.
    """
    origin = request.headers.get("origin", "")
    if public_url is not None:
        expected = urlsplit(public_url)
        is_same = origin == f"{expected.scheme}://{expected.netloc}"
    else:
        host = request.headers.get("host", "")
        is_same = bool(host) and origin in {f"http://{host}", f"https://{host}"}
    if not is_same:
        raise Refusal(
            403, "The form was sent from another site.", "open the desk and send it there"
        )


def form_token(session: Session, action: str) -> str:
    """Return the token of a form, good for one session and one address."""
    return keyed_hash("desk-form", action, session.secret)


def require_form_token(session: Session, action: str, fields: Mapping[str, str]) -> None:
    """Refuse a form without the token of its page."""
    given = fields.get(FORM_TOKEN, "")
    if not hmac.compare_digest(form_token(session, action).encode(), given.encode()):
        raise Refusal(
            403, "The form is not from this session.", "open the page again and send it there"
        )


@dataclass(frozen=True)
class Seal:
    """What a page showed and when, sealed for the form that decides on it."""

    shown: str
    at: datetime

    def fields(self, session: Session, action: str) -> dict[str, str]:
        """Return the hidden fields of the form."""
        moment = self.at.isoformat()
        return {
            "shown": self.shown,
            "shown_at": moment,
            "seal": _seal(session, action, self.shown, moment),
        }

    @staticmethod
    def open(session: Session, action: str, fields: Mapping[str, str], now: datetime) -> str:
        """Return what was shown.

        Raises:
            Refusal: 403 where the seal is not this session's, 409 where the page is too old.
        """
        shown, moment = fields.get("shown", ""), fields.get("shown_at", "")
        expected = _seal(session, action, shown, moment)
        if not hmac.compare_digest(expected.encode(), fields.get("seal", "").encode()):
            raise Refusal(403, "The form does not name what was shown.", "open the page again")
        if now - datetime.fromisoformat(moment) > timedelta(minutes=_MINUTES):
            raise Refusal(
                409,
                f"The page was shown more than {_MINUTES} minutes ago, and is too old to decide on.",
                "read it as it is now, then decide again",
            )
        return shown


def _seal(session: Session, action: str, shown: str, moment: str) -> str:
    return keyed_hash("desk-seal", f"{action}\x1f{moment}\x1f{shown}", session.secret)
