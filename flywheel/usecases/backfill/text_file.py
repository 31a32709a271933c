"""`TextFile` and `texts_of_file`: texts of a CSV, JSONL or Parquet file, as a source of a backfill.

DuckDB reads the file where it lies. The lake gets the ids of its texts, and never the texts.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from flywheel.errors import ConfigurationError, DataError, NotFoundError
from flywheel.lake.sql_text import quoted
from flywheel.ports.bulk_work import TextPart
from flywheel.privacy.masking import Masking
from flywheel.usecases.backfill.products import Product
from flywheel.usecases.backfill.texts import TextSource

if TYPE_CHECKING:
    from flywheel.lake.store import Lake
    from flywheel.workload.model import Workload
    from flywheel.workload.privacy import PrivacyRules

__all__ = ["TextFile", "texts_of_file"]

_DELIMITED = "read_csv($texts_file, header = true, all_varchar = true)"
_TABLES = {".csv": _DELIMITED, ".tsv": _DELIMITED, ".parquet": "read_parquet($texts_file)"}
_LINES = {".jsonl", ".ndjson"}
_PACKED = {".gz", ".zst"}
_LANDED = """
SELECT min(day) AS day FROM {table}
WHERE workload_id = $workload AND {maker_column} = $maker AND starts_with(inference_id, $prefix)
"""
_TEXTS = """
SELECT $texts_prefix || id AS inference_id, CAST(NULL AS VARCHAR) AS subject_id,
  CAST($texts_time AS TIMESTAMPTZ) AS event_time, CAST($texts_day AS DATE) AS day, text AS input
FROM ({lines}) AS l WHERE trim(text) <> ''
"""


@dataclass(frozen=True)
class TextFile:
    """A file with an id and a text in each row or line, and the names of these two columns."""

    path: Path
    id_column: str = "id"
    text_column: str = "text"

    @property
    def prefix(self) -> str:
        """What comes before an id in the lake, so that it is no other file's and no call's."""
        return f"{self.path.name}/"


def texts_of_file(
    lake: "Lake", workload: "Workload", product: Product, file: TextFile
) -> TextSource:
    """Return the texts of a file, all on one day; rows without a text are left out.

    The day is the one on which rows of the file landed before, and at first that of its last change:
    a file that has grown since is continued. What the workload masks is masked in each part.

    Raises:
        NotFoundError: there is no such file.
        ConfigurationError: it is of another kind, or the workload is about conversations.
        DataError: a column is missing, a row has no id, or an id is there twice.
    """
    if workload.input == "conversation":
        raise ConfigurationError(
            f"{workload.id} is about conversations, and the texts of a file are none.",
            next_step="import the conversations with `flywheel import`, then backfill their days",
        )
    lines = _lines(lake, file)
    _require_ids(lake, file, lines)
    day = _landed_day(lake, workload.id, product, file) or _changed_day(file)
    rules = workload.privacy
    return TextSource(
        first=day,
        last=day,
        sql=_TEXTS.format(lines=lines),
        values={
            "texts_file": str(file.path),
            "texts_prefix": file.prefix,
            "texts_day": day,
            "texts_time": datetime.combine(day, time(), UTC),
        },
        prepare=lambda part: part if rules is None else _masked(part, rules),
    )


def _lines(lake: "Lake", file: TextFile) -> str:
    # A query with the columns `id` and `text`, as texts.
    path = file.path
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.", next_step="give its path")
    kind = Path(path.stem).suffix if path.suffix in _PACKED else path.suffix
    if kind in _LINES:
        # Read as objects: DuckDB would take some texts for dates or numbers.
        key, text = (_member(name) for name in (file.id_column, file.text_column))
        reader = "read_ndjson_objects($texts_file)"
    elif kind in _TABLES:
        key, text = (_column(name) for name in (file.id_column, file.text_column))
        reader = _TABLES[kind]
        _require_columns(lake, file, reader)
    else:
        raise ConfigurationError(
            f"{path.name} is no file of texts.",
            next_step="give a CSV, TSV, JSONL or Parquet file, by the end of its name",
        )
    return f"SELECT nullif(trim({key}), '') AS id, {text} AS text FROM {reader}"  # noqa: S608 - quoted


def _member(name: str) -> str:
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return f"json_extract_string(json, {quoted(pointer)})"


def _column(name: str) -> str:
    identifier = name.replace('"', '""')
    return f'CAST("{identifier}" AS VARCHAR)'


def _require_columns(lake: "Lake", file: TextFile, reader: str) -> None:
    sql = f"SELECT * FROM {reader} LIMIT 0"  # noqa: S608 - one of those above
    present = lake.query(sql, {"texts_file": str(file.path)}).column_names
    missing = [name for name in (file.id_column, file.text_column) if name not in present]
    if missing:
        raise DataError(
            f"{file.path.name} has no column {missing[0]!r}.",
            next_step=f"name the columns with --id and --text; it has {', '.join(present)}",
        )


def _require_ids(lake: "Lake", file: TextFile, lines: str) -> None:
    sql = f"SELECT count(*) AS n, count(id) AS ids, count(DISTINCT id) AS known FROM ({lines})"  # noqa: S608
    (count,) = lake.rows(sql, {"texts_file": str(file.path)})
    if count["n"] == count["known"]:
        return
    without, twice = count["n"] - count["ids"], count["ids"] - count["known"]
    raise DataError(
        f"{file.path.name}: of {count['n']:,} rows {without:,} have no {file.id_column!r} and "
        f"{twice:,} repeat that of another row.",
        next_step="give each text an id of its own: answers are found by it",
    )


def _landed_day(lake: "Lake", workload_id: str, product: Product, file: TextFile) -> date | None:
    sql = _LANDED.format(table=product.table, maker_column=product.maker_column)
    values = {"workload": workload_id, "maker": product.maker, "prefix": file.prefix}
    (row,) = lake.rows(sql, values)
    day: date | None = row["day"]
    return day


def _changed_day(file: TextFile) -> date:
    return datetime.fromtimestamp(file.path.stat().st_mtime, UTC).date()


def _masked(part: TextPart, rules: "PrivacyRules") -> TextPart:
    texts = [Masking(rules).text(text) for text in part.rows["input"].to_pylist()]
    column = part.rows.column_names.index("input")
    rows = part.rows.set_column(column, "input", pa.array(texts, pa.string()))
    return replace(part, rows=rows)
