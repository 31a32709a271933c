"""The one resource that assets, checks, sensors and schedules share."""

from collections.abc import Iterator

import dagster as dg

from flywheel.settings import load_settings
from flywheel.wiring import Platform

__all__ = ["PlatformParam", "platform_resource"]

PlatformParam = dg.ResourceParam[Platform]


def _platform(_context: dg.InitResourceContext) -> Iterator[Platform]:
    # The code server ticks for weeks: a platform left open after a tick is a leaked connection.
    platform = Platform(load_settings())
    try:
        yield platform
    finally:
        platform.close()


# A plain object, not a ConfigurableResource: the demo and the tests hand in a platform whose clock
# they move, and Dagster would copy a configurable one.
platform_resource = dg.ResourceDefinition(
    _platform, description="Settings, clock and adapters of this deployment."
)
