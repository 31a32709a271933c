"""`FewShotRules`: the section `few_shot` of a workload file, answers without training."""

from typing import Literal

from pydantic import Field

from flywheel.workload.sections import Strict

__all__ = ["FewShotRules", "FewShotSelection"]

FewShotSelection = Literal["auto", "labels", "similar", "off"]


class FewShotRules(Strict):
    """The base model with worked examples, as an arm of every gate and before every training."""

    selection: FewShotSelection = Field(
        default="auto",
        description="labels: fixed examples of different labels; similar: the nearest training "
        "rows of each question; off; auto: labels for a base with a chat template",
    )
    examples: int = Field(default=4, ge=1, le=64, description="worked examples before a question")
    when_it_passes: Literal["stop", "train"] = Field(
        default="stop",
        description="stop: where the examples alone pass the gate, the cycle stops before its "
        "training, and a retry trains; train: it goes on",
    )
