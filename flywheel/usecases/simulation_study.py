"""`run_study`: arms, strategies and seeds of a simulation on one labeled file, compared."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any, get_args

from flywheel.errors import ConfigurationError, DataError
from flywheel.ingest.labeled_answers import read_answers
from flywheel.ingest.seed_check import check_seed, explain_problems
from flywheel.settings import Settings
from flywheel.simulation.baseline import tfidf_accuracy
from flywheel.simulation.labeled import LabeledRow, read_labeled
from flywheel.simulation.spread import Spread, paired_difference, spread_of
from flywheel.usecases.simulation import simulate
from flywheel.usecases.simulation_plan import Arm, QuarterResult, SimulationPlan
from flywheel.workload.files import load_workload
from flywheel.workload.model import Workload
from flywheel.workload.sections import StrategyName

__all__ = [
    "RECIPES",
    "STRATEGIES",
    "Study",
    "StudyOptions",
    "compared_runs",
    "gains",
    "run_study",
    "spread_of_figures",
]

STRATEGIES: tuple[StrategyName, ...] = get_args(StrategyName)
# Those of the demo, which trains on reports that its own grammar makes: chosen on a file that is
# measured on here, they would flatter the figures.
RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"epochs": 6, "learning_rate": 3e-3, "rank": 16, "alpha": 32, "batch_size": 16},
    "smollm2": {"epochs": 3, "learning_rate": 1e-3, "rank": 16, "alpha": 32, "batch_size": 8},
}
_FOLDER = Path(".flywheel/simulations")
_PLAYED = ("task", "taxonomy", "prompt", "input", "limits")
_SHOWN = 20


@dataclass(frozen=True)
class StudyOptions:
    """What is compared: files, arms, strategies of the policy and seeds.

    ``workload`` is the file of an extraction, whose answers stand in ``answer_column`` as JSON; its
    task, taxonomy, prompt, limits and training are played.

    ``test`` is only measured on. ``budget`` counts the judgments of a quarter, ``cap`` bounds its
    traffic. ``epochs`` is None for the recipe of the base model.
    """

    train: Path
    test: Path
    text_column: str = "text"
    label_column: str = "label"
    base: str = "tiny"
    seeds: tuple[int, ...] = (0,)
    arms: tuple[Arm, ...] = ("policy", "random")
    strategies: tuple[StrategyName, ...] = ("cluster_margin",)
    quarters: int = 4
    budget: int = 385
    seed_per_label: int = 5
    cap: int | None = None
    error_rate: float = 0.02
    epochs: int | None = None
    workload: Path | None = None
    answer_column: str = "answer"


@dataclass(frozen=True)
class Study:
    """The quarters of each arm, a run per seed, and a classic model's accuracy on all labels.

    ``full_data`` is None for an extraction, which that model cannot write.
    """

    arms: Mapping[str, list[list[QuarterResult]]]
    full_data: float | None
    rows: int
    tested: int


def run_study(
    settings: Settings,
    options: StudyOptions,
    *,
    on_progress: Callable[[str], None] = lambda _: None,
    on_run: Callable[[str], None] = lambda _: None,
) -> Study:
    """Play every run; one that was cut off resumes where it was.

    Args:
        settings: name the cache of base models.
        options: what is compared.
        on_progress: called with what goes on.
        on_run: called with the result of a run, in a line.

    Raises:
        ConfigurationError: a file cannot be read, or the test file has other labels.
    """
    workload = None if options.workload is None else load_workload(options.workload)
    rows, tested = (_read(options, path, workload) for path in (options.train, options.test))
    unknown = sorted({row.label for row in tested} - {row.label for row in rows})
    if unknown:
        raise ConfigurationError(
            f"{options.test} has labels that {options.train} has not: {', '.join(unknown[:5])}.",
            next_step="use a test file of the same labels",
        )
    results: dict[str, list[list[QuarterResult]]] = {}
    for seed in options.seeds:
        for arm, strategy in compared_runs(options.arms, options.strategies):
            plan = _plan(options, arm, strategy, seed, workload)
            name = arm if arm == "random" else f"policy, {strategy}"
            title = f"seed {seed}, {name}"
            on_progress(title)
            quarters = simulate(
                plan,
                rows,
                tested,
                home=_FOLDER / _folder(plan),
                cache=settings.cache,
                tell=lambda line, title=title: on_progress(f"{title}: {line}"),  # type: ignore[misc]
            )
            results.setdefault(name, []).append(quarters)
            on_run(f"{title}: {quarters[-1].accuracy:.3f} after {options.quarters} quarters")
    labels = [[(row.text, row.label) for row in part] for part in (rows, tested)]
    full = tfidf_accuracy(*labels, seed=0) if workload is None else None
    return Study(results, full, len(rows), len(tested))


def compared_runs(
    arms: Sequence[Arm], strategies: Sequence[StrategyName]
) -> list[tuple[Arm, StrategyName]]:
    """Pair arms with strategies; random labeling has none, and is played once."""
    pairs = [(arm, name) for arm in arms for name in strategies]
    return [pair for pair in pairs if pair[0] == "policy" or pair[1] == strategies[0]]


def gains(arms: Mapping[str, Sequence[Sequence[Any]]]) -> list[str]:
    """Say what each strategy brings over random labeling, with a 95 % interval over the seeds."""

    # The same seed deals the same traffic to every arm: the difference is taken seed by seed.
    def means(runs: Iterable[Sequence[Any]], figure: str) -> list[float]:
        return [mean(getattr(quarter, figure) for quarter in run[1:]) for run in runs]

    figures = [("accuracy", "adapter"), ("tfidf", "TF-IDF")]
    if any(quarter.tfidf is None for runs in arms.values() for run in runs for quarter in run):
        figures.pop()

    lines = []
    for name, runs in arms.items():
        if name == "random" or "random" not in arms:
            continue
        for figure, whose in figures:
            gain = paired_difference(means(runs, figure), means(arms["random"], figure))
            width = "" if gain.half_width is None else f" ± {100 * gain.half_width:.1f}"
            lines.append(
                f"{name} over random labeling, {whose}, mean of the quarters: "
                f"{100 * gain.mean:+.1f}{width} points"
                + ("" if width else " (one seed: no interval)")
            )
    return lines


def spread_of_figures(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation of one figure over the seeds."""
    return spread_of(values)


def _read(options: StudyOptions, path: Path, workload: Workload | None) -> list[LabeledRow]:
    if workload is None:
        return read_labeled(
            path, text_column=options.text_column, label_column=options.label_column
        )
    content = read_answers(path, workload, text=options.text_column, answer=options.answer_column)
    check = check_seed(workload, content.rows, {})
    problems = explain_problems([*content.problems, *check.problems])
    if problems:
        raise DataError(
            f"{len(problems)} rows of {path.name} cannot be used:\n  "
            + "\n  ".join(problems[:_SHOWN]),
            next_step="correct the file, or the workload",
        )
    return [LabeledRow(r.text, workload.label_of(r.output) or "", r.output) for r in check.new]


def _plan(
    options: StudyOptions,
    arm: Arm,
    strategy: StrategyName,
    seed: int,
    workload: Workload | None,
) -> SimulationPlan:
    recipe = dict(RECIPES.get(options.base, RECIPES["smollm2"]))
    if options.epochs is not None:
        recipe["epochs"] = options.epochs
    sections = None
    if workload is not None:
        written = workload.model_dump(mode="json", by_alias=True)
        sections = {key: written[key] for key in _PLAYED}
        sections["training"] = written["training"] | recipe
    return SimulationPlan(
        workload_id=_workload_id(options.train) if workload is None else workload.id,
        base=options.base,
        arm=arm,
        seed=seed,
        quarters=options.quarters,
        budget=options.budget,
        seed_per_label=options.seed_per_label,
        cap=options.cap,
        error_rate=options.error_rate,
        recipe=recipe,
        strategy=strategy,
        workload=sections,
    )


def _workload_id(path: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", path.absolute().parent.name.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else f"file_{name}"


def _folder(plan: SimulationPlan) -> str:
    content = {key: value for key, value in asdict(plan).items() if value or key != "workload"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    return f"{plan.workload_id}-{Path(plan.base).name}-{plan.arm}-{plan.seed}-{digest}"
