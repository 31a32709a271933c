"""`quoted`: a text as a literal of SQL, for DuckDB and Delta alike."""

__all__ = ["quoted"]


def quoted(text: str) -> str:
    """Return a text between quotation marks, those inside it doubled."""
    return "'" + text.replace("'", "''") + "'"
