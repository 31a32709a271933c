"""`mask_made`: an imported event without the personal data that its workload masks."""

from dataclasses import replace

import msgspec

from flywheel.events import InferenceEvent, encode
from flywheel.events.masked import mask_inference
from flywheel.ingest.import_events import MadeEvent
from flywheel.privacy.masking import Masking
from flywheel.workload.model import Workload

__all__ = ["mask_made"]


def mask_made(made: MadeEvent, workload: Workload) -> MadeEvent:
    """Return an event masked by the rules of the workload that it is imported for.

    Its id stays that of the line as it was written, so that a file imported again brings nothing.
    """
    if workload.privacy is None:
        return made
    masking = Masking(workload.privacy)
    event = mask_inference(msgspec.json.decode(made.value, type=InferenceEvent), masking)
    if not masking.counts:
        return made
    masked = dict(masking.counts)
    detail = None if made.answer.detail is None else masking.text(made.answer.detail)
    return replace(
        made, value=encode(event), answer=replace(made.answer, detail=detail), masked=masked
    )
