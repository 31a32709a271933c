"""`training.workers`: how many processes share a training."""

import pytest
from pydantic import ValidationError

from flywheel.workload.training import TrainingRecipe


def test_one_worker_trains_where_nothing_is_said():
    """As before there was a choice."""
    assert TrainingRecipe().workers == 1


@pytest.mark.parametrize("stage", ["preference", "search"])
def test_what_cannot_be_shared_is_refused(stage: str):
    """Before anything is trained, with both ways out."""
    TrainingRecipe.model_validate({stage: {}, "workers": 1})
    with pytest.raises(ValidationError, match=r"remove training.preference and training.search"):
        TrainingRecipe.model_validate({stage: {}, "workers": 2})
