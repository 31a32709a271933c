"""Metadata that people look at: tables, pictures and links, with untrusted text escaped."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from flywheel.clock import SystemClock
from flywheel.io.markdown import escape_markdown
from flywheel.io.spelling import show_controls
from flywheel.usecases.figures import table_place, table_rows
from flywheel.wiring import Platform

__all__ = [
    "defined",
    "markdown_table",
    "mlflow_link",
    "picture",
    "plain_text",
    "simulated_date",
    "table_facts",
]

_PICTURE_LIMIT = 100_000
# A client may send a word of a megabyte.
_CELL, _TEXT = 500, 2_000


def plain_text(value: object, *, limit: int = _TEXT) -> str:
    """Write a value with its control and direction characters as codes, its end cut off."""
    text = str(value)
    return show_controls(text if len(text) <= limit else f"{text[:limit]}…")


def markdown_table(rows: Sequence[Mapping[str, Any]], limit: int = 50) -> dg.MarkdownMetadataValue:
    """Show rows as a table; the keys of the first row are its columns."""
    if not rows:
        return dg.MetadataValue.md("(none)")
    columns = list(rows[0])
    lines = [
        "| " + " | ".join(escape_markdown(c) for c in columns) + " |",
        "| " + " | ".join("---" for _ in columns) + " |",
        *(
            "| "
            + " | ".join(escape_markdown(_shown(row.get(c)), limit=_CELL) for c in columns)
            + " |"
            for row in rows[:limit]
        ),
    ]
    if len(rows) > limit:
        lines.append(f"\n{len(rows) - limit} more rows")
    return dg.MetadataValue.md("\n".join(lines))


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Show a PNG inside the UI; one that is too large for it is named instead."""
    if len(png) > _PICTURE_LIMIT:
        return dg.MetadataValue.md(f"{escape_markdown(title)}: {len(png)} bytes, too large to show")
    data = base64.b64encode(png).decode()
    return dg.MetadataValue.md(f"![{escape_markdown(title)}](data:image/png;base64,{data})")


def table_facts(platform: Platform, table: str) -> dict[str, str | int]:
    """Name a lake table, its place and its rows, under the keys that Dagster shows apart."""
    return {
        "dagster/table_name": table,
        "dagster/uri": table_place(platform, table),
        "dagster/row_count": table_rows(platform, table),
    }


def mlflow_link(
    platform: Platform, page: str, name: str = "MLflow"
) -> dict[str, dg.UrlMetadataValue]:
    """Link to a page of MLflow: the server of the settings, or what `flywheel up` starts."""
    return {name: dg.MetadataValue.url(f"{platform.settings.mlflow_page}/#/{page}")}


def simulated_date(platform: Platform) -> dict[str, str]:
    """Return the date that a simulated clock shows, under its name; empty on the machine's clock.

    Dagster stamps an event with the moment of its run, which in the demo is months away from the
    date of the data.
    """
    if isinstance(platform.clock, SystemClock):
        return {}
    return {"simulated date": f"{platform.clock.now():%Y-%m-%d %H:%M} UTC"}


def defined(figures: Mapping[str, float | None]) -> dict[str, float]:
    """Return the figures that were measured: Dagster plots numbers, and None is not one."""
    return {name: float(value) for name, value in figures.items() if value is not None}


def _shown(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else value
