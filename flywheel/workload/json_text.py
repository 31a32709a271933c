"""`canonical_json`: the one way in which answers are written as JSON."""

import json
from typing import Any

__all__ = ["canonical_json"]


# json.dumps makes an encoder for each call with other settings than its own.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> str:
    """Write JSON without spaces, keys in the order given, text unescaped."""
    return _ENCODER.encode(value)
