"""What surrounds a simulated deployment: `answer_calls`, `simulated_people`, `approve_as_owner`.

Demo, loop and `flywheel simulate` share it, so that the same call, person or verdict is made in one
way. Everything here says that it is simulated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.events import encode
from flywheel.ports.answer_desk import AnswerDesk
from flywheel.ports.model_server import Answer
from flywheel.simulation.annotators import UNSURE_RATE, SimulatedAnnotators
from flywheel.simulation.client import inference_event
from flywheel.simulation.truth import SimulatedTruth
from flywheel.usecases.cycle import codec_of
from flywheel.usecases.verdict import approve_candidate

if TYPE_CHECKING:
    from flywheel.simulation.traffic import SimulatedCall
    from flywheel.state import Approval
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = [
    "APPROVER",
    "AnsweredCalls",
    "answer_calls",
    "approve_as_owner",
    "simulated_people",
]

APPROVER = "simulated:mara"


@dataclass(frozen=True)
class AnsweredCalls:
    """Calls that one release answered, in order, and the event of each: key and encoded value.

    ``accuracy`` is the share of answers that equal the simulated truth; no stage sees it.
    """

    release: str
    answers: list[Answer]
    messages: list[tuple[bytes, bytes]]
    accuracy: float


def answer_calls(
    platform: "Platform",
    workload: "Workload",
    calls: "Sequence[SimulatedCall]",
    *,
    release: str | None = None,
) -> AnsweredCalls:
    """Let a release answer simulated calls, and remember their truth for the simulated people.

    Args:
        platform: its model server answers.
        workload: whose calls they are.
        calls: at least one.
        release: loaded on the server; default: the champion, which is loaded.
    """
    from flywheel.release.serving import load_champion

    SimulatedTruth(platform.home, workload.id).remember(calls)
    server = platform.server(workload)
    if release is None:
        release = load_champion(platform.state, server, workload.id)
    codec = codec_of(platform, workload)
    answers = server.answer(release, codec, [call.text for call in calls])
    base = platform.base(workload).name
    pairs = list(zip(calls, answers, strict=True))
    return AnsweredCalls(
        release,
        answers,
        [_call_message(workload, call, answer, release, base) for call, answer in pairs],
        sum(answer.output == call.truth for call, answer in pairs) / len(pairs),
    )


def _call_message(
    workload: "Workload", call: "SimulatedCall", answer: Answer, release: str, base_model: str
) -> tuple[bytes, bytes]:
    """Return key and value of the event of one answered call, as a client sends it."""
    event = inference_event(call, answer, workload=workload, release=release, base_model=base_model)
    return event.inference_id.encode(), encode(event)


def simulated_people(
    platform: "Platform",
    workload_id: str,
    *,
    error_rate: float,
    seed: int,
    unsure_rate: float = UNSURE_RATE,
    desk: AnswerDesk | None = None,
    truth_home: Path | None = None,
) -> SimulatedAnnotators:
    """Return the annotators of a simulated deployment.

    Args:
        platform: the items at its desk are answered.
        workload_id: whose truth they know.
        error_rate: share of judgments that get the label wrong.
        seed: same seed, same judgments.
        unsure_rate: share of judgments that say "can't tell".
        desk: another view of the desk.
        truth_home: the deployment whose calls are judged; default: this one.
    """
    truth = SimulatedTruth(truth_home or platform.home, workload_id)
    return SimulatedAnnotators(
        desk or platform.desk, truth, error_rate=error_rate, unsure_rate=unsure_rate, seed=seed
    )


def approve_as_owner(platform: "Platform", cycle: CycleRef, *, channel: str) -> "Approval":
    """Approve a candidate as the simulated owner, who is somebody else than who asked for it."""
    return approve_candidate(
        platform,
        cycle,
        actor=APPROVER,
        reason="The gate passed, and the gain is on the labels that people asked for.",
        channel=channel,
    )
