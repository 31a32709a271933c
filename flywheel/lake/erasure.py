"""`erase_subjects`: remove erased subjects for good; what `erasures` names, readers no longer see.

Rows that the ledger counts (events, dead letters) stay, emptied of everything personal; others are
deleted. Membership in training sets stays: it holds no text and tells which releases saw a person.
`purge_replaced_files` removes the files that held the rows before.
"""

from collections.abc import Collection, Mapping

from deltalake import DeltaTable

from flywheel.lake.handles import NO_HOOKS
from flywheel.lake.sql_text import quoted
from flywheel.lake.store import Lake

__all__ = [
    "ERASED_IDS",
    "Position",
    "empty_dead_letters",
    "erase_subjects",
    "erased_inferences",
    "erased_row_ids",
    "purge_replaced_files",
]

# Topic id, partition and offset of a row.
Position = tuple[str, int, int]

# Calls of erased persons; membership names those whose other rows are gone already.
ERASED_IDS = """
    SELECT DISTINCT r.workload_id, r.inference_id FROM (
        SELECT workload_id, inference_id, subject_id FROM stored.inferences
        UNION ALL SELECT workload_id, inference_id, subject_id FROM stored.corrections
        UNION ALL SELECT workload_id, inference_id, subject_id FROM stored.review_items
        UNION ALL SELECT workload_id, inference_id, subject_id FROM stored.dataset_rows
    ) AS r
    JOIN stored.erasures AS e ON e.subject_id = r.subject_id
    AND (e.workload_id IS NULL OR e.workload_id = r.workload_id)
    WHERE r.inference_id IS NOT NULL
"""
_ERASED_CORRECTIONS = """
    SELECT DISTINCT r.correction_id FROM (
        SELECT workload_id, correction_id, subject_id FROM stored.corrections
        UNION ALL SELECT workload_id, correction_id, subject_id FROM stored.dataset_rows
    ) AS r
    JOIN stored.erasures AS e ON e.subject_id = r.subject_id
    AND (e.workload_id IS NULL OR e.workload_id = r.workload_id)
    WHERE r.correction_id IS NOT NULL AND r.workload_id = ?
"""
_EMPTIED: dict[str, tuple[str, ...]] = {
    "inferences": (
        *("client_id", "trace_id", "conversation_id"),
        *("request", "response", "input", "output", "error"),
    ),
    "feedback": ("value", "author"),
}
_DELETED = (
    *("evaluations", "shadow_pairs", "judge_verdicts", "review_items", "corrections"),
    *("backfill_answers", "text_vectors"),
)
_AT_ONCE = 500


def erase_subjects(lake: Lake) -> dict[str, int]:
    """Remove or empty every row of an erased subject; return the rows touched, by table."""
    if not lake.rows("SELECT 1 FROM stored.erasures LIMIT 1"):
        return {}
    touched = {
        # Found through the inference, hence before it is emptied.
        "feedback": _empty_feedback(lake),
        "annotations": _delete_linked(lake, "annotations"),
        "dead_letters": _empty_dead_letters(lake),
        "inferences": _empty_inferences(lake),
    }
    for table in _DELETED:
        # Of the rows that name a call of the person, some do not name the person.
        touched[table] = _delete_linked(lake, table) + _delete(lake, table)
    return {table: count for table, count in touched.items() if count}


def erased_inferences(lake: Lake, workload_id: str) -> set[str]:
    """Return the ids of the answers to erased persons."""
    if not lake.rows("SELECT 1 FROM stored.erasures LIMIT 1"):
        return set()
    rows = lake.rows(f"SELECT * FROM ({ERASED_IDS}) WHERE workload_id = ?", [workload_id])  # noqa: S608
    return {row["inference_id"] for row in rows}


def erased_row_ids(lake: Lake, workload_id: str) -> set[str]:
    """Return the inference and correction ids that name a dataset's rows of erased persons."""
    ids = erased_inferences(lake, workload_id)
    return ids | {row["correction_id"] for row in lake.rows(_ERASED_CORRECTIONS, [workload_id])}


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
        f"JOIN ({ERASED_IDS}) AS x USING (workload_id, inference_id) "
        "WHERE f.author IS NOT NULL GROUP BY ALL"
    )
    return _per_workload(lake, "feedback", "inference_id", rows, empty=_EMPTIED["feedback"])


def _delete_linked(lake: Lake, table: str) -> int:
    rows = lake.rows(
        "SELECT a.workload_id, a.inference_id AS id, count(*) AS count "  # noqa: S608
        f"FROM stored.{table} AS a JOIN ({ERASED_IDS}) AS x "
        "USING (workload_id, inference_id) GROUP BY ALL"
    )
    return _per_workload(lake, table, "inference_id", rows)


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
    return empty_dead_letters(
        lake, [(row["topic_id"], row["partition"], row["offset"]) for row in rows]
    )


def empty_dead_letters(lake: Lake, positions: Collection[Position]) -> int:
    """Empty the dead letters of these positions, and return how many there were."""
    rows = sorted(positions)
    for start in range(0, len(rows), _AT_ONCE):
        condition = " OR ".join(
            f'(topic_id = {quoted(topic_id)} AND "partition" = {partition} AND "offset" = {offset})'
            for topic_id, partition, offset in rows[start : start + _AT_ONCE]
        )
        _change(lake, "dead_letters", condition, {"raw": "NULL", "key": "NULL", "error": "NULL"})
    return len(rows)


def purge_replaced_files(lake: Lake, table: str) -> int:
    """Remove the data files that no longer belong to a table, and return how many there were.

    Those that a commit replaced go at once: a query that reads one at this moment fails and is
    repeated. Files that no commit names are left for an hour, since a writer may be about to.
    """
    handle = lake.handle(table)
    removed: list[str] = []

    def vacuum(delta: DeltaTable) -> None:
        for hours, full in ((0, False), (1, True)):
            removed.extend(
                delta.vacuum(
                    hours,
                    dry_run=False,
                    enforce_retention_duration=False,
                    full=full,
                    post_commithook_properties=NO_HOOKS,
                )
            )

    def attempt() -> None:
        with handle.rewriting():
            if handle.refresh() is not None:
                handle.change(vacuum)

    lake.retry(attempt)
    return len(set(removed))


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
            listed = ", ".join(quoted(one) for one in ids[start : start + _AT_ONCE])
            predicate = f"workload_id = {quoted(workload_id)} AND {column} IN ({listed})"
            _change(lake, table, predicate, dict.fromkeys(empty, "NULL"))
    return sum(int(str(row["count"])) for row in rows)


def _change(lake: Lake, table: str, predicate: str, updates: Mapping[str, str]) -> None:
    handle = lake.handle(table)

    def action(delta: DeltaTable) -> None:
        if updates:
            delta.update(
                predicate=predicate,
                updates=dict(updates),
                commit_properties=handle.rewrite(),
                post_commithook_properties=NO_HOOKS,
            )
        else:
            delta.delete(
                predicate,
                commit_properties=handle.rewrite(),
                post_commithook_properties=NO_HOOKS,
            )

    def attempt() -> None:
        with handle.rewriting():
            handle.ready()
            handle.change(action)

    lake.retry(attempt)
