"""Dagster's webserver with one route more: the HTML reports that assets link to.

A browser opens no ``file://`` link from a page of a server, and a report lies where the stages run,
not where the reader sits. Run it as ``python -m flywheel.orchestration.webserver`` with the options
of ``dagster-webserver``.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.io.garbage import collect_seldom
from flywheel.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["REPORTS", "dagster_page", "main", "report_address"]

REPORTS = "reports"
_NAME = re.compile(r"[a-z][a-z0-9_]*/[a-z0-9][a-z0-9-]*\.html")
# A report holds texts from the traffic. In a sandbox without an origin its scripts draw, but reach
# neither Dagster's API nor any other server.
_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data: blob:; font-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'"
)


def report_address(path: Path) -> str:
    """Return the address, on Dagster's webserver, of a file under ``<home>/reports``."""
    return f"/{REPORTS}/{path.parent.name}/{path.name}"


def dagster_page(settings: Settings, page: str) -> str:
    """Return the address of a page of the webserver that runs on this machine."""
    return f"http://127.0.0.1:{settings.dagster_port}/{page}"


def main() -> None:
    """Serve Dagster's pages and the reports beside its home."""
    collect_seldom()
    from dagster_webserver.cli import cli
    from dagster_webserver.webserver import DagsterWebserver
    from starlette.routing import Route

    # Dagster's command line builds its own class and offers no place for a route.
    webserver: Any = DagsterWebserver
    routes = webserver.build_routes
    # Before Dagster's own, whose last route answers everything with its single page.
    report = Route(f"/{REPORTS}/{{path:path}}", _serve)
    webserver.build_routes = lambda server: [report, *routes(server)]
    cli()


async def _serve(request: "Request") -> "Response":
    from starlette.responses import FileResponse, PlainTextResponse

    name = request.path_params["path"]
    file = Path(os.environ["DAGSTER_HOME"]).parent / REPORTS / name
    if not _NAME.fullmatch(name) or not file.is_file():
        return PlainTextResponse("There is no such report (any more).", status_code=404)
    return FileResponse(
        file,
        media_type="text/html",
        headers={
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )


if __name__ == "__main__":
    main()
