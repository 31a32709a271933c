"""Thin Dagster sensors and schedules, one file per outside event."""
