"""`ReleasePages`: a release on its way, and the way back."""

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from flywheel.desk.forms import FORM_TOKEN, form_token, read_form
from flywheel.desk.pages.shell import Shell, page_number, release_path
from flywheel.desk.refusals import Refusal
from flywheel.usecases.desk.decisions import roll_back_release
from flywheel.usecases.desk.release_page import read_release

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["ReleasePages"]


class ReleasePages:
    """Show a release and take it back."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def show(self, request: "Request") -> Response:
        """Show where a release stands, and the rollback to who may do it."""
        visitor = self._shell.require_visitor(request)
        workload, release = _release(request)
        page = page_number(request)
        facts = read_release(self._shell.platform, workload, release, page=page)
        action = f"{release_path(workload, release)}/rollback"
        return self._shell.page(
            request,
            "release.html",
            facts,
            visitor=visitor,
            action=action,
            hidden={FORM_TOKEN: form_token(visitor.session, action)},
            may_decide=visitor.account.may("decide"),
            address=lambda number: f"?page={number}#pairs",
            done=request.query_params.get("done") == "rollback",
        )

    async def roll_back(self, request: "Request") -> Response:
        """Withdraw the release."""
        fields = await read_form(request)
        return await run_in_threadpool(self._roll_back, request, fields)

    def _roll_back(self, request: "Request", fields: dict[str, str]) -> Response:
        visitor = self._shell.access.sender(request, fields)
        if not visitor.account.may("decide"):
            raise Refusal(403, "Your roles do not let you roll back.", "ask an approver")
        workload, release = _release(request)
        roll_back_release(
            self._shell.platform,
            workload,
            release,
            account=visitor.account,
            reason=fields.get("reason", ""),
        )
        return RedirectResponse(f"{release_path(workload, release)}?done=rollback", status_code=303)


def _release(request: "Request") -> tuple[str, str]:
    return request.path_params["workload"], request.path_params["release"]
