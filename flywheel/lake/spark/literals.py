"""`literal`: a parameter of a query as an expression of Spark's SQL.

Delta's parser for Spark 4.1 loses parameters that are bound (`UNBOUND_SQL_PARAMETER`). A value
becomes a node of the syntax tree instead: a text beyond plain characters is written in base64, so that
no value can end its literal, whatever Spark's rules for escapes are.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from flywheel.errors import DataError

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["literal", "literals"]

_PLAIN = re.compile(r"[A-Za-z0-9_ .:/+=-]*")


def literals(params: Mapping[str, Any]) -> dict[str, "exp.Expr"]:
    """Return the expression of each parameter by its name."""
    return {name: literal(value) for name, value in params.items()}


def literal(value: object) -> "exp.Expr":
    """Return a constant expression of a value.

    Raises:
        DataError: the value is of a type that queries do not have.
    """
    import sqlglot

    return sqlglot.parse_one(_text(value), read="spark")


def _text(value: object) -> str:  # noqa: PLR0911 - one return a type
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return f"CAST({value} AS BIGINT)"
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        return f"CAST('{moment}+00:00' AS TIMESTAMP)"
    if isinstance(value, date):
        return f"CAST('{value.isoformat()}' AS DATE)"
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return f"ARRAY({', '.join(map(_text, value))})"
    raise DataError(f"A query has no parameter of the type {type(value).__name__}.")


def _of_text(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return f"'{text}'"
    encoded = base64.b64encode(text.encode()).decode()
    return f"CAST(UNBASE64('{encoded}') AS STRING)"
