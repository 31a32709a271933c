"""`comma_list`: the parts of a text that is a list separated by commas, as options and settings are."""

__all__ = ["comma_list"]


def comma_list(text: str | None) -> tuple[str, ...]:
    """Return the parts without blanks around them, each once, in their order; none of an empty text."""
    parts = (part.strip() for part in (text or "").split(","))
    return tuple(dict.fromkeys(filter(None, parts)))
