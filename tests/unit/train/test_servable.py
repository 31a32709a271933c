"""Whether vLLM can serve an adapter."""

import pytest

from flywheel.errors import ConfigurationError
from flywheel.train.servable import check_servable, serving_rank

WEIGHTS = [
    "base.layers.0.q_proj.lora_A.default.weight",
    "base.layers.0.q_proj.lora_B.default.weight",
]


def config(**changes):
    from peft import LoraConfig

    made = LoraConfig(r=16, target_modules=["q_proj"])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("rank", "served"), [(1, 8), (8, 8), (9, 16), (16, 16), (17, 32), (256, 256)]
)
def test_rank_asks_for_the_next_size_of_a_server(rank: int, served: int):
    """A server reserves the smallest of its sizes that holds the rank."""
    assert serving_rank(rank) == served


def test_rank_beyond_every_size_is_refused():
    """No server takes a rank above its largest size."""
    with pytest.raises(ConfigurationError, match="257"):
        serving_rank(257)


def test_plain_lora_is_servable():
    """LoRA on linear layers passes and says which rank the server needs."""
    assert check_servable(config(), WEIGHTS) == 16


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"lora_bias": True}, "biases"),
        ({"bias": "all"}, "biases"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"rank_pattern": {"q_proj": 4}}, "differs by module"),
    ],
)
def test_what_vllm_refuses_is_named(changes: dict, word: str):
    """Every option that a server would refuse stops the run with its name."""
    with pytest.raises(ConfigurationError, match=word):
        check_servable(config(**changes), WEIGHTS)


@pytest.mark.parametrize("name", ["lm_head.lora_A.default.weight", "model.norm.weight"])
def test_weights_outside_the_linear_layers_are_refused(name: str):
    """The head and whole weights cannot be part of a served adapter."""
    with pytest.raises(ConfigurationError, match=name.split(".", maxsplit=1)[0]):
        check_servable(config(), [*WEIGHTS, name])
