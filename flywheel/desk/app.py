"""`build_app`: the release desk as an ASGI application."""

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Route

from flywheel.desk.access import Access
from flywheel.desk.headers import SecureHeaders
from flywheel.desk.pages.audit import AuditPages
from flywheel.desk.pages.cycle import CyclePages
from flywheel.desk.pages.home import HomePages
from flywheel.desk.pages.release import ReleasePages
from flywheel.desk.pages.shell import Shell
from flywheel.desk.pages.sign_in import SignInPages
from flywheel.desk.provider import CALLBACK, Provider
from flywheel.desk.refusals import Refusal
from flywheel.desk.sessions import Sessions
from flywheel.desk.sign_in_limit import SignInLimit
from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from flywheel.wiring import Platform

__all__ = ["build_app"]


def build_app(
    platform: "Platform",
    *,
    public_url: str | None = None,
    sessions: Sessions | None = None,
    limit: SignInLimit | None = None,
    provider: Provider | None = None,
) -> "ASGIApp":
    """Return the application.

    Args:
        platform: the deployment that it shows.
        public_url: address at which people reach it, behind a proxy; None: the one they ask for.
        sessions: who is signed in; default: nobody yet.
        limit: how often one address may try to sign in.
        provider: where people may sign in too.
    """
    access = Access(platform, sessions or Sessions(platform), public_url)
    shell = Shell(platform, access)
    home, cycle = HomePages(shell), CyclePages(shell)
    release, audit = ReleasePages(shell), AuditPages(shell)
    sign_in = SignInPages(shell, limit or SignInLimit(platform), provider)
    cycle_path = "/workloads/{workload}/cycles/{cycle}"
    release_path = "/workloads/{workload}/releases/{release}"
    app = Starlette(
        routes=[
            Route("/", home.home),
            Route("/sign-in", sign_in.show),
            Route("/sign-in", sign_in.sign_in, methods=["POST"]),
            Route("/sign-in/provider", sign_in.begin),
            Route(CALLBACK, sign_in.finish),
            Route("/sign-out", sign_in.sign_out, methods=["POST"]),
            Route(cycle_path, cycle.show),
            Route(f"{cycle_path}/cases", cycle.cases),
            Route(f"{cycle_path}/verdict", cycle.decide, methods=["POST"]),
            Route(release_path, release.show),
            Route(f"{release_path}/rollback", release.roll_back, methods=["POST"]),
            Route(f"{release_path}/retry", release.retry, methods=["POST"]),
            Route("/audit", audit.show),
            Route("/desk.css", shell.stylesheet),
            Route("/healthz", shell.health),
        ],
        exception_handlers={
            Refusal: shell.refuse,
            FlywheelError: shell.refuse,
            404: shell.no_page,
            405: shell.no_page,
        },
    )
    return SecureHeaders(app, https=access.is_https)
