"""`HomePages`: every workload, what waits and what is wrong."""

from typing import TYPE_CHECKING

from starlette.responses import Response

from flywheel.desk.pages.shell import Shell
from flywheel.usecases.desk.home_page import read_home

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["HomePages"]


class HomePages:
    """Show the first page."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def home(self, request: "Request") -> Response:
        """Show where everything stands."""
        visitor = self._shell.require_visitor(request)
        facts = read_home(self._shell.platform)
        account = visitor.account
        mine = [
            approval
            for approval in facts.approvals
            if account.may("decide") and not account.actor.is_one_of(approval.requested_by)
        ]
        others = [approval for approval in facts.approvals if approval not in mine]
        return self._shell.page(
            request, "home.html", facts, visitor=visitor, mine=mine, others=others
        )
