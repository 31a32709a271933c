"""Catalog of the commands: what each is for, and the module that is imported when it is called."""

import importlib
from dataclasses import dataclass
from typing import Any

import typer.core
import typer.main

__all__ = ["COMMANDS", "CommandCatalog", "Entry", "load_command"]

_LISTING = "flywheel.listing"
_WORKLOAD, _TRAFFIC = "Describe a task", "Take traffic in"
_PEOPLE, _CYCLE, _DEPLOYMENT = "Ask people", "Train, gate, release", "Run and check a deployment"


@dataclass(frozen=True)
class Entry:
    """One name at the top level: its module, its help in a line, its panel, whether it is a group."""

    module: str
    panel: str
    help: str
    group: bool = False


# In the order in which a new workload needs them. The help is that of the command itself; a test
# holds the two together.
COMMANDS: dict[str, Entry] = {
    "init": Entry("workloads", _WORKLOAD, "Write a commented workload file that loads as it is."),
    "taxonomy": Entry("workloads", _WORKLOAD, "Labels with stable ids, in versions."),
    "base": Entry("base", _WORKLOAD, "Base models.", group=True),
    "import": Entry(
        "importing",
        _TRAFFIC,
        "Import a labeled CSV as the seed, or a log of model calls as events.",
    ),
    "gateway": Entry(
        "gateway",
        _TRAFFIC,
        "Serve the workloads over OpenAI's HTTP interface, until SIGTERM or Ctrl-C.",
    ),
    "keys": Entry("keys", _TRAFFIC, "Keys with which applications reach the gateway.", group=True),
    "usage": Entry(
        "usage",
        _TRAFFIC,
        "Sum calls and tokens of the gateway by client and workload, over days in UTC.",
    ),
    "topics": Entry("topics", _TRAFFIC, "Topics of the event log.", group=True),
    "schema": Entry("schema", _TRAFFIC, "Print the JSON Schema (draft 2020-12) of an event."),
    "ingest": Entry(
        "ingest", _TRAFFIC, "Land what the log holds; with --follow, also what arrives."
    ),
    "dlq": Entry("dlq", _TRAFFIC, "Dead letters: records that broke the contract.", group=True),
    "review": Entry(
        "review",
        _PEOPLE,
        "Send answers to people, and take their judgments in: push, answer, pull.",
        group=True,
    ),
    "waiting": Entry(
        "waiting",
        _PEOPLE,
        "List what waits for a person: approvals, failed gates, reviews, disputes, dead letters.",
    ),
    "judge": Entry(
        "judge",
        _PEOPLE,
        "A model as judge: it orders the queue; calibrated, it sharpens a figure.",
        group=True,
    ),
    "annotators": Entry(
        "annotators", _PEOPLE, "Accounts of the people who annotate in Label Studio.", group=True
    ),
    "webhooks": Entry(
        "webhooks", _PEOPLE, "Keep what Label Studio says as hints, until SIGTERM or Ctrl-C."
    ),
    "dataset": Entry(
        "dataset", _CYCLE, "Look at dataset snapshots and where rows went.", group=True
    ),
    "labels": Entry("labels", _CYCLE, "What more judgments would bring.", group=True),
    "drift": Entry(
        "drift",
        _CYCLE,
        "Profile new days, compare the last windows with the reference and name the cause.",
    ),
    "cycle": Entry("cycle", _CYCLE, "Open, run, retry and stop a cycle by hand.", group=True),
    "cycles": Entry("cycles", _CYCLE, "List the cycles of a workload, and who answers now."),
    "explain": Entry("cycles", _CYCLE, "Show everything recorded about one cycle, in order."),
    "gate": Entry(
        "release",
        _CYCLE,
        "Show the gate report of a cycle: checks, arms, and why it ended as it did.",
    ),
    "approve": Entry(
        "release", _CYCLE, "Let a candidate through; the one who asked for the cycle cannot."
    ),
    "reject": Entry("release", _CYCLE, "Close a cycle without promotion."),
    "promote": Entry(
        "release",
        _CYCLE,
        "Promote the approved candidate of a cycle, or begin its first stage; repeat it after a crash.",
    ),
    "release": Entry(
        "release_path",
        _CYCLE,
        "A release between approval and champion: show, advance, retry, reconcile.",
        group=True,
    ),
    "rollback": Entry(
        "release",
        _CYCLE,
        "Withdraw the release in shadow or canary; without one, put the former champion back.",
    ),
    "desk": Entry(
        "desk",
        _CYCLE,
        "Serve the release desk for this deployment's people, until SIGTERM or Ctrl-C.",
        group=True,
    ),
    "people": Entry(
        "people",
        _CYCLE,
        "People who read and decide at the release desk, and their tokens.",
        group=True,
    ),
    "aliases": Entry(
        "release",
        _CYCLE,
        "Set MLflow's aliases to what the route table says, where they were moved by hand.",
    ),
    "serving": Entry(
        "release",
        _CYCLE,
        "Load what the route table names into the model server, and unload what nothing needs.",
    ),
    "ask": Entry(
        "ask", _CYCLE, "Ask the champion, and print answer, confidence, runner-up and time."
    ),
    "backfill": Entry(
        "backfill",
        _CYCLE,
        "Answers of a release, or sentence vectors, for earlier calls or a file of texts.",
        group=True,
    ),
    "registry": Entry(
        "registry", _DEPLOYMENT, "MLflow: the way from a file to a server.", group=True
    ),
    "state": Entry(
        "state", _DEPLOYMENT, "The SQL state: schema, and the way to PostgreSQL.", group=True
    ),
    "status": Entry("status", _DEPLOYMENT, "Show where every workload stands."),
    "doctor": Entry(
        "doctor",
        _DEPLOYMENT,
        "Check the machine, the settings and every store, and say what to do.",
    ),
    "verify": Entry(
        "verify",
        _DEPLOYMENT,
        "Prove that nothing was lost, nothing counts twice and nothing was changed.",
    ),
    "audit": Entry(
        "audit", _DEPLOYMENT, "The audit's newest hash, and a check against it.", group=True
    ),
    "accept-files": Entry(
        "accept_files",
        _DEPLOYMENT,
        "Accept files of the lake as they are, where their digests were lost; recorded in the audit.",
    ),
    "backup": Entry(
        "backup",
        _DEPLOYMENT,
        "Copy state, log, lake, queue, datasets, adapters, bases, MLflow and workloads into a folder.",
    ),
    "restore": Entry(
        "backup",
        _DEPLOYMENT,
        "Put a backup into a new home; every file is checked against the backup's list first.",
    ),
    "erase": Entry(
        "erase",
        _DEPLOYMENT,
        "Remove a person from every store, with a receipt of each that `verify` checks later.",
    ),
    "erasures": Entry(
        "erase",
        _DEPLOYMENT,
        "List erasures with their receipts, and the releases that wait for their owners' decision.",
    ),
    "accept-erasure": Entry(
        "erase",
        _DEPLOYMENT,
        "Accept in writing that a release serves on though it learned from an erased person.",
    ),
    "audit-workloads": Entry(
        "audit_workloads",
        _WORKLOAD,
        "List the tasks in logs of model calls: volume, tokens, time, spend, and which to tune first.",
    ),
    "roi": Entry(
        "roi",
        _WORKLOAD,
        "Show what a workload costs and saves: answers, labels, cycles, break-even, 24 months.",
    ),
    "bakeoff": Entry(
        "bakeoff",
        _WORKLOAD,
        "Compare bases without examples, with worked examples and tuned; safe to repeat.",
    ),
    "simulate": Entry(
        "simulation",
        _WORKLOAD,
        "Replay a labeled file as traffic, correct within a budget, train, measure, repeat.",
    ),
    "up": Entry(
        "interface",
        _DEPLOYMENT,
        "Start Dagster's web interface and daemon, MLflow's pages and the gateway, on this deployment.",
    ),
    "down": Entry("interface", _DEPLOYMENT, "Stop what `flywheel up` started."),
    "services": Entry(
        "services",
        _DEPLOYMENT,
        "Kafka, PostgreSQL, MLflow, Label Studio, Ray, S3, vLLM, Dagster: no Docker, no root.",
        group=True,
    ),
}


def load_command(name: str) -> Any:
    """Import a command's module and return the command."""
    entry = COMMANDS[name]
    area = typer.main.get_group(importlib.import_module(f"flywheel.cli.{entry.module}").app)
    if not entry.group:
        return area.commands[name]
    area.name = name
    return area


class CommandCatalog(typer.core.TyperGroup):
    """Group of all commands, which lists them without importing them."""

    def __init__(self, **options: Any) -> None:
        """Take the options of a group; its commands are those of the catalog."""
        super().__init__(**options)
        # Names only: what follows is for the list, and for "did you mean".
        self.commands = {name: _listed(name) for name in COMMANDS}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or what the list says of it while the list is printed."""
        if cmd_name not in COMMANDS:
            return None
        return _listed(cmd_name) if ctx.meta.get(_LISTING) else load_command(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the name of click's argument
        """Return the names in the catalog's order."""
        return list(COMMANDS)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help and the list."""
        ctx.meta[_LISTING] = True
        super().format_help(ctx, formatter)


def _listed(name: str) -> typer.core.TyperCommand:
    entry = COMMANDS[name]
    return typer.core.TyperCommand(name, help=entry.help, rich_help_panel=entry.panel)
