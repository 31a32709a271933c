"""Write the profile of a day: histograms, categories and words of what came in and went out.

A day is always replaced from its de-duplicated rows, never added to. Profiles of disjoint sets of
events merge by adding counts (see ``merged``), so a window costs no second look at the events.
"""

from collections.abc import Sequence
from datetime import date
from math import ceil, log2

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.drift.window import Window
from flywheel.lake.sql_text import quoted
from flywheel.lake.store import Lake
from flywheel.workload.model import ExtractionTask, Workload

__all__ = [
    "BINS",
    "FINE_CONFIDENCE",
    "OTHER_TERM",
    "WORDS",
    "category_columns",
    "confidence_bin",
    "profile_days",
    "refresh_profiles",
    "stale_days",
]

OTHER_TERM = "(other)"
# Words of a day beyond these are counted together; texts of a day beyond these are sampled by
# their id, at a rate of 1/2, 1/4, ...
_TERMS_A_DAY = 5_000
_TEXTS_A_DAY = 20_000

# The words of a text: letters and hyphens, 3 to 24 of them. Splitting takes a tenth of the time of
# extracting them with a counted pattern of Unicode letters.
WORDS = (
    "list_filter(string_split(regexp_replace(lower(input), '[^\\p{L}-]+', ' ', 'g'), ' '), "
    "lambda word: length(word) BETWEEN 3 AND 24)"
)
_CHOSEN = "workload_id = $workload AND list_contains(CAST($days AS DATE[]), day)"

# Fixed edges, so that any two days merge. Lengths and times: eight bins to a doubling.
_LOG_BIN = "CAST(floor(8 * log2(1 + greatest({value}, 0))) AS INTEGER)"
BINS: dict[str, tuple[str, str]] = {
    "input_length": ("length(input)", _LOG_BIN),
    "confidence": (
        "confidence",
        "1000 + CAST(greatest(0, least(floor({value} * 1000), 999)) AS INTEGER)",
    ),
    "latency_ms": ("latency_ms", _LOG_BIN),
}
# Bins of 0.001 have the keys 1000 to 1999: those of a sure model all lie beyond 0.98. Days profiled
# by an earlier version have bins of 0.02, with the keys 0 to 49.
FINE_CONFIDENCE = 1_000
_FINE_IN_COARSE = 20


def confidence_bin(key: int, *, fine: bool) -> int:
    """Return a bin of confidence in bins of 0.001, or of 0.02 where days of both kinds are read."""
    if fine or key < FINE_CONFIDENCE:
        return key
    return (key - FINE_CONFIDENCE) // _FINE_IN_COARSE


def refresh_profiles(lake: Lake, workload: Workload, window: Window) -> list[date]:
    """Profile the days of a window in which the lake holds another number of rows than profiled."""
    days = list(stale_days(lake, workload, window))
    profile_days(lake, workload, days)
    return days


def stale_days(lake: Lake, workload: Workload, window: Window) -> dict[date, int]:
    """Return the landed rows of the days whose profile is missing or older than they are."""
    stale = lake.scan(
        """
        WITH seen AS (SELECT day, count(*) AS landed FROM inferences
                      WHERE workload_id = $workload AND day >= $start AND day < $end GROUP BY day),
             known AS (SELECT day, sum(count) AS landed FROM profiles
                       WHERE workload_id = $workload AND "column" = 'landed'
                         AND day >= $start AND day < $end GROUP BY day)
        SELECT day, coalesce(seen.landed, 0) AS landed FROM seen FULL JOIN known USING (day)
        WHERE seen.landed IS DISTINCT FROM known.landed ORDER BY day
        """,
        {"workload": workload.id, "start": window.start, "end": window.end},
        event_days=window.days,
    ).to_pylist()
    return {row["day"]: row["landed"] for row in stale}


def profile_days(lake: Lake, workload: Workload, days: Sequence[date]) -> int:
    """Replace the profiles of days by those of their first events; return the rows written."""
    if not days:
        return 0
    landed = _landed(lake, workload, days)
    rows = pa.concat_tables(
        [landed, _histograms(lake, workload, days), _vocabulary(lake, workload, landed)],
        promote_options="permissive",
    )
    for day in sorted(set(days)):
        of_day = rows.filter(pc.equal(rows["day"], pa.scalar(day, pa.date32())))
        lake.replace("profiles", of_day, where={"workload_id": workload.id, "day": day})
    return int(rows.num_rows)


def category_columns(workload: Workload) -> dict[str, str]:
    """Return the SQL of every category column, by its name.

    ``output`` is the label of the answer; an extraction's other fields with a list of allowed
    values are ``output.FIELD``.
    """
    columns = {"client": "coalesce(client_id, '(none)')", "release": "coalesce(release, '(none)')"}
    task = workload.task
    if not isinstance(task, ExtractionTask):
        if workload.form.has_label:  # texts have no categories
            columns["output"] = _json_text("$")
        return columns
    for field, schema in task.json_schema["properties"].items():
        if field == task.label_field:
            columns["output"] = _json_text(_path(field))
        elif isinstance(schema, dict) and "enum" in schema:
            columns[f"output.{field}"] = _json_text(_path(field))
    return columns


def _path(field: str) -> str:
    return '$."' + field.replace('"', '\\"') + '"'


def _json_text(path: str) -> str:
    return f"coalesce(json_extract_string(output, {quoted(path)}), '(none)')"


def _histograms(lake: Lake, workload: Workload, days: Sequence[date]) -> pa.Table:
    # One scan of the events: every column is a grouping set of its own.
    categories = category_columns(workload)
    columns = [*BINS, *categories, "errors"]
    numbers = [value for value, _ in BINS.values()]
    keys = [bin_sql.format(value=f"n{i}") for i, (_, bin_sql) in enumerate(BINS.values())]
    keys = [f"CAST({key} AS VARCHAR)" for key in keys] + list(categories.values())
    keys.append("CASE WHEN error IS NOT NULL THEN coalesce(client_id, '(none)') END")
    positions = range(len(columns))
    group_number = " ".join(f"WHEN grouping(k{i}) = 0 THEN {i}" for i in positions)
    key = " ".join(f"WHEN grouping(k{i}) = 0 THEN k{i}" for i in positions)
    total = " ".join(f"WHEN grouping(k{i}) = 0 THEN sum(n{i})" for i in range(len(BINS)))
    sql = f"""
        WITH events AS (
            SELECT *, {", ".join(f"{value} AS n{i}" for i, value in enumerate(numbers))}
            FROM answered_inferences WHERE {_CHOSEN}),
        keyed AS (
            SELECT day, n0, n1, n2, {", ".join(f"{key} AS k{i}" for i, key in enumerate(keys))}
            FROM events)
        SELECT day, CASE {group_number} ELSE {len(columns)} END AS position,
               CASE {key} ELSE '' END AS key,
               count(*) AS count, CAST(CASE {total} END AS DOUBLE) AS total
        FROM keyed
        GROUP BY GROUPING SETS ({", ".join(f"(day, k{i})" for i in positions)}, (day))
        HAVING key IS NOT NULL ORDER BY day, position, key
    """  # noqa: S608 - expressions come from this module and the checked workload file
    table = lake.scan(sql, {"workload": workload.id, "days": list(days)}, event_days=days)
    position = table["position"].combine_chunks()
    names = pa.array([*columns, "events"])
    kinds = pa.array(
        ["numeric"] * len(BINS) + ["category"] * (len(columns) - len(BINS)) + ["total"]
    )
    return _table(workload, table, column=names.take(position), kind=kinds.take(position))


def _landed(lake: Lake, workload: Workload, days: Sequence[date]) -> pa.Table:
    # Rows with their duplicates. Counted before the events are looked at: a row that lands in
    # between makes the day stale once more, never the other way round.
    table = lake.scan(
        f"""
        SELECT day, '' AS key, count(*) AS count FROM inferences WHERE {_CHOSEN}
        GROUP BY day ORDER BY day
        """,  # noqa: S608 - `_CHOSEN` is a constant
        {"workload": workload.id, "days": list(days)},
        event_days=days,
    )
    names = (pa.array([text] * len(table), pa.string()) for text in ("landed", "total"))
    return _table(workload, table, column=next(names), kind=next(names))


def _vocabulary(lake: Lake, workload: Workload, landed: pa.Table) -> pa.Table:
    # A word counts once in a text. The row of kind `total` says how many texts were looked at.
    rates = [2 ** max(0, ceil(log2(n / _TEXTS_A_DAY))) for n in landed["count"].to_pylist()]
    table = lake.scan(
        f"""
        WITH rates AS (SELECT unnest(CAST($days AS DATE[])) AS day,
                              unnest(CAST($rates AS UBIGINT[])) AS rate),
        texts AS (
            SELECT day, input FROM answered_inferences JOIN rates USING (day) WHERE {_CHOSEN}
            AND CASE WHEN rate = 1 THEN true ELSE md5_number_lower(inference_id) % rate = 0 END),
        words AS (SELECT day, unnest(list_distinct({WORDS})) AS key FROM texts),
        counted AS (SELECT day, key, count(*) AS count FROM words GROUP BY day, key),
        ranked AS (
            SELECT *, row_number() OVER (PARTITION BY day ORDER BY count DESC, key) AS rank
            FROM counted)
        SELECT day, CASE WHEN rank <= $terms THEN key ELSE $other END AS key,
               CAST(sum(count) AS BIGINT) AS count, 'term' AS kind FROM ranked GROUP BY 1, 2
        UNION ALL SELECT day, '', count(*), 'total' FROM texts GROUP BY day
        ORDER BY day, kind, count DESC, key
        """,  # noqa: S608 - constants of this module
        {
            "workload": workload.id,
            "days": landed["day"].to_pylist(),
            "rates": rates,
            "terms": _TERMS_A_DAY,
            "other": OTHER_TERM,
        },
        event_days=landed["day"].to_pylist(),
    )
    column = pa.array(["vocabulary"] * table.num_rows, pa.string())
    return _table(workload, table, column=column, kind=table["kind"])


def _table(workload: Workload, rows: pa.Table, *, column: pa.Array, kind: pa.Array) -> pa.Table:
    column_names = set(rows.column_names)
    return pa.table(
        {
            "workload_id": pa.array([workload.id] * rows.num_rows, pa.string()),
            "day": rows["day"],
            "column": column,
            "kind": kind,
            "key": rows["key"],
            "count": rows["count"],
            "total": rows["total"]
            if "total" in column_names
            else pa.nulls(len(rows), pa.float64()),
        }
    )
