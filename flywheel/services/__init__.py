"""Native services: install, start, health, stop. No Docker and no root is needed."""

from flywheel.services.connections import Connections
from flywheel.services.control import SERVICES, Services, start, stop

__all__ = ["SERVICES", "Connections", "Services", "start", "stop"]
