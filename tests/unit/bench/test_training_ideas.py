"""What is measured about ideas of training: the averages, the losses and the noise."""

import numpy as np
import pytest
import torch

from bench.training_ideas.arms import ARMS, AVERAGES, IDEAS
from bench.training_ideas.averaging import Averager, mean_of_factors, mean_of_products
from bench.training_ideas.crossed import crossed_difference
from bench.training_ideas.losses import agree, smooth

_A, _B = "layer.lora_A.default.weight", "layer.lora_B.default.weight"
_LABELS = torch.tensor([[-100, -100, 1, 3]])


def _weights(seed, rank=2):
    made = torch.Generator().manual_seed(seed)
    return {
        _A: torch.randn(rank, 5, generator=made),
        _B: torch.randn(6, rank, generator=made),
    }


def _update(weights):
    return weights[_B] @ weights[_A]


class _Trainer:
    # Answers with one row of scores after another, as a model with dropout would.
    def __init__(self, *scores) -> None:
        self.scores = [torch.tensor(one, requires_grad=True) for one in scores]

    def compute_loss(self, _model, _inputs, return_outputs=None, num_items_in_batch=None):
        logits = self.scores[0] if len(self.scores) == 1 else self.scores.pop(0)
        targets = torch.tensor([1, 3])
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        loss = loss / (num_items_in_batch or len(logits))
        return (loss, {"logits": logits}) if return_outputs else loss


def test_every_arm_belongs_to_an_idea_and_has_its_reference():
    """An arm that costs more is compared with one that is trained as well."""
    assert set(ARMS) == {arm for arms in IDEAS.values() for arm in arms}
    for arms in IDEAS.values():
        assert arms[0] == "plain"
        assert {ARMS[arm].reference for arm in arms} <= set(arms)


def test_the_mean_of_products_is_the_nearest_update_of_its_rank():
    """It is as near to the mean of the updates as its singular values allow, and nearer than factors."""
    checkpoints = [_weights(seed) for seed in range(4)]
    wanted = sum(map(_update, checkpoints)) / 4
    nearest = float(torch.linalg.svdvals(wanted)[2:].square().sum().sqrt())
    products = mean_of_products(checkpoints)
    assert {name: value.shape for name, value in products.items()} == {
        name: value.shape for name, value in checkpoints[0].items()
    }
    assert float((_update(products) - wanted).norm()) == pytest.approx(nearest, rel=1e-4)
    assert float((_update(mean_of_factors(checkpoints)) - wanted).norm()) > nearest


def test_the_mean_of_one_checkpoint_is_its_update():
    """Averaging one adapter leaves what it does as it is, however its factors are written."""
    one = _weights(1)
    assert torch.allclose(_update(mean_of_products([one])), _update(one), atol=1e-5)
    assert torch.equal(mean_of_factors([one])[_A], one[_A])


def test_an_averager_takes_the_last_fifth_and_forgets_what_was_before():
    """Five checkpoints of the last fifth are averaged; the moving average lags behind the last step."""
    averager = Averager(100)
    for step in range(1, 101):
        averager.add(step, {_A: torch.full((1, 1), float(step)), _B: torch.ones(1, 1)})
    averages = averager.averages()
    assert tuple(averages) == AVERAGES
    assert averages["mean of factors"][_A].item() == 90.0
    assert _update(averages["mean of products"]).item() == pytest.approx(90.0, rel=1e-5)
    assert 85 < averages["moving average"][_A].item() < 95


def test_an_averager_does_not_keep_the_weights_that_go_on_changing():
    """What it was given may be written over by the next step."""
    averager, weights = Averager(2), {_A: torch.zeros(1, 1), _B: torch.zeros(1, 1)}
    averager.add(1, weights)
    weights[_A] += 8
    averager.add(2, weights)
    weights[_A] += 100
    assert averager.averages()["moving average"][_A].item() == 4.0
    assert averager.averages()["mean of factors"][_A].item() == 8.0


@pytest.mark.parametrize("items", [None, 4])
def test_label_smoothing_is_that_of_the_library(items):
    """Over the whole vocabulary it is PyTorch's own label smoothing."""
    scores = [[0.1, 2.0, -1.0, 0.3], [1.0, 0.2, 0.0, 1.5]]
    trainer = _Trainer(scores)
    smooth(trainer, 0.1)
    loss = trainer.compute_loss(None, {"labels": _LABELS}, num_items_in_batch=items)
    wanted = torch.nn.functional.cross_entropy(
        torch.tensor(scores), torch.tensor([1, 3]), label_smoothing=0.1, reduction="sum"
    )
    assert loss.item() == pytest.approx(wanted.item() / (items or 2), rel=1e-6)


def test_smoothing_among_answers_leaves_other_targets_alone():
    """A target that is no answer's first token, such as the end, keeps its whole weight."""
    scores = [[0.1, 2.0, -1.0, 0.3], [1.0, 0.2, 0.0, 1.5]]
    trainer = _Trainer(scores)
    smooth(trainer, 0.1, answers=[0, 1])
    loss = trainer.compute_loss(None, {"labels": _LABELS})
    first, second = torch.log_softmax(torch.tensor(scores), dim=-1)
    wanted = 0.9 * first[1] + 0.1 * (first[0] + first[1]) / 2 + second[3]
    assert loss.item() == pytest.approx(-wanted.item() / 2, rel=1e-6)


def test_two_equal_passes_agree():
    """Without a difference between the passes the loss is the plain one, whatever the weight."""
    scores = [[0.1, 2.0, -1.0, 0.3], [1.0, 0.2, 0.0, 1.5]]
    plain = _Trainer(scores).compute_loss(None, {})
    trainer = _Trainer(scores)
    agree(trainer, 5.0)
    assert trainer.compute_loss(None, {}).item() == pytest.approx(plain.item(), abs=1e-6)


def test_passes_that_disagree_are_drawn_together():
    """The divergence is symmetric, weighed, and its gradient goes into both passes."""
    one, other = [[0.0, 2.0, 0.0, 0.0]] * 2, [[0.0, 0.0, 2.0, 0.0]] * 2
    losses = []
    for first, second in ((one, other), (other, one)):
        trainer = _Trainer(first, second, first)
        scores = list(trainer.scores[:2])
        agree(trainer, 2.0)
        loss = trainer.compute_loss(None, {})
        loss.backward()
        assert all(part.grad.abs().sum() > 0 for part in scores)
        losses.append(loss.item())
    p, q = (torch.tensor(part[0]).softmax(0) for part in (one, other))
    divergence = float(((p - q) * (p.log() - q.log())).sum()) / 2
    plain = sum(_Trainer(part).compute_loss(None, {}).item() for part in (one, other)) / 2
    assert losses == pytest.approx([plain + 2 * divergence] * 2, rel=1e-5)


def test_a_difference_of_every_seed_alike_has_the_noise_of_the_cases():
    """Seeds that all say the same do not make the cases more than they are."""
    one = np.tile(np.array([True] * 60 + [False] * 40), (3, 1))
    other = np.tile(np.array([True] * 50 + [False] * 50), (3, 1))
    apart = crossed_difference(one, other)
    assert apart.mean == pytest.approx(0.1)
    assert apart.error == pytest.approx(np.std([1.0] * 10 + [0.0] * 90, ddof=1) / 10, rel=1e-6)
    assert apart.beyond_noise == 1
    assert crossed_difference(other, one).beyond_noise == -1


def test_one_seed_decides_nothing():
    """However many cases say so: another draw of rows may say otherwise."""
    apart = crossed_difference(np.ones((1, 900), bool), np.zeros((1, 900), bool))
    assert (apart.mean, apart.beyond_noise) == (1.0, 0)


def test_seeds_that_disagree_are_noise():
    """One seed far above and two without a difference are not beyond the noise."""
    rng = np.random.default_rng(0)
    other = rng.random((3, 500)) < 0.7
    one = other.copy()
    one[0] |= rng.random(500) < 0.3
    apart = crossed_difference(one, other)
    assert apart.by_seed[1:] == (0.0, 0.0)
    assert apart.beyond_noise == 0
    assert apart.error > np.std(apart.by_seed, ddof=1) / np.sqrt(3) - 1e-12


def test_noise_covers_the_difference_of_equal_arms():
    """Equal arms whose cases and seeds vary are called different in about one of twenty tries."""
    rng = np.random.default_rng(3)
    called = 0
    for _ in range(300):
        hard = rng.normal(size=(1, 200))
        arms = [
            hard + rng.normal(size=(8, 200)) + 0.1 * rng.normal(size=(8, 1)) > 0 for _ in range(2)
        ]
        called += crossed_difference(*arms).beyond_noise != 0
    assert called / 300 < 0.1
