"""An event-driven data flywheel for small language models.

The names of `__all__` are the public interface. Each is imported when it is first used, so that
``import flywheel`` stays quick.
"""

import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flywheel.errors import FlywheelError, TerminalError, TransientError
    from flywheel.events.schema import FeedbackEvent, InferenceEvent
    from flywheel.settings import Settings
    from flywheel.wiring import Platform, open_platform
    from flywheel.workload.files import load_workload
    from flywheel.workload.model import Workload

__all__ = [
    "FeedbackEvent",
    "FlywheelError",
    "InferenceEvent",
    "Platform",
    "Settings",
    "TerminalError",
    "TransientError",
    "Workload",
    "__version__",
    "load_workload",
    "open_platform",
]

__version__ = "0.2.0"

# Where each name is defined; the imports above say the same to type checkers and editors.
_DEFINITIONS = {
    "FeedbackEvent": "flywheel.events.schema:FeedbackEvent",
    "FlywheelError": "flywheel.errors:FlywheelError",
    "InferenceEvent": "flywheel.events.schema:InferenceEvent",
    "Platform": "flywheel.wiring:Platform",
    "Settings": "flywheel.settings:Settings",
    "TerminalError": "flywheel.errors:TerminalError",
    "TransientError": "flywheel.errors:TransientError",
    "Workload": "flywheel.workload.model:Workload",
    "load_workload": "flywheel.workload.files:load_workload",
    "open_platform": "flywheel.wiring:open_platform",
}


def __getattr__(name: str) -> Any:
    if name not in _DEFINITIONS:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = pkgutil.resolve_name(_DEFINITIONS[name])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
