"""`to_spark`: a query in DuckDB's SQL as the same query in Spark's.

sqlglot translates the grammar and most functions. Here is what it does not know, and what both
engines have under one name with another result. Letters follow each engine's edition of Unicode.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flywheel.errors import DataError
from flywheel.lake.spark.literals import literals

if TYPE_CHECKING:
    from sqlglot import exp

__all__ = ["parse", "to_spark"]

# DuckDB's `md5_number_lower`: the last eight bytes of the digest, the least significant first.
_LAST_BYTES = ", ".join(f"SUBSTRING(MD5({{0}}), {start}, 2)" for start in range(31, 16, -2))
_UNSIGNED = "DECIMAL(20, 0)"
_FUNCTIONS = {
    "md5_number_lower": f"CAST(CONV(CONCAT({_LAST_BYTES}), 16, 10) AS {_UNSIGNED})",
    # Null beyond the end, as in DuckDB; `element_at` raises.
    "list_extract": "GET({0}, {1} - 1)",
    "list_position": "NULLIF(ARRAY_POSITION({0}, {1}), 0)",
    # Spark has no normalization of its own; ICU comes with it.
    "nfc_normalize": "CASE WHEN NOT {0} IS NULL THEN "
    "REFLECT('com.ibm.icu.text.Normalizer', 'compose', {0}, FALSE) END",
}
# Letter by letter: Java takes a sigma at the end of a word for another letter, and a dotted I for two.
_LOWER = "LOWER(TRANSLATE({0}, '\u0130\u03a3', 'i\u03c3'))"
# Spark divides two natural logarithms: a power of two may come out a hair below the whole number.
_LOG2 = "ROUND(LN({0}) / LN(2), 12)"
# Null for JSON's null, the bare text of a string; `get_json_object` says 'null' to both.
_JSON_TEXT = "TRY_VARIANT_GET(TRY_PARSE_JSON({0}), {1}, 'string')"


def parse(sql: str) -> "exp.Query":
    """Parse a query in DuckDB's SQL.

    Raises:
        DataError: it is not one SELECT.
    """
    import sqlglot
    from sqlglot import errors, exp

    try:
        trees = sqlglot.parse(sql, read="duckdb")
    except errors.SqlglotError as error:
        raise DataError(f"The lake query cannot be translated for Spark: {error}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise DataError(
            "A query of the lake reads, and this one is not one SELECT.",
            next_step="write one SELECT",
        )
    return trees[0]


def to_spark(query: "exp.Query", params: Mapping[str, Any]) -> str:
    """Write a parsed query in Spark's SQL, with its parameters.

    Raises:
        DataError: a parameter has no value.
    """
    from sqlglot import exp

    values = literals(params)

    def replaced(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Placeholder):
            return _value(node, values)
        if isinstance(node, exp.Select):
            return _with_one_generator(node)
        for kind, rewrite in _rewrites().items():
            if isinstance(node, kind):
                return rewrite(node)
        return node

    return _bottom_up(query, replaced).sql("spark")


def _bottom_up(query: "exp.Query", replaced: "Callable[[exp.Expr], exp.Expr]") -> "exp.Expr":
    # What a rewrite makes is not looked at again: LOWER inside of LOWER would have no end.
    root: exp.Expr = query
    for node in reversed(list(query.walk())):
        other = replaced(node)
        if other is not node:
            node.replace(other)
            root = other if node is root else root
    return root


def _rewrites() -> "dict[type[exp.Expr], Callable[[Any], exp.Expr]]":
    from sqlglot import exp

    return {
        exp.Lower: lambda node: _filled(_LOWER, node.this),
        exp.Log: _log,
        exp.JSONExtractScalar: lambda node: _filled(_JSON_TEXT, node.this, _path(node.expression)),
        exp.Anonymous: _function,
        exp.Table: _table,
        exp.DataType: _type,
    }


def _value(node: "exp.Placeholder", values: "Mapping[str, exp.Expr]") -> "exp.Expr":
    name = str(node.this or "?")
    if name not in values:
        raise DataError(f"The lake query has no value for its parameter {name}.")
    return values[name].copy()


def _function(node: "exp.Anonymous") -> "exp.Expr":
    pattern = _FUNCTIONS.get(str(node.this).lower())
    return node if pattern is None else _filled(pattern, *node.expressions)


def _log(node: "exp.Log") -> "exp.Expr":
    return _filled(_LOG2, node.expression) if node.this.name == "2" else node


def _table(node: "exp.Table") -> "exp.Expr":
    # Views of one query have no schema.
    from sqlglot import exp

    if node.db:
        node.set("this", exp.to_identifier(f"{node.db}_{node.name}"))
        node.set("db", None)
    return node


def _type(node: "exp.DataType") -> "exp.Expr":
    # Spark has no whole numbers without a sign.
    from sqlglot import exp

    return exp.DataType.build(_UNSIGNED) if node.is_type(exp.DataType.Type.UBIGINT) else node


def _with_one_generator(node: "exp.Select") -> "exp.Expr":
    # DuckDB unnests several lists side by side; Spark has one generator in a SELECT.
    import sqlglot
    from sqlglot import exp

    lists = [one for one in node.expressions if isinstance(one.unalias(), exp.Explode)]
    if len(lists) < 2:  # noqa: PLR2004 - several
        return node
    arrays = ", ".join(one.unalias().this.sql("spark") for one in lists)
    names = ", ".join(one.alias for one in lists)
    return sqlglot.parse_one(
        f"SELECT {names} FROM (SELECT INLINE(ARRAYS_ZIP({arrays})) AS ({names}))",  # noqa: S608
        read="spark",
    )


def _path(path: "exp.Expr") -> "exp.Expr":
    # `$['a b']`: a name in quotation marks, whatever it contains.
    from sqlglot import exp

    steps = ["$"]
    for step in path.expressions:
        if isinstance(step, exp.JSONPathKey):
            name = str(step.this).replace("\\", "\\\\").replace('"', '\\"')
            steps.append(f'["{name}"]')
        elif not isinstance(step, exp.JSONPathRoot):
            raise DataError(f"The path {path.sql('duckdb')} cannot be translated for Spark.")
    return exp.Literal.string("".join(steps))


def _filled(pattern: str, *arguments: "exp.Expr") -> "exp.Expr":
    # Through the tree, never through text: an argument stays what it is.
    import sqlglot
    from sqlglot import exp

    names = [f"argument_{number}" for number in range(len(arguments))]
    tree = sqlglot.parse_one(pattern.format(*names), read="spark")
    for column in list(tree.find_all(exp.Column)):
        if column.name in names:
            column.replace(arguments[names.index(column.name)].copy())
    return tree
