"""Remove erased subjects for good: what `erasures` names, readers no longer see; here it goes.

Rows that the ledger counts (events, dead letters) stay, emptied of everything personal; others are
deleted. Membership in training sets stays: it holds no text and tells which releases saw a person.
"""

from collections.abc import Mapping

from deltalake import DeltaTable

from flywheel.lake.handles import NO_HOOKS
from flywheel.lake.store import Lake

__all__ = ["erase_subjects"]

_ERASED_IDS = """
    SELECT DISTINCT i.workload_id, i.inference_id FROM stored.inferences AS i
    JOIN stored.erasures AS e ON e.subject_id = i.subject_id
    AND (e.workload_id IS NULL OR e.workload_id = i.workload_id)
"""
_EMPTIED: dict[str, tuple[str, ...]] = {
    "inferences": ("client_id", "trace_id", "request", "response", "input", "output", "error"),
    "feedback": ("value", "author"),
}
_DELETED = ("review_items", "corrections", "evaluations")
_AT_ONCE = 500


def erase_subjects(lake: Lake) -> dict[str, int]:
    """Remove or empty every row of an erased subject; return the rows touched, by table."""
    if not lake.rows("SELECT 1 FROM stored.erasures LIMIT 1"):
        return {}
    touched = {
        # Found through the inference, hence before it is emptied.
        "feedback": _empty_feedback(lake),
        "annotations": _delete_annotations(lake),
        "dead_letters": _empty_dead_letters(lake),
        "inferences": _empty_inferences(lake),
    }
    touched |= {table: _delete(lake, table) for table in _DELETED}
    return {table: count for table, count in touched.items() if count}


def _empty_inferences(lake: Lake) -> int:
    rows = lake.rows(
        "SELECT i.workload_id, i.subject_id AS id, count(*) AS count FROM stored.inferences AS i "
        "JOIN stored.erasures AS e ON e.subject_id = i.subject_id "
        "AND (e.workload_id IS NULL OR e.workload_id = i.workload_id) "
        "WHERE i.request IS NOT NULL GROUP BY ALL"
    )
    return _per_workload(lake, "inferences", "subject_id", rows, empty=_EMPTIED["inferences"])


def _empty_feedback(lake: Lake) -> int:
    rows = lake.rows(
        "SELECT f.workload_id, f.inference_id AS id, count(*) AS count FROM stored.feedback AS f "  # noqa: S608
        f"JOIN ({_ERASED_IDS}) AS x USING (workload_id, inference_id) "
        "WHERE f.author IS NOT NULL GROUP BY ALL"
    )
    return _per_workload(lake, "feedback", "inference_id", rows, empty=_EMPTIED["feedback"])


def _delete_annotations(lake: Lake) -> int:
    rows = lake.rows(
        "SELECT a.workload_id, a.inference_id AS id, count(*) AS count "  # noqa: S608
        f"FROM stored.annotations AS a JOIN ({_ERASED_IDS}) AS x "
        "USING (workload_id, inference_id) GROUP BY ALL"
    )
    return _per_workload(lake, "annotations", "inference_id", rows)


def _delete(lake: Lake, table: str) -> int:
    rows = lake.rows(
        f"SELECT r.workload_id, r.subject_id AS id, count(*) AS count FROM stored.{table} AS r "  # noqa: S608
        "JOIN stored.erasures AS e ON e.subject_id = r.subject_id "
        "AND (e.workload_id IS NULL OR e.workload_id = r.workload_id) GROUP BY ALL"
    )
    return _per_workload(lake, table, "subject_id", rows)


def _empty_dead_letters(lake: Lake) -> int:
    # A dead letter has no columns to look at: whatever bytes name the subject are emptied.
    rows = lake.rows(
        'SELECT DISTINCT d.topic_id, d."partition", d."offset" FROM stored.dead_letters AS d '
        "JOIN stored.erasures AS e ON contains(hex(d.raw), hex(encode(e.subject_id)))"
    )
    for start in range(0, len(rows), _AT_ONCE):
        positions = " OR ".join(
            f'(topic_id = {_text(row["topic_id"])} AND "partition" = {row["partition"]} '
            f'AND "offset" = {row["offset"]})'
            for row in rows[start : start + _AT_ONCE]
        )
        _change(lake, "dead_letters", positions, {"raw": "NULL", "key": "NULL", "error": "NULL"})
    return len(rows)


def _per_workload(
    lake: Lake,
    table: str,
    column: str,
    rows: list[dict[str, object]],
    *,
    empty: tuple[str, ...] = (),
) -> int:
    by_workload: dict[str, list[str]] = {}
    for row in rows:
        by_workload.setdefault(str(row["workload_id"]), []).append(str(row["id"]))
    for workload_id, ids in by_workload.items():
        for start in range(0, len(ids), _AT_ONCE):
            listed = ", ".join(_text(one) for one in ids[start : start + _AT_ONCE])
            predicate = f"workload_id = {_text(workload_id)} AND {column} IN ({listed})"
            _change(lake, table, predicate, dict.fromkeys(empty, "NULL"))
    return sum(int(str(row["count"])) for row in rows)


def _change(lake: Lake, table: str, predicate: str, updates: Mapping[str, str]) -> None:
    def action(delta: DeltaTable) -> None:
        if updates:
            delta.update(
                predicate=predicate, updates=dict(updates), post_commithook_properties=NO_HOOKS
            )
        else:
            delta.delete(predicate, post_commithook_properties=NO_HOOKS)

    def attempt() -> None:
        handle = lake.handle(table)
        with handle.rewriting():
            handle.ready()
            handle.change(action)

    lake.retry(attempt)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
