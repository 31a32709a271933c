"""Run Label Studio's server on loopback, told what its own settings cannot say.

This file is run by the interpreter of Label Studio's environment (``python -I``), not by
Flywheel's. Beyond what the environment variables of Label Studio say, it gives tokens a finite
life, opens no connection but to the receiver of webhooks, and lets SQLite serve several people.
"""

# ruff: noqa: INP001, T201 - a script; Django must be set up before its modules load
import argparse
import gc
import ipaddress
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Bring the database up to date, make Flywheel's account, and serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--reach", default="", help="host:port that it may connect to")
    parser.add_argument("--token-days", type=int, default=30, help="life of a token")
    parser.add_argument("--migrate-only", action="store_true", help="make the database and stop")
    options = parser.parse_args()
    _reach_only(options.reach)
    # Python would look for garbage after every 700 objects that the libraries make and keep.
    gc.disable()
    _set_up()
    gc.freeze()
    gc.enable()
    _migrate()
    if options.migrate_only:
        return
    _make_account(os.environ["LABEL_STUDIO_USERNAME"], os.environ["LABEL_STUDIO_PASSWORD"])
    _limit_tokens(options.token_days)
    _serve(options.host, options.port)


def _reach_only(place: str) -> None:
    """Refuse every connection that is opened from here, but to one place."""
    host, _, port = place.rpartition(":")
    allowed = (host, int(port)) if place else None

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.sendto"}:
            address = arguments[1]
            if isinstance(address, tuple) and address[:2] != allowed:
                raise PermissionError(f"This Label Studio may not connect to {address[:2]}.")
        elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            # A number is no look-up.
            name = arguments[0]
            if name and name != host and not _is_address(name):
                raise PermissionError(f"This Label Studio may not look up {name}.")

    sys.addaudithook(check)


def _is_address(name: str | bytes) -> bool:
    try:
        ipaddress.ip_address(name.decode() if isinstance(name, bytes) else name)
    except ValueError:
        return False
    return True


def _set_up() -> None:
    import label_studio

    # Its modules import each other as if they lay at the top.
    sys.path.insert(0, str(Path(label_studio.__file__).parent))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "label_studio.core.settings.label_studio")
    from django.conf import settings

    # Readers do not wait for the writer, and a writer waits its turn instead of failing.
    settings.DATABASES["default"]["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    from django.core.wsgi import get_wsgi_application

    get_wsgi_application()


def _migrate() -> None:
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print("bringing the database up to date", flush=True)
        call_command("migrate", "--no-color", verbosity=0)


def _make_account(email: str, password: str) -> None:
    from organizations.models import Organization
    from users.models import User

    user = User.objects.filter(email=email).first()
    if user is None:
        user = User.objects.create_user(email=email, password=password, username="flywheel")
    elif not user.check_password(password):
        user.set_password(password)
        user.save()
    organization = Organization.objects.first()
    if organization is None:
        organization = Organization.create_organization(created_by=user, title="Flywheel")
    organization.add_user(user)
    if user.active_organization_id != organization.pk:
        user.active_organization = organization
        user.save(update_fields=["active_organization"])


def _limit_tokens(days: int) -> None:
    # The community edition stores a number of days and does not look at it.
    from jwt_auth.models import LSAPIToken

    LSAPIToken.lifetime = timedelta(days=days)


def _serve(host: str, port: int) -> None:
    from django.core.servers.basehttp import get_internal_wsgi_application, run

    # One line for a call, not two.
    logging.getLogger("django.server").propagate = False
    print(f"serving on http://{host}:{port}", flush=True)
    run(host, port, get_internal_wsgi_application(), threading=True)


if __name__ == "__main__":
    main()
