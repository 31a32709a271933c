"""`smoke_test`: whether a loaded release answers a few golden cases as its workload asks."""

from flywheel.artifacts.snapshot import read_rows
from flywheel.errors import IntegrityError
from flywheel.ports.model_server import ModelServer
from flywheel.state import Release
from flywheel.workload.answers import AnswerCodec

__all__ = ["smoke_test"]

_CASES = 5


def smoke_test(server: ModelServer, release: Release, codec: AnswerCodec) -> None:
    """Ask a loaded release a few golden inputs.

    Raises:
        IntegrityError: an answer breaks the schema, or there is no golden case to ask.
        UnavailableError: the server is away.
    """
    golden = read_rows(release.lineage.dataset_folder, "golden")
    inputs = [str(row["input"]) for row in golden[:_CASES]]
    answers = server.answer(release.release, codec, inputs)
    broken = [answer for answer in answers if answer.error is not None or answer.output is None]
    if len(answers) != len(inputs) or broken or not inputs:
        raise IntegrityError(
            f"{release.release} failed its smoke test: {len(answers) - len(broken)} of "
            f"{len(inputs)} answers are valid.",
            next_step="nothing was switched; look at the model server, then promote again",
        )
