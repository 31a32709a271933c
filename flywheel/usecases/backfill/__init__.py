"""Bulk work over texts that the lake holds: answers of a release, sentence vectors."""

__all__ = ["PART_ROWS"]

# What a killed process has to do again, and the rows of one commit.
PART_ROWS = 5_000
