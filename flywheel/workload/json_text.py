"""`canonical_json`: the one way in which answers are written as JSON."""

import json
from typing import Any

__all__ = ["canonical_json"]


def canonical_json(value: Any) -> str:
    """Write JSON without spaces, keys in the order given, text unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
