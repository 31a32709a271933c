"""`answer_work` and `embed_work`: what a backfill does, with all that a worker elsewhere needs."""

from typing import TYPE_CHECKING

from flywheel.artifacts.precision import served_precision
from flywheel.ports.bulk_work import BulkWork
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.release.adapter_files import checked_adapter
from flywheel.release.pinned_prompt import prompt_of_release
from flywheel.similarity.sentence_vectors import ENCODER
from flywheel.usecases.asking import named_release

if TYPE_CHECKING:
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["answer_work", "embed_work"]


def answer_work(platform: "Platform", workload: "Workload", release: str) -> BulkWork:
    """Return the work of answering with a release, on its own base and with its own prompt.

    Raises:
        NotFoundError: the workload has no such release, or this deployment not its base.
        IntegrityError: its adapter was changed.
    """
    base, adapter = platform.base(workload), None
    if release != BASE_RELEASE:
        found = named_release(platform, workload, release)
        adapter = checked_adapter(found)
        digest = found.lineage.base_digest
        base = base if base.digest == digest else platform.bases.with_digest(digest)
        prompt = prompt_of_release(platform.state, release)
        workload = workload.model_copy(update={"prompt": prompt})
    return BulkWork(
        kind="answer",
        maker=release,
        workload=workload,
        surfaces=dict(base.codec(workload).surfaces),
        base_folder=base.folder,
        base_digest=base.digest,
        adapter=adapter,
        precision=served_precision(platform.settings.served_precision, base.folder),
    )


def embed_work(workload: "Workload") -> BulkWork:
    """Return the work of making sentence vectors."""
    return BulkWork(kind="embed", maker=ENCODER, workload=workload)
