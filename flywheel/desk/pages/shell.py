"""`Shell`: what all pages share: who reads them, how they are rendered and how they fail."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from flywheel.desk.access import Access, Visitor
from flywheel.desk.forms import form_token
from flywheel.desk.refusals import Refusal, refusal_of
from flywheel.desk.rendering import Renderer
from flywheel.errors import FlywheelError
from flywheel.io.plain_json import to_json

if TYPE_CHECKING:
    from starlette.requests import Request

    from flywheel.wiring import Platform

__all__ = ["Shell", "cycle_path", "page_number", "release_path"]

_LONGEST_PAGE_NUMBER = 6


class Shell:
    """Render pages for who is signed in, and answers to who is not.

    Args:
        platform: the deployment.
        access: knows who is signed in.
    """

    def __init__(self, platform: "Platform", access: Access) -> None:
        self.platform, self.access = platform, access
        self._renderer = Renderer()

    def require_visitor(self, request: "Request") -> Visitor:
        """Return who is signed in.

        Raises:
            Refusal: 303 to the sign-in page, which leads back here.
        """
        visitor = self.access.visitor(request)
        if visitor is None:
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            raise Refusal(303, "", "", {"location": f"/sign-in?{urlencode({'next': here})}"})
        return visitor

    def page(
        self,
        request: "Request",
        template: str,
        facts: Any,
        *,
        visitor: Visitor,
        **values: Any,
    ) -> Response:
        """Return a page, or its facts as JSON where ``?format=json`` asks for them."""
        if request.query_params.get("format") == "json":
            return Response(to_json(facts), media_type="application/json")
        return HTMLResponse(self.render(template, visitor=visitor, page=facts, **values))

    def render(self, template: str, *, visitor: Visitor | None, **values: Any) -> str:
        """Render a template, with what the frame around every page needs."""
        sign_out = "" if visitor is None else form_token(visitor.session, "/sign-out")
        return self._renderer.render(
            template,
            account=None if visitor is None else visitor.account,
            sign_out_token=sign_out,
            is_demo=self.platform.is_demo,
            cycle_path=cycle_path,
            release_path=release_path,
            **values,
        )

    def refuse(self, request: "Request", error: Exception) -> Response:
        """Answer an error with what happened and what to do."""
        assert isinstance(error, (Refusal, FlywheelError))
        refusal = refusal_of(error) if isinstance(error, FlywheelError) else error
        if refusal.status == 303:  # noqa: PLR2004 - see other
            return RedirectResponse(refusal.headers["location"], status_code=303)
        return self._refusal(request, refusal)

    def no_page(self, request: "Request", error: Exception) -> Response:
        """Answer an address or a method that is not there."""
        status = int(getattr(error, "status_code", 404))
        return self._refusal(
            request, Refusal(status, "There is no such page.", "start at the first page")
        )

    def _refusal(self, request: "Request", refusal: Refusal) -> Response:
        if request.query_params.get("format") == "json":
            facts = {"error": refusal.message, "next_step": refusal.next_step}
            return JSONResponse(facts, refusal.status, headers=refusal.headers)
        html = self.render("refusal.html", visitor=self.access.visitor(request), refusal=refusal)
        return HTMLResponse(html, refusal.status, headers=refusal.headers)

    def stylesheet(self, request: "Request") -> Response:  # noqa: ARG002 - Starlette's signature
        """Return the stylesheet."""
        headers = {"cache-control": "max-age=300"}
        return Response(self._renderer.stylesheet, media_type="text/css", headers=headers)

    def health(self, request: "Request") -> Response:  # noqa: ARG002 - Starlette's signature
        """Say that the desk answers."""
        return JSONResponse({"status": "healthy"})


def cycle_path(workload_id: str, cycle: str) -> str:
    """Return the address of a cycle's page."""
    return f"/workloads/{quote(workload_id, safe='')}/cycles/{quote(cycle, safe='')}"


def release_path(workload_id: str, release: str) -> str:
    """Return the address of a release's page."""
    return f"/workloads/{quote(workload_id, safe='')}/releases/{quote(release, safe='')}"


def page_number(request: "Request") -> int:
    """Return which page of a list is asked for, the first where that is no number."""
    text = request.query_params.get("page", "1")
    is_number = text.isdecimal() and text.isascii() and len(text) <= _LONGEST_PAGE_NUMBER
    return int(text) if is_number else 1
