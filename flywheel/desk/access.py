"""`Access`: who a request comes from, and the cookie that says so."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.desk.forms import require_form_token, require_same_origin
from flywheel.desk.refusals import Refusal
from flywheel.desk.sessions import Session, Sessions
from flywheel.usecases.identity import Account, account_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from flywheel.wiring import Platform

__all__ = ["Access", "Visitor"]


@dataclass(frozen=True)
class Visitor:
    """A person who is signed in, and the session."""

    account: Account
    session: Session


class Access:
    """Find the session of a request, and let people in and out.

    Args:
        platform: holds the people.
        sessions: who is signed in.
        public_url: address at which people reach the desk; None: the one that they ask for.
    """

    def __init__(self, platform: "Platform", sessions: Sessions, public_url: str | None) -> None:
        self._platform, self._sessions, self.public_url = platform, sessions, public_url

    @property
    def is_https(self) -> bool:
        """Whether people reach the desk by https, so that its cookie never goes another way."""
        return (self.public_url or "").startswith("https://")

    @property
    def _cookie(self) -> str:
        # A browser takes a name with this prefix over https alone, from this host alone.
        return "__Host-flywheel_desk" if self.is_https else "flywheel_desk"

    def visitor(self, request: "Request") -> Visitor | None:
        """Return who sent a request; None where nobody is signed in, or may be any more."""
        session = self._sessions.find(request.cookies.get(self._cookie, ""))
        if session is None:
            return None
        account = account_of(self._platform, session.name)
        if account is None or account.token_id != session.token_id:
            self._sessions.close(session.key)
            return None
        return Visitor(account, session)

    def sender(self, request: "Request", fields: "Mapping[str, str]") -> Visitor:
        """Return who sent a form.

        Raises:
            Refusal: 403 from another site or another session, 401 where nobody is signed in.
        """
        require_same_origin(request, self.public_url)
        visitor = self.visitor(request)
        if visitor is None:
            raise Refusal(401, "You are not signed in, or the session has ended.", "sign in again")
        require_form_token(visitor.session, request.url.path, fields)
        return visitor

    def let_in(self, account: Account, request: "Request", response: "Response") -> None:
        """Open a session and set its cookie; a session that the browser had before ends."""
        self._sessions.close(request.cookies.get(self._cookie, ""))
        session = self._sessions.open(account.name, account.token_id)
        response.set_cookie(
            self._cookie,
            session.key,
            httponly=True,
            secure=self.is_https,
            samesite="strict",
            path="/",
        )

    def let_out(self, visitor: Visitor, response: "Response") -> None:
        """End a session and remove its cookie."""
        self._sessions.close(visitor.session.key)
        response.delete_cookie(
            self._cookie, path="/", httponly=True, secure=self.is_https, samesite="strict"
        )
