"""`read_gate_facts`: candidate against champion per metric and slice, as plain values."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.usecases.verdict import read_gate

if TYPE_CHECKING:
    from flywheel.artifacts.arm_metrics import ArmMetrics, FieldScore
    from flywheel.artifacts.gate_report import Comparison, GateReport
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "ArmLine",
    "CheckLine",
    "ComparisonLine",
    "FieldAverageLine",
    "FieldLine",
    "GateFacts",
    "TextLine",
    "read_gate_facts",
]


@dataclass(frozen=True)
class ComparisonLine:
    """Candidate against champion on the same cases; ``label`` None is the whole suite.

    Differences are shares in [-1, 1]; ``lower`` and ``upper`` bound the difference.
    """

    suite: str
    label: str | None
    cases: int
    champion_right: int
    candidate_right: int
    gained: int
    lost: int
    difference: float
    lower: float
    upper: float
    margin: float


@dataclass(frozen=True)
class CheckLine:
    """One rule of the gate, what was measured and what follows."""

    name: str
    outcome: str
    value: float | None
    limit: float
    reason: str


@dataclass(frozen=True)
class ArmLine:
    """One arm on one suite; shares in [0, 1], times in milliseconds, None: not measured."""

    suite: str
    arm: str
    release: str
    cases: int
    exact_match: float | None
    macro_f1: float | None
    schema_validity: float | None
    calibration_error: float | None
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True)
class FieldLine:
    """One field of an extraction on one suite, of champion and candidate.

    F1 is over all values alike, the macro one over the cases alike. In ``absent`` cases nothing was
    expected; ``made_up`` counts those in which something was given all the same.
    """

    suite: str
    field: str
    expected: int
    champion_f1: float | None
    candidate_f1: float | None
    champion_macro_f1: float | None
    candidate_macro_f1: float | None
    absent: int
    champion_made_up: int | None
    candidate_made_up: int


@dataclass(frozen=True)
class FieldAverageLine:
    """All fields of one arm on one suite: over the values alike (micro), and over the fields (macro)."""

    suite: str
    arm: str
    micro_precision: float | None
    micro_recall: float | None
    micro_f1: float | None
    macro_precision: float | None
    macro_recall: float | None
    macro_f1: float | None


@dataclass(frozen=True)
class TextLine:
    """Texts of one arm on one suite against the accepted ones; shares and means in [0, 1]."""

    suite: str
    arm: str
    cases: int
    edit_rate: float
    edit_distance: float
    chrf: float
    sentence_similarity: float
    all_rules: float | None


@dataclass(frozen=True)
class GateFacts:
    """The gate's verdict and all it rests on; ``digest`` is that of its file."""

    outcome: str
    digest: str
    look: int
    candidate: str
    champion: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    checks: tuple[CheckLine, ...]
    comparisons: tuple[ComparisonLine, ...]
    arms: tuple[ArmLine, ...]
    fields: tuple[FieldLine, ...]
    field_averages: tuple[FieldAverageLine, ...]
    texts: tuple[TextLine, ...] = ()


def read_gate_facts(platform: "Platform", cycle: CycleRef, workload: "Workload") -> GateFacts:
    """Read the gate report of a cycle's present attempt; labels get their names.

    Raises:
        RefusedError: the gate was not run.
        IntegrityError: the file is missing or was changed.
    """
    report = read_gate(platform, cycle).report
    names = workload.label_names
    return GateFacts(
        outcome=report.outcome,
        digest=report.digest,
        look=report.look,
        candidate=report.subject.candidate,
        champion=report.subject.champion,
        reasons=report.reasons,
        notes=report.notes,
        checks=tuple(
            CheckLine(one.name, one.outcome, one.value, one.limit, one.reason)
            for one in report.checks
        ),
        comparisons=tuple(_comparison(one, names) for one in report.comparisons),
        arms=tuple(_arm(one) for one in report.arms),
        fields=tuple(_fields(report)),
        field_averages=tuple(_averages(report)),
        texts=tuple(_texts(report)),
    )


def _comparison(one: "Comparison", names: dict[str, str]) -> ComparisonLine:
    return ComparisonLine(
        suite=one.suite,
        label=None if one.label is None else names.get(one.label, one.label),
        cases=one.cases,
        champion_right=one.champion_right,
        candidate_right=one.candidate_right,
        gained=one.gained,
        lost=one.lost,
        difference=one.difference,
        lower=one.lower,
        upper=one.upper,
        margin=one.margin,
    )


def _arm(one: "ArmMetrics") -> ArmLine:
    return ArmLine(
        suite=one.suite,
        arm=one.arm,
        release=one.release,
        cases=one.cases,
        exact_match=one.exact_match,
        macro_f1=one.macro_f1,
        schema_validity=one.schema_validity,
        # An unbiased estimate falls below 0 by chance; a distance cannot.
        calibration_error=None if one.calibration_error is None else max(0, one.calibration_error),
        p50_ms=None if one.seconds_p50 is None else one.seconds_p50 * 1000,
        p95_ms=None if one.seconds_p95 is None else one.seconds_p95 * 1000,
    )


def _fields(report: "GateReport") -> list[FieldLine]:
    lines = []
    for suite in dict.fromkeys(arm.suite for arm in report.arms):
        champion, candidate = report.arm(suite, "champion"), report.arm(suite, "candidate")
        if champion is None or candidate is None:
            continue
        for path, new in candidate.field_scores.items():
            old = champion.field_scores.get(path)
            lines.append(_field(suite, path, old, new))
    return lines


def _field(suite: str, path: str, old: "FieldScore | None", new: "FieldScore") -> FieldLine:
    return FieldLine(
        suite=suite,
        field=path,
        expected=new.expected,
        champion_f1=None if old is None else old.f1,
        candidate_f1=new.f1,
        champion_macro_f1=None if old is None else old.macro.f1,
        candidate_macro_f1=new.macro.f1,
        absent=new.absent,
        champion_made_up=None if old is None else old.hallucinated,
        candidate_made_up=new.hallucinated,
    )


def _averages(report: "GateReport") -> list[FieldAverageLine]:
    return [
        FieldAverageLine(
            suite=arm.suite,
            arm=arm.arm,
            micro_precision=averages.micro.precision,
            micro_recall=averages.micro.recall,
            micro_f1=averages.micro.f1,
            macro_precision=averages.macro.precision,
            macro_recall=averages.macro.recall,
            macro_f1=averages.macro.f1,
        )
        for arm in report.arms
        if (averages := arm.field_averages) is not None
    ]


def _texts(report: "GateReport") -> list[TextLine]:
    return [
        TextLine(
            suite=arm.suite,
            arm=arm.arm,
            cases=arm.cases,
            edit_rate=arm.text.edit_rate,
            edit_distance=arm.text.edit_distance,
            chrf=arm.text.chrf,
            sentence_similarity=arm.text.sentence_similarity,
            all_rules=arm.text.all_rules,
        )
        for arm in report.arms
        if arm.text is not None
    ]
