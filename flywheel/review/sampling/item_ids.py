"""How an item in which a dispute is decided is named after the item in dispute."""

__all__ = ["adjudication_id", "is_adjudication", "root_of"]

_SECOND = "-adjudication"


def adjudication_id(item_id: str) -> str:
    """Name the item in which a dispute about this one is decided."""
    return f"{item_id}{_SECOND}"


def is_adjudication(item_id: str) -> bool:
    """Say whether an item is one in which a dispute is decided."""
    return item_id.endswith(_SECOND)


def root_of(item_id: str) -> str:
    """Return the item in dispute, or the item itself where it is none that decides one."""
    return item_id.removesuffix(_SECOND)
