"""`to_json`: facts as one JSON value."""

import json
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

__all__ = ["to_json"]


def to_json(facts: Any) -> str:
    """Return a dataclass, or plain values that may hold some, as one line of JSON.

    Times are ISO 8601, paths are text.
    """
    return json.dumps(facts, default=_plain)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
