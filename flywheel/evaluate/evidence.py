"""`GateEvidence`: what the cases of a gate show, as counts; start from `collect_evidence`.

Every check of the gate reads these counts alone, so that a simulation can draw them.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from flywheel.artifacts.snapshot import FixedCase
from flywheel.errors import MeasurementError
from flywheel.evaluate.latency import LatencyRatio, compare_latency
from flywheel.evaluate.paired import PairedCounts
from flywheel.evaluate.suites import CaseResult
from flywheel.evaluate.text_evidence import TextEvidence, collect_texts

__all__ = ["FixedGroup", "GateEvidence", "PairedAccuracy", "collect_evidence"]

Cases = Sequence[CaseResult]


@dataclass(frozen=True)
class PairedAccuracy:
    """How often champion and candidate were right on the same cases."""

    counts: PairedCounts
    champion_right: int

    @property
    def cases(self) -> int:
        """Number of cases."""
        return self.counts.cases

    @property
    def candidate_right(self) -> int:
        """Cases that the candidate has right."""
        return self.champion_right + self.counts.gained - self.counts.lost

    def __add__(self, other: "PairedAccuracy") -> "PairedAccuracy":
        """Pool two sets of cases; each case has the same weight."""
        one, two = self.counts, other.counts
        counts = PairedCounts(one.cases + two.cases, one.gained + two.gained, one.lost + two.lost)
        return PairedAccuracy(counts, self.champion_right + other.champion_right)


@dataclass(frozen=True)
class FixedGroup:
    """Fixed cases with one record that the champion has right, and how many of them are lost."""

    champion_right: int
    lost: int


@dataclass(frozen=True)
class GateEvidence:
    """Counts of both arms.

    ``directed`` are cases that were collected after a first look. ``labels`` count golden, holdout
    and directed cases together, and so do ``fields``; ``named`` says of the cases that a person
    named whether the candidate is right; ``latency`` compares the arms' times, None where too few
    answers were timed; ``texts`` holds the scores of a generation.
    """

    first: bool
    golden: PairedAccuracy
    holdout: PairedAccuracy | None
    answers: int
    valid: int
    labels: Mapping[str, PairedAccuracy] = field(default_factory=dict)
    fields: Mapping[str, PairedAccuracy] = field(default_factory=dict)
    fixed: Mapping[FixedCase, FixedGroup] = field(default_factory=dict)
    named: Mapping[str, bool] = field(default_factory=dict)
    latency: LatencyRatio | None = None
    directed: PairedAccuracy | None = None
    texts: TextEvidence | None = None

    @property
    def first_cases(self) -> PairedAccuracy:
        """Golden and holdout cases pooled: all cases of a first look."""
        return self.golden if self.holdout is None else self.golden + self.holdout

    @property
    def together(self) -> PairedAccuracy:
        """Golden, holdout and directed cases pooled."""
        return self.first_cases if self.directed is None else self.first_cases + self.directed


def collect_evidence(
    cases: Cases, *, first: bool, new_label_ids: Collection[str] = ()
) -> GateEvidence:
    """Count the cases of the arms ``champion`` and ``candidate``.

    Args:
        cases: every case of every arm; other arms are left out.
        first: the champion is the base model itself.
        new_label_ids: labels that are left out of every comparison.

    Raises:
        MeasurementError: there is no golden case, the arms answered different cases, a case is
            there twice, or a time is not a number.
    """
    comparable = [case for case in cases if case.label_id not in set(new_label_ids)]
    golden, holdout = _pairs(comparable, "golden"), _pairs(comparable, "holdout")
    directed = _pairs(comparable, "directed")
    every = [*golden, *holdout, *directed]
    if not golden:
        raise MeasurementError(
            "There are no golden cases: nothing can be judged.",
            next_step="collect accepted corrections, then build the dataset again",
        )
    labels = sorted({old.label for old, _ in every if old.label is not None})
    fixed = _pairs(cases, "must_not_lose")
    candidate = [case for case in cases if case.arm == "candidate"]
    champion = [case for case in cases if case.arm == "champion"]
    return GateEvidence(
        first=first,
        golden=_count(golden),
        holdout=_count(holdout) if holdout else None,
        directed=_count(directed) if directed else None,
        labels={
            label: _count([pair for pair in every if pair[0].label == label]) for label in labels
        },
        fields=_fields(every),
        texts=collect_texts(
            {"golden": golden, "holdout": holdout, "directed": directed}, candidate
        ),
        fixed=_fixed_groups(fixed),
        named={new.inference_id: new.correct for _, new in fixed if new.named},
        answers=len(candidate),
        valid=sum(case.schema_valid for case in candidate),
        latency=compare_latency(
            [case.seconds for case in champion], [case.seconds for case in candidate]
        ),
    )


Pair = tuple[CaseResult, CaseResult]


def _pairs(cases: Cases, suite: str) -> list[Pair]:
    champion, candidate = _by_id(cases, suite, "champion"), _by_id(cases, suite, "candidate")
    if champion.keys() != candidate.keys():
        raise MeasurementError(
            f"Champion and candidate answered different cases of {suite}.",
            next_step="run the gate again on one snapshot",
        )
    return [(case, candidate[key]) for key, case in champion.items()]


def _by_id(cases: Cases, suite: str, arm: str) -> dict[str, CaseResult]:
    chosen = [case for case in cases if (case.suite, case.arm) == (suite, arm)]
    by_id = {case.inference_id: case for case in chosen}
    if len(by_id) != len(chosen):
        raise MeasurementError(
            "A suite holds the same case twice.", next_step="build the dataset again"
        )
    return by_id


def _count(pairs: Sequence[Pair]) -> PairedAccuracy:
    counts = PairedCounts(
        cases=len(pairs),
        gained=sum(new.correct and not old.correct for old, new in pairs),
        lost=sum(old.correct and not new.correct for old, new in pairs),
    )
    return PairedAccuracy(counts, sum(old.correct for old, _ in pairs))


def _fields(pairs: Sequence[Pair]) -> dict[str, PairedAccuracy]:
    flags: dict[str, list[tuple[bool, bool]]] = {}
    for old, new in pairs:
        for path in old.field_counts.keys() & new.field_counts.keys():
            right = (old.field_counts[path].right, new.field_counts[path].right)
            flags.setdefault(path, []).append(right)
    return {path: _paired_flags(flags[path]) for path in sorted(flags)}


def _paired_flags(flags: Sequence[tuple[bool, bool]]) -> PairedAccuracy:
    gained = sum(new and not old for old, new in flags)
    lost = sum(old and not new for old, new in flags)
    return PairedAccuracy(PairedCounts(len(flags), gained, lost), sum(old for old, _ in flags))


def _fixed_groups(pairs: Sequence[Pair]) -> dict[FixedCase, FixedGroup]:
    # A case that is only named has no record; it is held by a check of its own.
    right = [(new.fixed, new.correct) for old, new in pairs if old.correct and new.fixed]
    total = Counter(record for record, _ in right)
    lost = Counter(record for record, correct in right if not correct)
    return {record: FixedGroup(count, lost[record]) for record, count in total.items()}
