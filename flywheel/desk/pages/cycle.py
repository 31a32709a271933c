"""`CyclePages`: the evidence on a candidate, its cases, and the verdict."""

from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.desk.access import Visitor
from flywheel.desk.forms import FORM_TOKEN, Seal, form_token, read_form
from flywheel.desk.pages.shell import Shell, cycle_path, page_number
from flywheel.desk.refusals import Refusal
from flywheel.usecases.desk.cases_page import CHANGES, CaseFilter, read_cases
from flywheel.usecases.desk.cycle_page import CyclePage, read_cycle
from flywheel.usecases.desk.decisions import decide_cycle
from flywheel.usecases.desk.evidence import Evidence, evidence_of

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["CyclePages"]

_DONE = {"approve": "Your approval is recorded.", "reject": "Your rejection is recorded."}


class CyclePages:
    """Show a cycle and take the verdict on it."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def show(self, request: "Request") -> Response:
        """Show the evidence, and the form of the verdict to who may give it."""
        visitor = self._shell.require_visitor(request)
        cycle = _cycle(request)
        facts = read_cycle(self._shell.platform, cycle)
        action = f"{cycle_path(cycle.workload_id, cycle.name)}/verdict"
        seal = Seal(evidence_of(facts).text, self._shell.platform.clock.now())
        token = {FORM_TOKEN: form_token(visitor.session, action)}
        return self._shell.page(
            request,
            "cycle.html",
            facts,
            visitor=visitor,
            action=action,
            hidden=token | seal.fields(visitor.session, action),
            refused=_refused(visitor, facts),
            done=_DONE.get(request.query_params.get("done", ""), ""),
        )

    def cases(self, request: "Request") -> Response:
        """Show cases with both answers side by side."""
        visitor = self._shell.require_visitor(request)
        query = request.query_params
        chosen = CaseFilter(
            change=query.get("change", "broken"),
            suite=query.get("suite", ""),
            label=query.get("label", ""),
            text=query.get("text", ""),
            page=page_number(request),
        )
        facts = read_cases(self._shell.platform, _cycle(request), chosen)
        filters = {name: value for name, value in query.items() if name not in {"page", "format"}}
        return self._shell.page(
            request,
            "cases.html",
            facts,
            visitor=visitor,
            changes=list(CHANGES),
            address=lambda page: f"?{urlencode(filters | {'page': page})}",
        )

    async def decide(self, request: "Request") -> Response:
        """Approve or reject on what was shown."""
        fields = await read_form(request)
        return await run_in_threadpool(self._decide, request, fields)

    def _decide(self, request: "Request", fields: dict[str, str]) -> Response:
        visitor = self._shell.access.sender(request, fields)
        now = self._shell.platform.clock.now()
        shown = Evidence.parse(Seal.open(visitor.session, request.url.path, fields, now))
        verdict = _verdict(fields.get("verdict", ""))
        if shown is None or verdict is None:
            raise Refusal(400, "The form says neither approve nor reject.", "open the page again")
        _require_right(visitor)
        cycle = _cycle(request)
        decide_cycle(
            self._shell.platform,
            cycle,
            account=visitor.account,
            verdict=verdict,
            reason=fields.get("reason", ""),
            shown=shown,
        )
        here = cycle_path(cycle.workload_id, cycle.name)
        return RedirectResponse(f"{here}?done={verdict}", status_code=303)


def _cycle(request: "Request") -> CycleRef:
    return CycleRef(request.path_params["workload"], request.path_params["cycle"])


def _verdict(text: str) -> Literal["approve", "reject"] | None:
    if text == "approve":
        return "approve"
    return "reject" if text == "reject" else None


def _require_right(visitor: Visitor) -> None:
    if not visitor.account.may("decide"):
        raise Refusal(403, "Your roles do not let you decide.", "ask an approver")


def _refused(visitor: Visitor, page: CyclePage) -> dict[str, str]:
    # Why there is no button, for each of the two.
    if not visitor.account.may("decide"):
        text = "You may read this; to decide takes the role approver."
        return {"approve": text, "reject": text}
    refused = {}
    if not page.may_reject:
        refused["reject"] = f"Nothing to decide: the cycle is {page.standing}."
    if visitor.account.actor.is_one_of(page.requested_by):
        refused["approve"] = "You asked for this cycle, so another person has to approve it."
    elif not page.may_approve:
        refused["approve"] = (
            "The gate did not pass, so there is nothing to approve."
            if page.may_reject
            else refused["reject"]
        )
    return refused
