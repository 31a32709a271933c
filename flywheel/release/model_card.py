"""The model card: what a release is, what it was judged on and who let it through."""

from collections.abc import Mapping
from typing import Any

from flywheel.release.changelog import Changelog
from flywheel.release.markdown import escape
from flywheel.state import Approval, Release
from flywheel.workload.model import Workload

__all__ = ["write_model_card"]

_INTENDED_USE = (
    "Answers requests of this workload under its own prompt and mask; nothing else was measured. "
    "Labels outside its taxonomy cannot be answered."
)


def write_model_card(
    workload: Workload,
    release: Release,
    version: str,
    report: Mapping[str, Any],
    approval: Approval,
    changes: Changelog,
) -> str:
    """Write the card as Markdown; whatever a person or a file said is escaped."""
    base = release.facts["base_digest"]
    return "\n".join(
        [
            f"# {workload.id} {version}",
            "",
            escape(workload.description) or "No description was given.",
            "",
            f"- release: `{release.release}` (cycle {release.cycle}, attempt {release.attempt})",
            f"- owner: {escape(workload.owner)}",
            f"- task: {workload.task.type}, taxonomy version {workload.taxonomy_version}",
            f"- base model: {escape(workload.base_model)} (`{base[:12]}`)",
            f"- training data: snapshot `{release.dataset_hash[:12]}`{_pairs(release)}",
            f"- adapter manifest: `{release.manifest_digest}`",
            f"- replaces: `{approval.champion}`",
            _approval_line(approval),
            "",
            "## Intended use",
            "",
            _INTENDED_USE,
            "",
            "## Evidence",
            "",
            *_evidence(report),
            "",
            "## What data was added",
            "",
            changes.to_markdown(),
            "",
        ]
    )


def _pairs(release: Release) -> str:
    count = release.facts.get("metrics", {}).get("preference_pairs")
    return f", preference training on {count:.0f} of its corrections" if count else ""


def _approval_line(approval: Approval) -> str:
    simulated = " (simulated approver)" if approval.simulated else ""
    return (
        f"- approved by {escape(approval.actor)}{simulated} on {approval.given_at:%Y-%m-%d}, "
        f"name taken on trust ({escape(approval.channel)}): {escape(approval.reason)}"
    )


def _evidence(report: Mapping[str, Any]) -> list[str]:
    lines = [
        "| suite | arm | cases | exact match | macro F1 |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {arm['suite']} | {arm['arm']} | {arm['cases']} | {_figure(arm['exact_match'])} "
        f"| {_figure(arm['macro_f1'])} |"
        for arm in report["arms"]
    ]
    lines += ["", f"Gate: **{report['outcome']}**."]
    lines += [f"- {escape(check['reason'])}" for check in report["checks"]]
    lines += [f"- {escape(note)}" for note in report["notes"]]
    return lines


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
