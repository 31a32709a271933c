"""From settings to adapters: `Platform`, and `open_platform` which reads the settings.

Nothing is opened before it is asked for, so that loading the code location and `flywheel --help`
stay quick.
"""

from flywheel.wiring.adapters import (
    kafka_connection,
    open_event_log,
    open_launcher,
    open_model_server,
    ray_cluster,
    spark_server,
)
from flywheel.wiring.deployments import (
    DEMO_MARK,
    git_revision,
    has_deployment,
    open_platform,
    require_deployment,
)
from flywheel.wiring.platform import Platform

__all__ = [
    "DEMO_MARK",
    "Platform",
    "git_revision",
    "has_deployment",
    "kafka_connection",
    "open_event_log",
    "open_launcher",
    "open_model_server",
    "open_platform",
    "ray_cluster",
    "require_deployment",
    "spark_server",
]
