"""The lake: Delta tables written exactly once, queried in memory by DuckDB.

What the tables hold is declared in `tables`; this package knows nothing of events or cycles.
"""

from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES, LakeTable

__all__ = ["TABLES", "Lake", "LakeTable"]
