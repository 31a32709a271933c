"""`run_halving`: successive halving over recipes; pure but for the function that measures a trial.

Source: Jamieson and Talwalkar (2016), Non-stochastic best arm identification and hyperparameter
optimization, AISTATS. A trial begins anew at every rung, since its learning rate falls over its own
length; the budget counts all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, log

from flywheel.workload.training import RecipeSearch, TrainingRecipe

__all__ = ["Trial", "first_recipes", "run_halving", "rungs"]

_KEEP = 3  # one of three goes on


@dataclass(frozen=True)
class Trial:
    """One recipe tried for some epochs; ``losses`` are of the validation rows, by epoch."""

    learning_rate: float
    rank: int
    epochs: int
    losses: tuple[float, ...] = ()

    @property
    def loss(self) -> float:
        """The lowest validation loss."""
        return min(self.losses)

    @property
    def best_epochs(self) -> int:
        """Epochs after which the validation loss was lowest."""
        return self.losses.index(self.loss) + 1

    def applied_to(self, recipe: TrainingRecipe, *, epochs: int) -> TrainingRecipe:
        """Return a recipe with this learning rate and rank; alpha grows with the rank."""
        changes = {
            "learning_rate": self.learning_rate,
            "rank": self.rank,
            "alpha": max(1, round(recipe.alpha * self.rank / recipe.rank)),
            "epochs": epochs,
        }
        return recipe.model_copy(update=changes)


def first_recipes(search: RecipeSearch) -> list[Trial]:
    """Return every learning rate with every rank, not yet tried."""
    return [Trial(rate, rank, 0) for rate in search.learning_rates for rank in search.ranks]


def rungs(recipes: int, epochs: int, budget: int) -> list[tuple[int, int]]:
    """Return how many recipes are tried at each rung, and for how many epochs.

    Args:
        recipes: that there are at the start.
        epochs: of a full training; no trial is longer.
        budget: epochs of all trials together.
    """
    if recipes == 1:
        return []
    rounds = max(1, ceil(log(recipes, _KEEP)))
    recipes = min(recipes, max(1, budget // rounds))  # each gets one epoch at least
    plan = []
    for _ in range(rounds):
        if recipes > 1:
            plan.append((recipes, min(epochs, max(1, budget // (rounds * recipes)))))
        recipes = max(1, ceil(recipes / _KEEP))
    return plan


def run_halving(
    recipe: TrainingRecipe, search: RecipeSearch, measure: Callable[[Trial], Trial]
) -> tuple[TrainingRecipe, list[Trial]]:
    """Choose learning rate, rank and epochs; return the recipe and every trial in its order.

    Args:
        recipe: of the workload; what is not searched stays as it is.
        search: what is tried, within which budget.
        measure: trains a trial on the rows that do not validate; the last one, at full length, may
            stop early.
    """
    trials: list[Trial] = []
    # Rates nearest to the workload's own come first, should the budget not pay for all.
    contenders = sorted(
        first_recipes(search),
        key=lambda one: (abs(log(one.learning_rate / recipe.learning_rate)), -one.rank),
    )
    budget = int((search.budget - 1) * recipe.epochs)
    for count, epochs in rungs(len(contenders), recipe.epochs, budget):
        measured = [measure(replace(one, epochs=epochs)) for one in contenders[:count]]
        trials += measured
        contenders = sorted(measured, key=lambda one: one.loss)
    last = measure(replace(contenders[0], epochs=recipe.epochs, losses=()))
    trials.append(last)
    return last.applied_to(recipe, epochs=last.best_epochs), trials
