"""Queries that sum hashes over items, the judgments on them and what was decided about them.

Whoever keeps something that was worked out of judgments compares these sums: whatever changes a
judgment, at any time and in any way, changes the sum of its item. DuckDB makes them in one pass over
narrow columns.
"""

import duckdb

__all__ = ["DECIDED", "GIVEN", "HASHES_OF", "ITEM"]

# Names whose hashes these are: another version may hash in another way.
HASHES_OF = f"duckdb {duckdb.__version__}"

# An item belongs to the batch that sent it first, as `read_sent` has it.
ITEM = """
SELECT item_id, inference_id, first(batch_id ORDER BY chosen_at, judgments) AS batch,
  sum(hash(batch_id, slice, judgments, chosen_at, model_output)) AS digest,
  max(judgments) AS judgments, first(judgments ORDER BY chosen_at, judgments) AS drawn
FROM review_items WHERE workload_id = $workload GROUP BY item_id, inference_id
"""
GIVEN = """
SELECT item_id, any_value(inference_id) AS inference_id, sum(hash(
    annotation_id, version, annotator, kind, output, proposed_label, seconds, updated_at, deleted
  )) AS digest,
  count(*) AS annotations, count(DISTINCT annotator) FILTER (NOT deleted) AS people,
  bool_or(kind = 'unreadable' AND NOT deleted) AS unreadable
FROM latest_annotations WHERE workload_id = $workload GROUP BY item_id
"""
DECIDED = """
SELECT inference_id, sum(hash(
    correction_id, version, status, output, proposed_label, annotators, annotation_ids
  )) AS digest
FROM latest_corrections WHERE workload_id = $workload GROUP BY inference_id
"""
