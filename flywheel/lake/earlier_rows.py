"""Columns that rows of earlier versions lack, as SQL over the columns that they have.

Until 0.2 the period, the kind and the cycle of a review item stood in the name of its batch, and
the item in dispute in the id of its adjudication. Rows are read with these columns filled in, so
that nothing else reads a name (`review.sampling.item_ids` does the same for tasks in the queue).
"""

__all__ = ["EARLIER_REVIEW_ITEMS"]

# `<period>-<day>`, `<period>-labels` or `<period>-directed.<cycle>.<attempt>.<number>`.
_DIRECTED = r"-directed\.(.+)\.(\d+)\.\d+$"

EARLIER_REVIEW_ITEMS = {
    "period": "CASE WHEN contains(batch_id, '-') "
    "THEN regexp_replace(batch_id, '-[^-]*$', '') ELSE '' END",
    "batch_kind": "CASE WHEN ends_with(batch_id, '-labels') THEN 'labels' "
    f"WHEN regexp_matches(batch_id, '{_DIRECTED}') THEN 'directed' ELSE 'window' END",
    "disputed_item_id": "CASE WHEN slice = 'adjudication' "
    "THEN regexp_replace(item_id, '-adjudication$', '') END",
    "cycle": f"nullif(replace(regexp_extract(batch_id, '{_DIRECTED}', 1), '.', '-'), '')",
    "attempt": f"TRY_CAST(nullif(regexp_extract(batch_id, '{_DIRECTED}', 2), '') AS INTEGER)",
}
