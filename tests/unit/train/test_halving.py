"""Successive halving: rungs within a budget, the better recipes go on, the best one stops early."""

from dataclasses import replace

import pytest

from flywheel.train.halving import first_recipes, run_halving, rungs
from flywheel.workload.training import RecipeSearch, TrainingRecipe


@pytest.mark.parametrize(
    ("recipes", "epochs", "budget", "expected"),
    [
        (6, 6, 12, [(6, 1), (2, 3)]),
        (9, 6, 36, [(9, 2), (3, 6)]),
        (6, 6, 6, [(3, 1)]),
        (1, 6, 12, []),
        (6, 2, 100, [(6, 2), (2, 2)]),
    ],
)
def test_rungs_spend_no_more_than_the_budget(recipes, epochs, budget, expected):
    """Fewer recipes are tried where it does not pay for all; no trial is longer than a training."""
    plan = rungs(recipes, epochs, budget)
    assert plan == expected
    assert sum(count * length for count, length in plan) <= budget


def losses(trial):
    """Be lowest for the rate 1e-3 at rank 16, and rise after the fourth epoch."""
    start = abs(trial.learning_rate - 1e-3) * 1_000 + (trial.rank != 16)
    return tuple(start + abs(epoch - 4) / 10 for epoch in range(1, trial.epochs + 1))


def test_the_best_recipe_is_found_and_trained_as_long_as_it_got_better():
    """Alpha keeps its ratio to the rank; what is not searched stays."""
    tried = []

    def measure(trial):
        done = replace(trial, losses=losses(trial))
        tried.append(done)
        return done

    recipe = TrainingRecipe(epochs=6, learning_rate=3e-4, rank=8, alpha=16, batch_size=4)
    chosen, trials = run_halving(recipe, RecipeSearch(), measure)
    assert (chosen.learning_rate, chosen.rank, chosen.alpha, chosen.epochs) == (1e-3, 16, 32, 4)
    assert chosen.batch_size == 4
    assert trials == tried
    assert len(trials) == 6 + 2 + 1
    assert sum(trial.epochs for trial in trials) <= RecipeSearch().budget * recipe.epochs


def test_a_small_budget_tries_the_rates_nearest_to_the_workloads_own():
    """Two trials of an epoch, then the better one."""
    tried = []

    def measure(trial):
        tried.append(trial)
        return replace(trial, losses=losses(trial))

    search = RecipeSearch(budget=1.5, learning_rates=(1e-4, 1e-3, 5e-3), ranks=(16,))
    run_halving(TrainingRecipe(epochs=4), search, measure)
    assert [trial.learning_rate for trial in tried] == [1e-3, 5e-3, 1e-3]
    assert len(first_recipes(search)) == 3
