"""Put examples into splits: a pure policy. What is left out keeps its reason.

Control rows are trained on once no figure rests on them (`control_windows`), golden and must-not-lose
cases never. The must-not-lose suite holds cases of earlier evaluation sets only, so that it takes
nothing from training.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from flywheel.artifacts.snapshot import FixedCase
from flywheel.dataset.control_windows import FigureWindow, figures_of, released
from flywheel.dataset.conversations import Conversations
from flywheel.dataset.examples import Example, Excluded
from flywheel.dataset.golden import choose_golden
from flywheel.errors import LeakageError
from flywheel.similarity.near_duplicates import NearDuplicates, closest_matches
from flywheel.workload.model import Workload

__all__ = ["Assembly", "Earlier", "assemble", "check_leakage", "in_force", "leaks"]


@dataclass(frozen=True)
class Earlier:
    """Evaluation sets of earlier snapshots: who was in them, by id and by input.

    ``holdout`` holds the (inference id, input hash) of rows that no other evaluation set held;
    ``inference_ids`` and ``input_hashes`` those of all the others.
    """

    inference_ids: AbstractSet[str] = frozenset()
    input_hashes: AbstractSet[str] = frozenset()
    golden_ids: AbstractSet[str] = frozenset()
    holdout: AbstractSet[tuple[str, str]] = frozenset()

    def unless_released(self, inference_ids: AbstractSet[str]) -> "Earlier":
        """Return what must not be trained on, once these holdout rows may be.

        A text that was held out twice stays out until both of its rows are released.
        """
        still = {row for row in self.holdout if row[0] not in inference_ids}
        return replace(
            self,
            inference_ids=self.inference_ids | {row[0] for row in still},
            input_hashes=self.input_hashes | {row[1] for row in still},
            holdout=frozenset(),
        )


@dataclass(frozen=True)
class Assembly:
    """Examples by split, and those in none."""

    train: list[Example]
    golden: list[Example]
    holdout: list[Example]
    must_not_lose: list[Example]
    excluded: list[Excluded] = field(default_factory=list)
    fixed: Mapping[str, FixedCase] = field(default_factory=dict)

    @property
    def evaluation(self) -> list[Example]:
        """Every example that a model is judged by."""
        return [*self.golden, *self.holdout, *self.must_not_lose]


def assemble(
    workload: Workload,
    examples: Sequence[Example],
    *,
    golden: Sequence[Example] | None,
    windows: Sequence[FigureWindow],
    fixed: Mapping[str, FixedCase] | None = None,
    earlier: Earlier | None = None,
    conversations: Conversations | None = None,
) -> Assembly:
    """Split examples into training and evaluation without overlap.

    Args:
        workload: its sizes and its near-duplicate threshold decide.
        examples: everything accepted, in any order.
        golden: the frozen golden set, None to draw it now.
        windows: the figures that rest on control rows. What ``holdout`` covers is held out, what
            only others cover is left out, and a row that none covers may be trained on.
        fixed: cases that promoted releases fixed; with those that the workload's gates name they
            are the must-not-lose suite.
        earlier: evaluation sets of earlier snapshots, as far as they are `in_force`.
        conversations: which examples come from one conversation; None: no input is one.
    """
    earlier = earlier or Earlier()
    conversations = conversations or Conversations()
    fixed = fixed or {}
    protected_ids = fixed.keys() | set(workload.gates.must_hold)
    threshold = workload.review.near_duplicate
    frozen = list(golden or ())
    golden_ids = {example.inference_id for example in frozen}
    left = sorted(examples, key=lambda example: (example.input_hash, example.correction_id))
    must_not_lose = [e for e in left if e.inference_id in protected_ids]
    left = [e for e in left if e.inference_id not in golden_ids | protected_ids]
    figures = {e.correction_id: figures_of(e, windows) for e in left}
    resting = [e for e in left if figures[e.correction_id]]
    left = [e for e in left if not figures[e.correction_id]]
    holdout = [e for e in resting if "holdout" in figures[e.correction_id]]
    excluded = [
        Excluded(e, "control_slice") for e in resting if "holdout" not in figures[e.correction_id]
    ]
    if not workload.form.is_text:  # one question may have several good texts
        left = _without(left, excluded, "conflict", _conflicting(left))
    leaked = _leaked(left, [*frozen, *holdout, *must_not_lose], threshold, conversations)
    if golden is not None:
        leaked |= _seen_before(left, earlier)
    left = _without(left, excluded, "leakage", leaked)
    left = _without_duplicates(left, excluded, threshold)
    if golden is None:
        frozen = choose_golden(workload, left, earlier.golden_ids)
        drawn = {example.inference_id for example in frozen}
        left = [e for e in left if e.inference_id not in drawn]
        leaked = _seen_before(left, earlier) | _leaked(left, frozen, threshold, conversations)
        left = _without(left, excluded, "leakage", leaked)
    return Assembly(left, frozen, holdout, must_not_lose, excluded, fixed)


def check_leakage(
    assembly: Assembly,
    earlier: Earlier,
    threshold: float,
    windows: Sequence[FigureWindow],
    conversations: Conversations | None = None,
) -> None:
    """Refuse a training set that overlaps an evaluation set of this or an earlier snapshot.

    ``earlier`` and ``conversations`` are what `assemble` was given.

    Raises:
        LeakageError: an id, an input, nearly an input or a conversation is on both sides, or a figure rests on a
            control row that would be trained on.
    """
    train = assembly.train
    evaluation = assembly.evaluation
    conversations = conversations or Conversations()
    leaked_ids = _leaked(train, evaluation, threshold, conversations)
    leaked_ids |= _seen_before(train, earlier)
    leaked_ids |= {e.correction_id for e in train if figures_of(e, windows)}
    leaked_ids |= {e.correction_id for e in train} & {e.correction_id for e in evaluation}
    if leaked_ids:
        raise LeakageError(
            f"{len(leaked_ids)} training rows overlap an evaluation set.",
            next_step="this is a fault of the dataset stage: report it with the ids",
            correction_ids=sorted(leaked_ids),
        )


def leaks(
    examples: Sequence[Example],
    assembly: Assembly,
    earlier: Earlier,
    threshold: float,
    conversations: Conversations,
) -> set[str]:
    """Return the correction ids of examples that repeat an evaluation case, nearly or by id."""
    leaked = _leaked(examples, assembly.evaluation, threshold, conversations)
    return leaked | _seen_before(examples, earlier)


def in_force(
    earlier: Earlier, examples: Iterable[Example], windows: Sequence[FigureWindow]
) -> Earlier:
    """Return the earlier evaluation sets that still bar training.

    ``examples`` are all accepted rows: a released one that is left out as a duplicate measures
    nothing either, so that its text may be trained on in another row.
    """
    return earlier.unless_released({e.inference_id for e in examples if released(e, windows)})


def _conflicting(examples: Iterable[Example]) -> set[str]:
    by_input: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_input[example.input_hash].append(example)
    conflicts: set[str] = set()
    for group in by_input.values():
        answer = _answer_of(group)
        conflicts |= {example.correction_id for example in group if example.key != answer}
    return conflicts


def _answer_of(group: Sequence[Example]) -> str | None:
    # One misjudged control item, judged once and blind, must not take a frequent text from training:
    # it gives way to the other rows, and to most of the control rows where there are no others.
    others = {example.key for example in group if not example.measures}
    if others:
        return others.pop() if len(others) == 1 else None
    counts = Counter(example.key for example in group).most_common(2)
    tied = len(counts) > 1 and counts[0][1] == counts[1][1]
    return None if tied else counts[0][0]


def _leaked(
    examples: Sequence[Example],
    evaluation: Sequence[Example],
    threshold: float,
    conversations: Conversations,
) -> set[str]:
    ids = {example.inference_id for example in evaluation}
    hashes = {example.input_hash for example in evaluation}
    evaluation_texts = [(example.correction_id, example.input) for example in evaluation]
    matches = closest_matches([example.input for example in examples], evaluation_texts, threshold)
    return conversations.shared(examples, evaluation) | {
        example.correction_id
        for example, match in zip(examples, matches, strict=True)
        if match is not None or example.inference_id in ids or example.input_hash in hashes
    }


def _seen_before(examples: Iterable[Example], earlier: Earlier) -> set[str]:
    earlier = earlier.unless_released(frozenset())
    return {
        example.correction_id
        for example in examples
        if example.inference_id in earlier.inference_ids
        or example.input_hash in earlier.input_hashes
    }


def _without(
    examples: Sequence[Example], excluded: list[Excluded], reason: str, which: AbstractSet[str]
) -> list[Example]:
    excluded += [Excluded(e, reason) for e in examples if e.correction_id in which]
    return [e for e in examples if e.correction_id not in which]


def _without_duplicates(
    examples: Sequence[Example], excluded: list[Excluded], threshold: float
) -> list[Example]:
    # Only rows with one answer are duplicates: nearly one text with two answers teaches what tells
    # them apart. A row that shows a rejected answer is worth more than one that does not.
    ordered = sorted(
        examples, key=lambda e: (e.rejected is None, not e.seed, e.input_hash, e.correction_id)
    )
    index_by_slice: dict[str, NearDuplicates] = {}
    unique = []
    for example in ordered:
        index = index_by_slice.setdefault(example.key, NearDuplicates(threshold))
        match = index.find(example.input)
        if match is not None:
            reason = "duplicate" if match.similarity == 1 else "near_duplicate"
            excluded.append(Excluded(example, reason))
            continue
        index.add(example.correction_id, example.input)
        unique.append(example)
    return sorted(unique, key=lambda e: (e.input_hash, e.correction_id))
