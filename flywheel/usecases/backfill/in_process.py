"""`InProcessExecutor`: BulkExecutor in this process, on the model server that the deployment has."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flywheel.ports.bulk_work import BulkWork, OnResult, TextPart
from flywheel.release.serving import load_release
from flywheel.usecases.backfill.computing import Compute, answer_texts, embed_texts, result_of
from flywheel.workload.answers import AnswerCodec

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["InProcessExecutor"]


class InProcessExecutor:
    """Do one part after the other; a part that was begun when the process ended is done again."""

    def __init__(self, platform: "Platform") -> None:
        self._platform = platform

    def run(
        self,
        work: BulkWork,
        parts: Iterable[TextPart],
        *,
        on_result: OnResult,
        on_notice: Callable[[str], None],  # noqa: ARG002 - nothing to say here
    ) -> None:
        """Hand over the result of each part; see `BulkExecutor`."""
        compute = embed_texts if work.kind == "embed" else self._answering(work)
        for part in parts:
            on_result(part.name, result_of(part, compute))

    def _answering(self, work: BulkWork) -> Compute:
        server = self._platform.server(work.workload)
        load_release(self._platform.state, server, work.maker)
        codec = AnswerCodec(work.workload, work.surfaces)
        return lambda texts: answer_texts(server, work.maker, codec, texts)
