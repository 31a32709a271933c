"""`ReleasePages`: a release on its way, and the way back."""

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from flywheel.desk.forms import FORM_TOKEN, form_token, read_form
from flywheel.desk.pages.shell import Shell, page_number, release_path
from flywheel.desk.refusals import Refusal
from flywheel.usecases.desk.decisions import roll_back_release, try_release_again
from flywheel.usecases.desk.release_page import read_release

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from flywheel.usecases.identity import Right

__all__ = ["ReleasePages"]

# The forms of the page, by the end of their address, and what each takes.
_RIGHTS: "dict[str, Right]" = {"rollback": "decide", "retry": "request"}


class ReleasePages:
    """Show a release, take it back, or let one that was taken back be approved again."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def show(self, request: "Request") -> Response:
        """Show where a release stands, and the rollback or another try to who may do it."""
        visitor = self._shell.require_visitor(request)
        workload, release = _release(request)
        page = page_number(request)
        facts = read_release(self._shell.platform, workload, release, page=page)
        path = release_path(workload, release)
        forms = {
            name: {
                "action": f"{path}/{name}",
                "hidden": {FORM_TOKEN: form_token(visitor.session, f"{path}/{name}")},
                "may": visitor.account.may(right),
            }
            for name, right in _RIGHTS.items()
        }
        return self._shell.page(
            request,
            "release.html",
            facts,
            visitor=visitor,
            forms=forms,
            address=lambda number: f"?page={number}#pairs",
            done=request.query_params.get("done"),
        )

    async def roll_back(self, request: "Request") -> Response:
        """Withdraw the release."""
        fields = await read_form(request)
        return await run_in_threadpool(self._decide, request, fields, "rollback", roll_back_release)

    async def retry(self, request: "Request") -> Response:
        """Let the release wait for another approval."""
        fields = await read_form(request)
        return await run_in_threadpool(self._decide, request, fields, "retry", try_release_again)

    def _decide(
        self,
        request: "Request",
        fields: dict[str, str],
        name: str,
        decide: "Callable[..., object]",
    ) -> Response:
        visitor = self._shell.access.sender(request, fields)
        if not visitor.account.may(_RIGHTS[name]):
            raise Refusal(403, "Your roles do not permit this.", "ask someone whose role does")
        workload, release = _release(request)
        decide(
            self._shell.platform,
            workload,
            release,
            account=visitor.account,
            reason=fields.get("reason", ""),
        )
        path = release_path(workload, release)
        return RedirectResponse(f"{path}?done={name}", status_code=303)


def _release(request: "Request") -> tuple[str, str]:
    return request.path_params["workload"], request.path_params["release"]
