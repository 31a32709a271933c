"""`AuditPages`: the audit trail, checked whenever it is read."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import Response

from flywheel.desk.pages.shell import Shell, page_number
from flywheel.usecases.desk.audit_page import read_audit

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["AuditPages"]


class AuditPages:
    """Show the audit trail."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def show(self, request: "Request") -> Response:
        """Show one page of the rows that hold a text."""
        visitor = self._shell.require_visitor(request)
        text = request.query_params.get("text", "")
        facts = read_audit(self._shell.platform, text=text, page=page_number(request))
        return self._shell.page(
            request,
            "audit.html",
            facts,
            visitor=visitor,
            address=lambda page: f"?{urlencode({'text': text, 'page': page})}",
        )
