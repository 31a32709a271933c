"""`KeyUses`: what keys used, in memory; several processes of a gateway may share one."""

from collections.abc import Mapping
from datetime import date

from flywheel.errors import FlywheelError
from flywheel.state.key_use import Used

__all__ = ["KeyUses"]


class KeyUses:
    """Add uses up by day and key; ``away`` is raised instead while it is set."""

    def __init__(self) -> None:
        self.uses: dict[tuple[date, str], Used] = {}
        self.away: FlywheelError | None = None

    def add(self, uses: Mapping[tuple[date, str], Used]) -> None:
        """Add to what keys used on days."""
        self._be_there()
        for key, used in uses.items():
            self.uses[key] = self.uses.get(key, Used()) + used

    def of(self, day: date) -> dict[str, Used]:
        """Return what keys used on a day."""
        self._be_there()
        return {key[1]: used for key, used in self.uses.items() if key[0] == day}

    def _be_there(self) -> None:
        if self.away is not None:
            raise self.away
