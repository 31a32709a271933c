"""What a result says about its training: figures for charts, and what was done and why."""

from collections.abc import Sequence

from flywheel.io.records import JsonObject
from flywheel.train.rows import PairRow, ThumbRow, TokenRow
from flywheel.train.search import Search
from flywheel.train.stages import Finished
from flywheel.workload.model import TrainingRecipe

__all__ = ["describe", "measure"]


def measure(
    rows: Sequence[TokenRow],
    pairs: Sequence[PairRow] | Sequence[ThumbRow],
    supervised: Finished,
    preference: Finished | None,
    search: Search | None = None,
) -> dict[str, float]:
    """Return the figures of both stages and of the search; times are seconds, lengths tokens."""
    measurements = {
        "loss": supervised.loss,
        "final_loss": supervised.final_loss,
        "rows": float(len(rows)),
        "tokens": float(sum(len(row.input_ids) for row in rows)),
        "steps": float(supervised.steps),
        "trained_parameters": float(supervised.trained_parameters),
        "preparation_seconds": supervised.preparation_seconds,
        "training_seconds": supervised.seconds,
        "tokens_per_second": _speed(supervised),
    }
    if search is not None:
        chosen = search.recipe
        measurements |= {
            "search_trials": float(len(search.trials)),
            "search_seconds": search.seconds,
            "search_loss": search.trials[-1].loss,
            "chosen_learning_rate": chosen.learning_rate,
            "chosen_rank": float(chosen.rank),
            "chosen_epochs": float(chosen.epochs),
        }
    if preference is None:
        return measurements
    reported = {
        **_sides(pairs),
        "loss": preference.loss,
        "final_loss": preference.final_loss,
        "steps": float(preference.steps),
        "training_seconds": preference.seconds,
        "tokens_per_second": _speed(preference),
        # How often, and by how much, the accepted answer is preferred in the last steps.
        **{f"rewards_{name}": value for name, value in preference.rewards.items()},
    }
    return measurements | {f"preference_{name}": value for name, value in reported.items()}


def describe(
    recipe: TrainingRecipe,
    pairs: Sequence[PairRow] | Sequence[ThumbRow],
    supervised: Finished,
    preference: Finished | None,
) -> JsonObject:
    """Return what was done: the plan of each stage, how memory changed it, what was left out."""
    summary = {"sft": {"plan": supervised.plan, "plan_changes": supervised.plan_changes}}
    if preference is not None:
        summary["preference"] = {
            "plan": preference.plan,
            "plan_changes": preference.plan_changes,
            "method": "kto" if _thumbs(pairs) else "dpo",
            "reference": "the supervised adapter",
        }
    elif recipe.preference is not None:
        reason = f"{len(pairs)} pairs, the recipe asks for {recipe.preference.minimum_pairs}"
        if recipe.preference.method != "dpo" and _thumbs(pairs):
            up = sum(row.wanted for row in _thumbs(pairs))
            reason = (
                f"{up} thumbs up and {len(pairs) - up} down, the recipe asks for "
                f"{recipe.preference.minimum_thumbs} of each"
            )
        summary["preference"] = {"left_out": reason}
    return summary


def _speed(stage: Finished) -> float:
    return round(stage.tokens / max(stage.seconds, 1e-9), 1)


def _mean(values: Sequence[int]) -> float:
    return round(sum(values) / max(len(values), 1), 2)


def _thumbs(rows: Sequence[PairRow] | Sequence[ThumbRow]) -> list[ThumbRow]:
    return [row for row in rows if isinstance(row, ThumbRow)]


def _sides(rows: Sequence[PairRow] | Sequence[ThumbRow]) -> dict[str, float]:
    thumbs, pairs = _thumbs(rows), [row for row in rows if isinstance(row, PairRow)]
    if thumbs:
        wanted = sum(row.wanted for row in thumbs)
        return {"thumbs_up": float(wanted), "thumbs_down": float(len(thumbs) - wanted)}
    return {
        "pairs": float(len(pairs)),
        "chosen_tokens": _mean([len(row.chosen_ids) for row in pairs]),
        "rejected_tokens": _mean([len(row.rejected_ids) for row in pairs]),
    }
