"""Native services: install, start, health, stop. No Docker and no root is needed."""

from flywheel.services.application import Application
from flywheel.services.connections import Connections
from flywheel.services.service_ports import ON_REQUEST, SERVICES
from flywheel.services.supervisor.control import Services, start
from flywheel.services.supervisor.shutdown import stop

__all__ = ["ON_REQUEST", "SERVICES", "Application", "Connections", "Services", "start", "stop"]
