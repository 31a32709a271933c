"""Bulk work over texts that the lake holds: answers of a release, sentence vectors."""
