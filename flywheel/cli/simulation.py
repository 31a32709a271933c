"""`flywheel simulate`: what the loop would bring on a labelled file of your own."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, get_args

import typer
from rich.status import Status
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.errors import ConfigurationError
from flywheel.settings import load_settings
from flywheel.workload.sections import StrategyName

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_STRATEGIES: tuple[str, ...] = get_args(StrategyName)

# Those of the demo, which trains on reports that its own grammar makes: chosen on a file that is
# measured on here, they would flatter the figures.
RECIPES: dict[str, dict[str, Any]] = {
    "tiny": {"epochs": 6, "learning_rate": 3e-3, "rank": 16, "alpha": 32, "batch_size": 16},
    "smollm2": {"epochs": 3, "learning_rate": 1e-3, "rank": 16, "alpha": 32, "batch_size": 8},
}


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - the flags of one command
    train: Annotated[Path, typer.Argument(help="labelled CSV: seed and traffic come from it")],
    test: Annotated[Path, typer.Option(help="labelled CSV that is only measured on")],
    text_column: Annotated[str, typer.Option(help="column of the text")] = "text",
    label_column: Annotated[str, typer.Option(help="column of the label")] = "label",
    base: Annotated[str, typer.Option(help="tiny, smollm2, a folder or a hub name")] = "tiny",
    seeds: Annotated[str, typer.Option(help="seeds, separated by commas")] = "0,1,2",
    arms: Annotated[str, typer.Option(help="policy, random or both")] = "policy,random",
    strategies: Annotated[
        str, typer.Option(help=f"of the policy, separated by commas: {', '.join(_STRATEGIES)}")
    ] = "cluster_margin",
    quarters: Annotated[int, typer.Option(min=1)] = 4,
    budget: Annotated[int, typer.Option(min=1, help="judgments a quarter, all included")] = 385,
    seed_per_label: Annotated[int, typer.Option(min=1, help="labels per class at the start")] = 5,
    cap: Annotated[int | None, typer.Option(help="most texts of traffic in a quarter")] = None,
    error_rate: Annotated[float, typer.Option(help="share of judgments that are wrong")] = 0.02,
    epochs: Annotated[int | None, typer.Option(help="passes over the labels")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="for machines")] = False,
) -> None:
    """Replay a labelled CSV as traffic, correct within a budget, train, measure, repeat.

    A run that was cut off goes on where it was; another set of flags starts a folder of its own.
    """
    from flywheel.simulation.baseline import tfidf_accuracy
    from flywheel.simulation.labelled import read_labelled
    from flywheel.usecases.simulation import simulate as play
    from flywheel.usecases.simulation_plan import SimulationPlan

    rows = read_labelled(train, text_column=text_column, label_column=label_column)
    tested = read_labelled(test, text_column=text_column, label_column=label_column)
    unknown = sorted({row.label for row in tested} - {row.label for row in rows})
    if unknown:
        raise ConfigurationError(
            f"{test} has labels that {train} has not: {', '.join(unknown[:5])}.",
            next_step="use a test file of the same labels",
        )
    settings = load_settings()
    recipe = dict(RECIPES.get(base, RECIPES["smollm2"]))
    if epochs is not None:
        recipe["epochs"] = epochs
    results: dict[str, list[list[Any]]] = {}
    console = Console(stderr=True)
    for seed in _numbers(seeds):
        for arm, strategy in _played(_arms(arms), _chosen_strategies(strategies)):
            name = arm if arm == "random" else f"policy, {strategy}"
            plan = SimulationPlan(
                workload_id=_workload_id(train),
                base=base,
                arm=arm,
                seed=seed,
                quarters=quarters,
                budget=budget,
                seed_per_label=seed_per_label,
                cap=cap,
                error_rate=error_rate,
                recipe=recipe,
                strategy=strategy,
            )
            home = Path(".flywheel/simulations") / _folder(plan)
            with console.status(Text(f"seed {seed}, {name}")) as status:
                quarters_played = play(
                    plan,
                    rows,
                    tested,
                    home=home,
                    cache=settings.cache,
                    tell=_teller(status, f"seed {seed}, {name}"),
                )
            results.setdefault(name, []).append(quarters_played)
            done = quarters_played[-1]
            console.print(
                Text(f"seed {seed}, {name}: {done.accuracy:.3f} after {quarters} quarters")
            )
    full = tfidf_accuracy(
        [(row.text, row.label) for row in rows], [(row.text, row.label) for row in tested], seed=0
    )
    if json_output:
        told = {arm: [[asdict(q) for q in run] for run in runs] for arm, runs in results.items()}
        typer.echo(json.dumps({"tfidf_full_data": full, "arms": told}))
        return
    _show(results, full, len(rows), len(tested))


def _teller(status: Status, prefix: str) -> Callable[[str], None]:
    return lambda line: status.update(Text(f"{prefix}: {line}"))


def _show(results: dict[str, list[list[Any]]], full: float, rows: int, tested: int) -> None:
    seeds = len(next(iter(results.values())))
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed, no spread"
    table = Table(title=f"accuracy on {tested} test rows; {over}")
    for column in ("quarter", "judgments", *(f"{a}: {c}" for a in results for c in _COLUMNS)):
        table.add_column(column, justify="right")
    first = next(iter(results.values()))
    for number, quarter in enumerate(first[0]):
        cells = [
            str(quarter.quarter),
            str(max(runs[0][number].judgments for runs in results.values())),
        ]
        for runs in results.values():
            points = [run[number] for run in runs]
            cells += [
                f"{mean(p.labels for p in points):.0f}",
                _with_spread([point.accuracy for point in points]),
                _with_spread([point.tfidf for point in points]),
            ]
        table.add_row(*cells)
    _console.print(table)
    for line in _gains(results):
        _console.print(Text(line))
    _console.print(Text(f"TF-IDF + logistic regression on all {rows} labels: {full:.3f}"))
    _console.print(Text("Times, annotators and their errors are simulated."))


_COLUMNS = ("labels", "adapter", "TF-IDF, same labels")


def _with_spread(values: list[float]) -> str:
    from flywheel.simulation.spread import spread_of

    spread = spread_of(values)
    return f"{spread.mean:.3f}" + (f" ±{spread.deviation:.3f}" if spread.deviation else "")


def _gains(results: dict[str, list[list[Any]]]) -> list[str]:
    # The same seed deals the same traffic to every arm: the difference is taken seed by seed.
    from flywheel.simulation.spread import paired_difference

    def means(runs: list[list[Any]], figure: str) -> list[float]:
        return [mean(getattr(quarter, figure) for quarter in run[1:]) for run in runs]

    lines = []
    for name, runs in results.items():
        if name == "random" or "random" not in results:
            continue
        for figure, whose in (("accuracy", "adapter"), ("tfidf", "TF-IDF")):
            gain = paired_difference(means(runs, figure), means(results["random"], figure))
            width = "" if gain.half_width is None else f" ± {100 * gain.half_width:.1f}"
            lines.append(
                f"{name} over random labelling, {whose}, mean of the quarters: "
                f"{100 * gain.mean:+.1f}{width} points"
                + ("" if width else " (one seed: no interval)")
            )
    return lines


def _numbers(text: str) -> list[int]:
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise ConfigurationError(f"{text!r} is no list of seeds.", next_step="write e.g. 0,1,2")
    return [int(part) for part in text.split(",")]


def _arms(text: str) -> list[Any]:
    arms = text.split(",")
    if not set(arms) <= {"policy", "random"}:
        raise ConfigurationError(f"{text!r} names an unknown arm.", next_step="policy,random")
    return arms


def _chosen_strategies(text: str) -> list[Any]:
    names = text.split(",")
    if not set(names) <= set(_STRATEGIES):
        raise ConfigurationError(
            f"{text!r} names an unknown strategy.", next_step=f"use {', '.join(_STRATEGIES)}"
        )
    return names


def _played(arms: list[Any], strategies: list[Any]) -> list[tuple[Any, Any]]:
    # Random labelling has no strategy, and is played once.
    pairs = [(arm, name) for arm in arms for name in strategies]
    return [pair for pair in pairs if pair[0] == "policy" or pair[1] == strategies[0]]


def _workload_id(path: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", path.absolute().parent.name.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else f"file_{name}"


def _folder(plan: Any) -> str:
    import hashlib

    digest = hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode()).hexdigest()[:8]
    return f"{plan.workload_id}-{Path(plan.base).name}-{plan.arm}-{plan.seed}-{digest}"
