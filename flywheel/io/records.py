"""`JsonObject` and `Row`: the dictionaries whose keys are not this code's to choose.

What one stage hands on to another has a type of its own.
"""

from typing import Any, TypeAlias

__all__ = ["JsonObject", "Row"]

JsonObject: TypeAlias = dict[str, Any]
"""An object of JSON or YAML: what an API, a file or a JSON column holds."""

Row: TypeAlias = dict[str, Any]
"""A row of the lake or the state, its values by column."""
