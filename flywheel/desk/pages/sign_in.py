"""`SignInPages`: in by a personal token or at a provider, and out."""

import math
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from flywheel.desk.begun_sign_ins import BegunSignIns
from flywheel.desk.forms import read_form, require_same_origin
from flywheel.desk.pages.shell import Shell
from flywheel.desk.provider import CALLBACK, Provider
from flywheel.desk.refusals import Refusal
from flywheel.desk.sign_in_limit import SignInLimit
from flywheel.errors import RefusedError
from flywheel.usecases.identity import account_with_email, identify, people_are_registered

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["SignInPages"]

_PENDING, _PENDING_SECONDS = "flywheel_desk_sign_in", 600


class SignInPages:
    """Show the form, check a token, sign out.

    Args:
        shell: renders.
        limit: how often one address may try.
        provider: where people may sign in too.
    """

    def __init__(self, shell: Shell, limit: SignInLimit, provider: Provider | None = None) -> None:
        self._shell, self._limit, self._provider = shell, limit, provider
        self._begun = BegunSignIns(shell.platform)

    def show(self, request: "Request") -> Response:
        """Show the form, or the first page to who is signed in already."""
        target = _target(request.query_params.get("next", ""))
        if self._shell.access.visitor(request) is not None:
            return RedirectResponse(target, status_code=303)
        return self._form(target)

    async def sign_in(self, request: "Request") -> Response:
        """Check the token and open a session."""
        fields = await read_form(request)
        return await run_in_threadpool(self._sign_in, request, fields)

    async def sign_out(self, request: "Request") -> Response:
        """End the session."""
        fields = await read_form(request)
        visitor = await run_in_threadpool(self._shell.access.sender, request, fields)
        response = RedirectResponse("/sign-in", status_code=303)
        await run_in_threadpool(self._shell.access.let_out, visitor, response)
        return response

    def begin(self, request: "Request") -> Response:
        """Send the browser to the provider; a cookie remembers that it was this browser."""
        provider = self._require_provider()
        self._require_attempt(request)
        address, pending = provider.begin()
        self._begun.add(pending.key, _target(request.query_params.get("next", "")))
        response = RedirectResponse(address, status_code=303)
        # Lax: the browser comes back from another site, and has to bring it.
        response.set_cookie(
            _PENDING,
            pending.key,
            max_age=_PENDING_SECONDS,
            httponly=True,
            secure=self._shell.access.is_https,
            samesite="lax",
            path=CALLBACK,
        )
        return response

    def finish(self, request: "Request") -> Response:
        """Open the session of the person whose address the provider has verified."""
        provider = self._require_provider()
        self._require_attempt(request)
        key = request.cookies.get(_PENDING, "")
        target = self._begun.take(key)
        email = provider.finish(key, dict(request.query_params))
        account = account_with_email(self._shell.platform, email)
        if account is None:
            raise Refusal(
                403,
                "Nobody is registered here with the address that the provider names.",
                "ask an admin: `flywheel people add NAME --email ADDRESS --role ROLE`",
            )
        # A page, not a redirect: after one, the browser would still count the way as another
        # site's, and leave the session's cookie at home.
        html = self._shell.render("signed_in.html", visitor=None, name=account.name, target=target)
        response = HTMLResponse(html)
        response.delete_cookie(_PENDING, path=CALLBACK)
        self._shell.access.let_in(account, request, response)
        return response

    def _require_provider(self) -> Provider:
        if self._provider is None:
            raise Refusal(404, "No provider is set up here.", "sign in with your personal token")
        return self._provider

    def _require_attempt(self, request: "Request") -> None:
        wait = self._limit.wait(request.client.host if request.client else "")
        if wait:
            seconds = math.ceil(wait)
            raise Refusal(
                429,
                "Too many attempts to sign in from this address.",
                f"wait {seconds} seconds",
                {"retry-after": str(seconds)},
            )

    def _sign_in(self, request: "Request", fields: dict[str, str]) -> Response:
        require_same_origin(request, self._shell.access.public_url)
        self._require_attempt(request)
        target = _target(fields.get("next", ""))
        try:
            account = identify(self._shell.platform, fields.get("token", ""))
        except RefusedError as error:
            return self._form(target, problem=f"{error.message} {error.next_step}.", status=401)
        response = RedirectResponse(target, status_code=303)
        self._shell.access.let_in(account, request, response)
        return response

    def _form(self, target: str, *, problem: str = "", status: int = 200) -> Response:
        html = self._shell.render(
            "sign_in.html",
            visitor=None,
            target=target,
            problem=problem,
            provider=None if self._provider is None else self._provider.name,
            has_people=people_are_registered(self._shell.platform),
        )
        return HTMLResponse(html, status)


def _target(text: str) -> str:
    # A path of the desk alone: `//host` and `/\host` are other hosts to a browser.
    is_path = text.startswith("/") and text[1:2] not in {"/", "\\"}
    return text if is_path and text.isprintable() else "/"
