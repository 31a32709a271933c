"""What the judgments on one item amount to: truth, a dispute, a proposal, or nothing yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from flywheel.ports.review_queue import Annotation
from flywheel.similarity.normal_form import normalize
from flywheel.workload.answers import canonical_json
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload
from flywheel.workload.text_edits import most_central

__all__ = ["Judgment", "Verdict", "agree", "decide", "read_judgments"]

Status = Literal["accepted", "disputed", "proposed", "cant_tell", "open"]


@dataclass(frozen=True)
class Judgment:
    """What one person said, under the present taxonomy; two with one ``key`` said the same."""

    annotation: Annotation
    kind: Literal["answer", "cant_tell", "new_category"]
    key: str
    output: Any
    label_id: str | None
    proposed_label: str | None


@dataclass(frozen=True)
class Verdict:
    """The outcome of an item, and the judgments it rests on."""

    status: Status
    judgments: tuple[Judgment, ...]
    output: Any = None
    label_id: str | None = None
    proposed_label: str | None = None
    adjudicated: bool = False


def read_judgments(
    workload: Workload, mapping: AnswerMapping, annotations: Sequence[Annotation]
) -> tuple[list[Judgment], int]:
    """Read the latest judgment of each person; also count those that cannot be used.

    Deleted and skipped annotations are none. An answer that breaks the schema cannot be used.
    """
    latest: dict[str, Annotation] = {}
    for annotation in sorted(annotations, key=lambda a: (a.updated_at, a.version)):
        if not annotation.deleted and annotation.kind != "skipped":
            latest[annotation.annotator] = annotation
    read = [_read(workload, mapping, latest[annotator]) for annotator in sorted(latest)]
    usable = [judgment for judgment in read if judgment is not None]
    return usable, len(read) - len(usable)


def agree(mapping: AnswerMapping | None, one: Judgment, other: Judgment) -> bool:
    """Return whether two people agree: they said the same, or gave texts that count as the same.

    Without a mapping only what is the same agrees.
    """
    if one.key == other.key:
        return True
    answers = one.kind == other.kind == "answer"
    return answers and mapping is not None and mapping.same(one.output, other.output)


def decide(
    judgments: Sequence[Judgment],
    requested: int,
    adjudications: Sequence[Judgment] = (),
    *,
    mapping: AnswerMapping | None = None,
) -> Verdict:
    """Decide an item: an adjudicator's word counts, else everybody must agree.

    Of texts that count as the same (``mapping``), the one closest to all others is the truth.
    """
    first = _first_verdict(tuple(judgments), requested, mapping)
    if not adjudications:
        return first
    everyone = (*judgments, *adjudications)
    last = max(adjudications, key=lambda judgment: judgment.annotation.updated_at)
    if last.kind != "cant_tell":
        return _verdict(_settled(last), everyone, last, adjudicated=True)
    # An adjudicator who cannot tell leaves the dispute as it is; and where there was none (an
    # accepted label that was checked), the verdict, which rests on the first judgments alone.
    if first.status in ("open", "disputed"):
        return Verdict("disputed", everyone, adjudicated=True)
    return first


def _first_verdict(
    judgments: tuple[Judgment, ...], requested: int, mapping: AnswerMapping | None
) -> Verdict:
    if len(judgments) < requested or not judgments:
        return Verdict("open", judgments)
    if not all(agree(mapping, one, other) for one, other in combinations(judgments, 2)):
        return Verdict("disputed", judgments)
    chosen = judgments[0]
    if any(judgment.key != chosen.key for judgment in judgments):  # texts that are alike
        chosen = judgments[most_central([judgment.output for judgment in judgments])]
    return _verdict(_settled(chosen), judgments, chosen, adjudicated=False)


def _settled(judgment: Judgment) -> Status:
    if judgment.kind == "answer":
        return "accepted"
    return "proposed" if judgment.kind == "new_category" else "cant_tell"


def _verdict(
    status: Status, everyone: tuple[Judgment, ...], chosen: Judgment, *, adjudicated: bool
) -> Verdict:
    if status not in ("accepted", "proposed"):
        return Verdict(status, everyone, adjudicated=adjudicated)
    return Verdict(
        status, everyone, chosen.output, chosen.label_id, chosen.proposed_label, adjudicated
    )


def _read(workload: Workload, mapping: AnswerMapping, annotation: Annotation) -> Judgment | None:
    if annotation.kind == "unreadable":
        return None
    if annotation.kind == "cant_tell":
        return Judgment(annotation, "cant_tell", "cant_tell", None, None, None)
    if annotation.kind == "new_category":
        if not annotation.proposed_label:
            return None
        named = workload.with_label(annotation.output or {}, annotation.proposed_label)
        # The taxonomy may have the label by now: then the proposal is an answer.
        answer = _answer(workload, mapping, annotation, named)
        return answer or _proposal(workload, annotation, annotation.proposed_label)
    unknown = mapping.present(annotation.output).unknown
    if unknown is not None:  # a name that no version of the taxonomy knows
        return _proposal(workload, annotation, unknown)
    return _answer(workload, mapping, annotation, annotation.output)


def _answer(
    workload: Workload, mapping: AnswerMapping, annotation: Annotation, output: Any
) -> Judgment | None:
    current_output = mapping.present(output)
    # A retired label was the answer when it was given; the dataset sets it aside later.
    if not current_output.usable and not _is_retired(workload, current_output.label_id):
        return None
    key = mapping.key(output)
    return Judgment(annotation, "answer", key, current_output.output, current_output.label_id, None)


def _proposal(workload: Workload, annotation: Annotation, name: str) -> Judgment:
    # Two proposals agree when their names do, and what they say besides the label.
    field = getattr(workload.task, "label_field", None)
    fields = annotation.output if isinstance(annotation.output, dict) else {}
    rest = {key: fields[key] for key in sorted(fields) if key != field}
    key = "new_category " + canonical_json([normalize(name), rest])
    return Judgment(annotation, "new_category", key, annotation.output, None, name)


def _is_retired(workload: Workload, label_id: str | None) -> bool:
    return (
        label_id is not None
        and workload.taxonomy is not None
        and workload.taxonomy.resolve(label_id) is None
    )
