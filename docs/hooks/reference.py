"""`on_files`: pages of the reference, generated from the code while mkdocs builds the site.

`PAGES` maps each page to the function that writes it; `tests/unit/docs` checks that every setting,
workload key, command, event field, table and metric is on its page.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from prometheus_client import CollectorRegistry

import flywheel
from flywheel.cli.catalog import COMMANDS, load_command
from flywheel.events.published import EventName, published_schema
from flywheel.gateway.metrics import GatewayMetrics
from flywheel.ingest.consume import Landing
from flywheel.ingest.metrics import IngestMetrics
from flywheel.ingest.report import IngestReport
from flywheel.lake.meanings import column_meaning
from flywheel.lake.tables import TABLES
from flywheel.ports.event_log import Partition
from flywheel.settings import Settings
from flywheel.workload.model import Workload

__all__ = ["PAGES", "on_files"]

Schema = Mapping[str, Any]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the folder."""
    for name, write in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=write()))
    return files


def settings_page() -> str:
    """Return the page of the settings."""
    schema = Settings.model_json_schema()
    rows = (
        _field_row(f"FLYWHEEL_{name.upper()}", field, schema, _default(field))
        for name, field in schema["properties"].items()
    )
    return _page(
        "Settings",
        "Each setting is a variable, or a key in `flywheel.toml` in the current folder, written "
        'without the prefix and in lower case (`home = "/srv/flywheel"`). Variables win over the '
        "file. `flywheel doctor` checks the settings.",
        _table(("Variable", "Type", "Default", "Meaning"), rows),
    )


def workload_page() -> str:
    """Return the page of the workload file's keys."""
    schema = Workload.model_json_schema(by_alias=True)
    rows = (
        _field_row(path, field, schema, _default(field, required=required))
        for path, field, required in _keys(schema, schema)
    )
    return _page(
        "Workload file",
        "A workload is one YAML file in the folder `FLYWHEEL_WORKLOADS`, by default `workloads` in "
        "the home. `flywheel init` writes one, and `deploy/workloads/defect_reports.yaml` is a "
        "commented example. An unknown key is refused with the keys that are allowed.",
        _table(("Key", "Type", "Default", "Meaning"), rows),
    )


def cli_page() -> str:
    """Return the page of the commands."""
    parts = [_command_text(words, command) for words, command in commands()]
    text = (
        "Commands in the order in which a new workload needs them. Every command has `-h`. "
        "`flywheel --debug COMMAND` shows the traceback of a fault, `flywheel --version` the "
        "version. [Exit codes](../how-to/troubleshooting.md)."
    )
    return _page("Commands", text, *parts)


def events_page() -> str:
    """Return the page of the two events."""
    parts = []
    topics: dict[EventName, str] = {
        "inference": "flywheel.inferences",
        "feedback": "flywheel.feedback",
    }
    for name, topic in topics.items():
        schema = published_schema(name)
        required = schema.get("required", ())
        rows = (
            _field_row(key, field, schema, "yes" if key in required else "no")
            for key, field in schema["properties"].items()
        )
        parts += [
            f"## {name.capitalize()} event\n\nTopic `{topic}`. {schema['description']}\n",
            _table(("Field", "Type", "Required", "Meaning"), rows),
        ]
    text = (
        "`flywheel schema inference` and `flywheel schema feedback` print these as JSON Schema. "
        + published_schema("inference")["$comment"]
    )
    return _page("Events", text, *parts)


def lake_page() -> str:
    """Return the page of the lake's tables."""
    parts = []
    for table in TABLES.values():
        rows = (
            (f"`{field.name}`", str(field.type), column_meaning(table.name, field.name))
            for field in table.schema
        )
        by = ", ".join(f"`{name}`" for name in table.partition_by) or "nothing"
        parts += [
            f"## {table.name}\n\n{table.description} Partitioned by {by}.\n",
            _table(("Column", "Type", "Meaning"), rows),
        ]
    return _page(
        "Lake tables",
        "Each table is a Delta table, a folder of this name under `lake/` in the home. "
        "`topic_id`, `partition` and `offset` are the position of a record in the event log. "
        "Values that depend on the workload (answers, feedback) are JSON text; `input` is the text "
        "that the model was asked about; `day` is the UTC date of the event time. Times are UTC.",
        *parts,
    )


def metrics_page() -> str:
    """Return the page of the metrics of an ingest process and of a gateway."""
    header = ("Metric", "Type", "Labels", "Meaning")
    return _page(
        "Metrics",
        "Figures of the process itself (`process_*`, `python_info`) come with each of them.",
        "## Ingest\n\n`flywheel ingest --follow` serves these at `/metrics` for Prometheus. They are "
        "of one process and of the partitions that it reads now, so that the sum over a group's "
        "processes is the whole.\n",
        _table(header, _metric_rows(_ingest_metrics())),
        "## Gateway\n\n`flywheel gateway` serves these at `/metrics`.\n",
        _table(header, _metric_rows(_gateway_metrics())),
    )


def python_page() -> str:
    """Return the page of the names that `import flywheel` offers."""
    parts = []
    for name in sorted(flywheel.__all__):
        value = getattr(flywheel, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            parts.append(f"## {name}\n\n::: {value.__module__}.{value.__qualname__}\n")
        elif inspect.ismodule(value):
            parts.append(f"## {name}\n\n::: {value.__name__}\n")
    return _page("Python", "What `import flywheel` offers. All else may change.", *parts)


PAGES: dict[str, Callable[[], str]] = {
    "settings": settings_page,
    "workload": workload_page,
    "cli": cli_page,
    "events": events_page,
    "lake": lake_page,
    "metrics": metrics_page,
    "python": python_page,
}


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its words, as ``review push``; groups come before their commands."""
    for name in COMMANDS:
        command = load_command(name)
        yield name, command
        for inner in getattr(command, "commands", {}):
            yield f"{name} {inner}", command.commands[inner]


def _command_text(words: str, command: Any) -> str:
    text = inspect.cleandoc(command.help or "").replace("\b", "")
    if hasattr(command, "commands"):
        return f"## {words}\n\n{text}\n"
    context = command.context_class(command, info_name=f"flywheel {words}")
    usage = " ".join(["flywheel", words, *command.collect_usage_pieces(context)])
    rows = [
        (", ".join(f"`{name}`" for name in _names(param)), _value(param, context), param.help or "")
        for param in command.params
        if param.name != "help" and not param.hidden
    ]
    table = _table(("Argument or option", "Value", "Meaning"), rows) if rows else ""
    return f"{'###' if ' ' in words else '##'} {words}\n\n```\n{usage}\n```\n\n{text}\n\n{table}"


def _names(param: Any) -> list[str]:
    if param.param_type_name == "argument":
        return [param.display_name_raw]
    return [*param.opts, *param.secondary_opts]


def _value(param: Any, context: Any) -> str:
    kind = "" if getattr(param, "is_flag", False) else param.display_type(context).lower()
    shown = param.default not in (None, "", False, (), []) and not callable(param.default)
    default = f"`{param.default}`" if shown else ""
    return ", ".join(text for text in (kind, "required" if param.required else default) if text)


def _ingest_metrics() -> CollectorRegistry:
    """Return ingest's metrics with one sample of each, which names its labels."""
    metrics = IngestMetrics()
    report = IngestReport()
    report.landed["workload"] = 1
    report.dead_letters["reason"] = 1
    metrics.landed(Landing("topic", report, np.zeros(1)))
    metrics.lagging({Partition("topic", "id", 0): 0})
    metrics.failed(ValueError())
    return metrics.registry


def _gateway_metrics() -> CollectorRegistry:
    """Return the gateway's metrics with one sample of each, which names its labels."""
    metrics = GatewayMetrics()
    metrics.requests.labels("workload", "200")
    metrics.seconds.labels("workload", "champion", "release")
    metrics.tokens.labels("workload", "in")
    metrics.feedback.labels("workload")
    metrics.fallbacks.labels("workload", "release")
    metrics.shadows.labels("workload", "answered")
    return metrics.registry


def _metric_rows(registry: CollectorRegistry) -> Iterator[tuple[str, ...]]:
    for metric in registry.collect():
        if not metric.name.startswith("flywheel_"):
            continue
        labels = {label for sample in metric.samples for label in sample.labels} - {"le"}
        yield (
            f"`{metric.name}{'_total' if metric.type == 'counter' else ''}`",
            metric.type,
            ", ".join(f"`{label}`" for label in sorted(labels)),
            metric.documentation,
        )


def _keys(part: Schema, schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """Yield every key below a section with its path, sections before their keys."""
    for name, field in part["properties"].items():
        path, required = f"{prefix}{name}", name in part.get("required", ())
        yield path, field, required
        for section in _sections(field, schema):
            yield from _keys(section, schema, f"{path}[]." if _is_list(field) else f"{path}.")


def _sections(field: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield the groups of keys that a value may be, one for each alternative."""
    for part in (field, field.get("items", {}), *field.get("anyOf", ()), *field.get("oneOf", ())):
        target = _resolve(part, schema)
        if "$ref" in part and "properties" in target:
            yield target


def _is_list(field: Schema) -> bool:
    return field.get("type") == "array"


def _resolve(field: Schema, schema: Schema) -> Schema:
    reference = field.get("$ref")
    target: Schema = schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else field
    return target


def _type(field: Schema, schema: Schema) -> str:
    parts = [*field.get("anyOf", ()), *field.get("oneOf", ())]
    if parts:
        texts = [_type(part, schema) for part in parts if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(texts))
    field = _resolve(field, schema)
    if "enum" in field or "const" in field:
        return " · ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    kind = field.get("type", "any JSON")
    if isinstance(kind, list):
        return " or ".join(one for one in kind if one != "null")
    if kind == "array":
        items = _type(field["items"], schema) if field.get("items") else ""
        return f"list of {items}" if items else "list"
    if kind == "object":
        return "section" if "properties" in field else "mapping"
    return f"{field.get('format', kind)}{_bounds(field)}"


def _bounds(field: Schema) -> str:
    words = {
        "minimum": "at least", "exclusiveMinimum": "more than",
        "maximum": "at most", "exclusiveMaximum": "less than", "maxLength": "at most",
    }  # fmt: skip
    texts = [
        f"{text} {field[key]:,}" + (" characters" if key == "maxLength" else "")
        for key, text in words.items()
        if key in field
    ]
    return "".join(f", {text}" for text in texts)


def _field_row(name: str, field: Schema, schema: Schema, third: str) -> tuple[str, ...]:
    return f"`{name}`", _type(field, schema), third, _meaning(field, schema)


def _default(field: Schema, *, required: bool = False) -> str:
    if required:
        return "required"
    value = field.get("default")
    if value is None or isinstance(value, dict):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def _meaning(field: Schema, schema: Schema) -> str:
    # A section without a sentence of its own is described by the docstring of its class.
    parts = [field, *(_resolve(part, schema) for part in (field, *field.get("anyOf", ())))]
    texts = [part["description"] for part in parts if "description" in part]
    return str(texts[0] if texts else "").replace("``", "`").split("\n\n")[0]


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    cells = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def _page(title: str, text: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", text, *parts]) + "\n"
