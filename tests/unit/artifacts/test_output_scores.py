"""What a family does to its scores after the head is done by trainer and server as well."""

from types import SimpleNamespace

import pytest
import torch

from flywheel.artifacts.output_scores import output_scores


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, [1.0, -4.0]),
        ({"final_logit_softcapping": None, "logit_scale": None}, [1.0, -4.0]),
        ({"logits_scaling": 2.0}, [0.5, -2.0]),
        ({"logit_scale": 0.25}, [0.25, -1.0]),
        ({"final_logit_softcapping": 2.0}, [0.9242, -1.9281]),
    ],
)
def test_scores_are_scaled_and_capped(config, expected):
    """Granite divides, Cohere multiplies, Gemma 2 caps; others leave them as they are."""
    scores = output_scores(SimpleNamespace(**config), torch.tensor([1.0, -4.0]))
    assert scores.tolist() == pytest.approx(expected, abs=1e-4)
