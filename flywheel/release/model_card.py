"""The model card: what a release is, what it was judged on and who let it through."""

from collections.abc import Iterable, Mapping

from flywheel.artifacts.gate_report import GateReport
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.io.markdown import escape_markdown
from flywheel.release.card_facts import CardFacts, Share
from flywheel.release.changelog import Changelog
from flywheel.state import Approval, Release

__all__ = ["INTENDED_USE", "OUT_OF_SCOPE", "shorten_card", "training_hours", "write_model_card"]

INTENDED_USE = (
    "Answers requests of this workload under its own prompt and mask; nothing else was measured. "
    "Labels outside its taxonomy cannot be answered."
)
OUT_OF_SCOPE = (
    "Not for other tasks, languages or sources than those of its production traffic, and not for "
    "decisions about persons without a person's review."
)
_FEW_CASES = 10
_VALUE = 80
# Of MLflow's column; the file beside the version holds all of it.
_DESCRIPTION = 5_000


def write_model_card(
    opened: OpenedWorkload,
    release: Release,
    version: str,
    report: GateReport,
    approval: Approval,
    changes: Changelog,
    facts: CardFacts,
) -> str:
    """Write the card as Markdown; whatever a person or a file said is escaped."""
    workload = opened.workload
    sections = {
        "Intended use": [INTENDED_USE, "", OUT_OF_SCOPE],
        "Evidence": _evidence(report),
        "By label": _shares("label", facts.labels),
        **_groups(facts),
        "Known failures": _failures(report, facts),
        "Data": _data(facts),
        "What data was added": [changes.to_markdown()],
        "Training": _training(opened, release),
        "Lineage": _lineage(release, report, approval),
    }
    lines = [
        f"# {workload.id} {version}",
        "",
        escape_markdown(workload.description) or "No description was given.",
        "",
        *_summary(opened, release, approval),
    ]
    for title, content in sections.items():
        lines += ["", f"## {title}", "", *content]
    return "\n".join([*lines, ""])


def shorten_card(card: str) -> str:
    """Return the beginning of a card that fits beside a model version, cut between lines."""
    if len(card) <= _DESCRIPTION:
        return card
    end = "\n\nThe whole card is model_card.md of the run."
    return card[: card.rfind("\n", 0, _DESCRIPTION - len(end))] + end


def training_hours(metrics: Mapping[str, float]) -> float | None:
    """Return the measured hours of a training, preparation included; None where none were kept."""
    names = (
        "preparation_seconds",
        "search_seconds",
        "training_seconds",
        "preference_training_seconds",
    )
    if "training_seconds" not in metrics:
        return None
    return sum(float(metrics.get(name, 0.0)) for name in names) / 3600


def _summary(opened: OpenedWorkload, release: Release, approval: Approval) -> list[str]:
    workload, base = opened.workload, release.lineage.base_digest
    return [
        f"- release: `{release.release}` (cycle {release.cycle}, attempt {release.attempt})",
        f"- owner: {escape_markdown(workload.owner)}",
        f"- task: {workload.task.type}, taxonomy version {workload.taxonomy_version}",
        f"- base model: {escape_markdown(workload.base_model)} (`{base[:12]}`)",
        f"- training data: snapshot `{release.dataset_hash[:12]}`{_pairs(release)}",
        f"- adapter manifest: `{release.manifest_digest}`",
        f"- replaces: `{approval.champion}`",
        _approval_line(approval),
    ]


def _pairs(release: Release) -> str:
    metrics = release.lineage.metrics
    if "preference_thumbs_up" in metrics:
        up, down = metrics["preference_thumbs_up"], metrics["preference_thumbs_down"]
        return f", KTO on {up:.0f} answers with a thumb up and {down:.0f} with one down"
    count = metrics.get("preference_pairs")
    return f", preference training on {count:.0f} of its corrections" if count else ""


def _approval_line(approval: Approval) -> str:
    simulated = " (simulated approver)" if approval.simulated else ""
    identity = "identity verified" if approval.identity == "verified" else "name taken on trust"
    return (
        f"- approved by {escape_markdown(approval.actor)}{simulated} on {approval.given_at:%Y-%m-%d}, "
        f"{identity} ({escape_markdown(approval.channel)}): {escape_markdown(approval.reason)}"
    )


def _evidence(report: GateReport) -> list[str]:
    lines = [
        "| suite | arm | cases | exact match | 95 % interval | macro F1 |",
        "| --- | --- | ---: | ---: | --- | ---: |",
    ]
    lines += [
        f"| {arm.suite} | {arm.arm} | {arm.cases} | {_figure(arm.exact_match)} "
        f"| {_interval_of(Share.of_arm(arm))} | {_figure(arm.macro_f1)} |"
        for arm in report.arms
    ]
    precision = report.subject.served_precision
    at = f" Weights of the base: {precision}, as they are served." if precision else ""
    lines += [*_texts(report), "", f"Gate: **{report.outcome}**.{at}"]
    lines += [f"- {escape_markdown(check.reason)}" for check in report.checks]
    lines += [f"- {escape_markdown(note)}" for note in report.notes]
    return lines


def _texts(report: GateReport) -> list[str]:
    rows = [
        f"| {arm.suite} | {arm.arm} | {arm.cases} | {arm.text.edit_rate:.3f} "
        f"| {arm.text.edit_distance:.3f} | {arm.text.chrf:.3f} | {arm.text.sentence_similarity:.3f} "
        f"| {_figure(arm.text.all_rules)} |"
        for arm in report.arms
        if arm.text is not None
    ]
    if not rows:
        return []
    return [
        "",
        "| suite | arm | cases | edited | edit distance | chrF | sentence vectors | all rules kept |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
    ]


def _shares(name: str, shares: Iterable[Share]) -> list[str]:
    rows = [
        f"| {escape_markdown(one.name, limit=_VALUE)} | {one.cases} | {one.accuracy:.3f} "
        f"| {_range(one.interval)} |"
        for one in shares
    ]
    if not rows:
        return ["Not measured: no case of the gate has one."]
    return [
        f"| {name} | cases | exact match | 95 % interval |",
        "| --- | ---: | ---: | --- |",
        *rows,
    ]


def _groups(facts: CardFacts) -> dict[str, list[str]]:
    if not facts.groups:
        return {"By group": ["Not measured: the workload names no attribute (`groups`)."]}
    sections = {}
    for attribute, shares in facts.groups.items():
        large = [one for one in shares if one.cases >= _FEW_CASES]
        gap = "Fewer than two groups have enough cases for a difference."
        if len(large) > 1:
            best = max(large, key=lambda one: one.accuracy)
            worst = min(large, key=lambda one: one.accuracy)
            gap = (
                f"Largest difference between groups of at least {_FEW_CASES} cases: "
                f"{best.accuracy - worst.accuracy:.3f} "
                f"({escape_markdown(best.name, limit=_VALUE)} against "
                f"{escape_markdown(worst.name, limit=_VALUE)})."
            )
        title = f"By group: {escape_markdown(attribute)}"
        sections[title] = [*_shares(escape_markdown(attribute), shares), "", gap]
    return sections


def _failures(report: GateReport, facts: CardFacts) -> list[str]:
    lines = [
        f"- {escape_markdown(one.expected)} answered as {escape_markdown(one.answered)}: "
        f"{one.cases} cases"
        for one in facts.confusions
    ]
    lines += [
        f"- check {check.name}, {check.outcome}: {escape_markdown(check.reason)}"
        for check in report.checks
        if check.outcome != "pass"
    ]
    if facts.lost:
        lines.append(f"- {facts.lost} cases that the former champion had right are wrong now")
    few = [one.name for one in facts.labels if one.cases < _FEW_CASES]
    if few:
        names = ", ".join(escape_markdown(name) for name in few)
        lines.append(
            f"- labels with fewer than {_FEW_CASES} cases, of which little is known: {names}"
        )
    return lines or ["None among the cases of the gate."]


def _data(facts: CardFacts) -> list[str]:
    return [
        f"- rows by split: {_listed(facts.splits)}",
        f"- training rows by source: {_listed(facts.sources)}",
        f"- left out, by reason: {_listed(facts.exclusions)}",
    ]


def _listed(counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{escape_markdown(name)} {count}" for name, count in counts.items())
    return listed or "none recorded"


def _training(opened: OpenedWorkload, release: Release) -> list[str]:
    metrics = release.lineage.metrics
    hours, energy = training_hours(metrics), metrics.get("energy_joules")
    recipe = opened.workload.training
    rows = "not recorded"
    if "rows" in metrics:
        rows = f"{metrics['rows']:.0f}, tokens: {metrics.get('tokens', 0):.0f}"
    done = f"{recipe.epochs} epochs, rank {recipe.rank}, learning rate {recipe.learning_rate:g}"
    if "search_trials" in metrics:
        done = (
            f"{metrics['chosen_epochs']:.0f} epochs, rank {metrics['chosen_rank']:.0f}, learning rate "
            f"{metrics['chosen_learning_rate']:g}, chosen by the lowest validation loss "
            f"({metrics['search_loss']:.4f}) of {metrics['search_trials']:.0f} trials on a part of the "
            "training rows (successive halving); all trials are in the adapter's manifest.json"
        )
    return [
        f"- hours: {'not measured' if hours is None else f'{hours:.3f}, measured'}",
        f"- energy: {'not measured' if energy is None else f'{energy / 3.6e6:.3f} kWh, measured'}",
        f"- rows: {rows}",
        f"- recipe: {done}, {recipe.quantization} base",
    ]


def _lineage(release: Release, report: GateReport, approval: Approval) -> list[str]:
    lineage = release.lineage
    digests = {
        "adapter manifest (sha256)": release.manifest_digest,
        "base model": lineage.base_digest,
        "dataset snapshot": release.dataset_hash,
        "task": lineage.task_digest,
        "gate report (sha256)": report.digest,
        "gate report that was approved": approval.gate_digest,
        "MLflow run": lineage.run_id,
    }
    lines = [f"- {name}: `{escape_markdown(digest)}`" for name, digest in digests.items()]
    return [*lines, "- components by hash: `sbom.cdx.json` beside this card (CycloneDX)"]


def _interval_of(share: Share | None) -> str:
    return "not defined" if share is None else _range(share.interval)


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
