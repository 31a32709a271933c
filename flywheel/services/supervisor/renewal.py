"""Renew the token of a Label Studio that was started here, while everything runs."""

from pathlib import Path

from flywheel.services import catalog, label_studio
from flywheel.services.connections import extend_connections
from flywheel.services.supervisor.control import Services

__all__ = ["renew_token"]


def renew_token(folder: Path) -> bool:
    """Make a new token in the last third of the present one's life; return whether one was made.

    A process that still holds the old one reads the new one from the file of settings.

    Raises:
        FlywheelError: Label Studio does not answer as it should.
    """
    services = Services(folder)
    plan = services.plan
    if "label-studio" not in plan.ports:
        return False
    server = catalog.label_studio_server(services.layout, plan)
    before = label_studio.token(server)
    now = label_studio.renew_token(server)
    if now == before:
        return False
    extend_connections({"label_studio_token": now}, services.folder)
    return True
