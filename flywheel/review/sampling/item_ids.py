"""Names of items: `new_item_id`, `adjudication_id`, and `disputed_item_of` for tasks in a queue."""

import hashlib
from collections.abc import Mapping
from typing import Any

__all__ = ["DISPUTED", "adjudication_id", "disputed_item_of", "new_item_id"]

# Key of a task's data that names the item whose dispute an adjudication decides.
DISPUTED = "disputed_item_id"
_SUFFIX = "-adjudication"


def new_item_id(*parts: str) -> str:
    """Return the id of an item: a hash of the parts that make it unique, in this order."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=10).hexdigest()


def adjudication_id(item_id: str) -> str:
    """Name the item in which a dispute about this one is decided."""
    return f"{item_id}{_SUFFIX}"


def disputed_item_of(data: Mapping[str, Any]) -> str | None:
    """Return the item whose dispute a task decides, by the task's data; None: it decides none.

    Tasks that were written before the field existed are told by the id of their item; nothing else
    reads an id.
    """
    disputed = data.get(DISPUTED)
    if isinstance(disputed, str) and disputed:
        return disputed
    item_id = str(data.get("item_id", ""))
    return item_id.removesuffix(_SUFFIX) if item_id.endswith(_SUFFIX) else None
