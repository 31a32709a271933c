"""From the log into the lake: micro-batches, dead letters and their replay, the ledger, imports."""

from flywheel.ingest.consume import IngestConsumer
from flywheel.ingest.report import IngestReport

__all__ = ["IngestConsumer", "IngestReport"]
