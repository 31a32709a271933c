"""The one resource that assets, checks, sensors and schedules share."""

import dagster as dg

from flywheel.wiring import Platform, open_platform

__all__ = ["PlatformParam", "platform_resource"]

PlatformParam = dg.ResourceParam[Platform]

# A plain object, not a ConfigurableResource: the demo and the tests hand in a platform whose clock
# they move, and Dagster would copy a configurable one.
platform_resource = dg.ResourceDefinition(
    lambda _: open_platform(), description="Settings, clock and adapters of this deployment."
)
