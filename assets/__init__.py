"""Thin Dagster assets and asset checks, one file per stage."""
