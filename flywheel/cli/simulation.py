"""`flywheel simulate`: what the loop would bring on a labeled file of your own."""

import re
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.errors import ConfigurationError
from flywheel.settings import load_settings
from flywheel.settings.comma_list import comma_list
from flywheel.workload.sections import StrategyName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flywheel.usecases.simulation_plan import QuarterResult
    from flywheel.usecases.simulation_study import Study

__all__ = ["app"]

app = typer.Typer()
_console = Console()
_STRATEGIES: tuple[str, ...] = get_args(StrategyName)


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - the flags of one command
    train: Annotated[Path, typer.Argument(help="labeled file: seed and traffic come from it")],
    test: Annotated[Path, typer.Option(help="labeled file that is only measured on")],
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
    workload: Annotated[
        Path | None,
        typer.Option(help="workload file of an extraction, whose task and prompt are played"),
    ] = None,
    answer_column: Annotated[
        str, typer.Option(help="with --workload: column or key of the answer, a JSON object")
    ] = "answer",
    json_output: JsonOption = False,
) -> None:
    """Replay a labeled file as traffic, correct within a budget, train, measure, repeat.

    With --workload the files hold the answers of an extraction (CSV, TSV or JSONL), and every field
    has its figures.

    A run that was cut off resumes where it was; another set of flags starts a folder of its own.
    """
    from flywheel.usecases.simulation_study import StudyOptions, run_study

    options = StudyOptions(
        train=train,
        test=test,
        text_column=text_column,
        label_column=label_column,
        base=base,
        seeds=_numbers(seeds),
        arms=_arms(arms),
        strategies=_chosen_strategies(strategies),
        quarters=quarters,
        budget=budget,
        seed_per_label=seed_per_label,
        cap=cap,
        error_rate=error_rate,
        epochs=epochs,
        workload=workload,
        answer_column=answer_column,
    )
    console = Console(stderr=True)
    with console.status("reading the files") as status:
        study = run_study(
            load_settings(),
            options,
            on_progress=lambda line: status.update(Text(line)),
            on_run=lambda line: console.print(Text(line)),
        )
    if json_output:
        arms_played = {
            arm: [[asdict(quarter) for quarter in run] for run in runs]
            for arm, runs in study.arms.items()
        }
        print_facts({"tfidf_full_data": study.full_data, "arms": arms_played})
        return
    _show(study)


def _show(study: "Study") -> None:
    from flywheel.usecases.simulation_study import gains

    results = study.arms
    seeds = len(next(iter(results.values())))
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed, no spread"
    table = Table(title=f"accuracy on {study.tested} test rows; {over}")
    names = _COLUMNS if study.full_data is not None else _FIELD_COLUMNS
    for column in ("quarter", "judgments", *(f"{a}: {c}" for a in results for c in names)):
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
                *_other_figures(points),
            ]
        table.add_row(*cells)
    _console.print(table)
    for name, runs in results.items():
        if any(quarter.fields for quarter in runs[0]):
            _console.print(_fields_table(name, runs[0]))
    for line in gains(results):
        _console.print(Text(line))
    if study.full_data is not None:
        _console.print(
            Text(f"TF-IDF + logistic regression on all {study.rows} labels: {study.full_data:.3f}")
        )
    _console.print(Text("Times, annotators and their errors are simulated."))


_COLUMNS = ("labels", "adapter", "TF-IDF, same labels")
_FIELD_COLUMNS = ("labels", "exact", "F1 micro", "F1 macro")


def _other_figures(points: "Sequence[QuarterResult]") -> list[str]:
    baseline = [point.tfidf for point in points if point.tfidf is not None]
    if len(baseline) == len(points):
        return [_with_spread(baseline)]
    averages = [point.field_averages for point in points if point.field_averages is not None]
    return [_with_spread([one[kind]["f1"] for one in averages]) for kind in ("micro", "macro")]


def _fields_table(name: str, run: "Sequence[QuarterResult]") -> Table:
    # Of the first seed: the same fields, quarter by quarter.
    table = Table(title=f"{name}: F1 by field and quarter; n: values expected in the test rows")
    for column in ("field", "n", *(f"q{quarter.quarter}" for quarter in run), "hallucinated"):
        table.add_column(column, justify="left" if column == "field" else "right")
    last = run[-1].fields
    for path, score in sorted(last.items(), key=lambda item: -item[1]["expected"]):
        figures = [quarter.fields[path]["f1"] for quarter in run]
        cells = ["-" if figure is None else f"{figure:.3f}" for figure in figures]
        share = f"{score['hallucinated']} of {score['absent']}"
        table.add_row(path, str(score["expected"]), *cells, share)
    return table


def _with_spread(values: "Sequence[float | None]") -> str:
    from flywheel.usecases.simulation_study import spread_of_figures

    measured = [value for value in values if value is not None]
    if not measured:
        return ""
    spread = spread_of_figures(measured)
    return f"{spread.mean:.3f}" + (f" ±{spread.deviation:.3f}" if spread.deviation else "")


def _numbers(text: str) -> tuple[int, ...]:
    parts = comma_list(text)
    if not parts or not all(re.fullmatch(r"\d+", part) for part in parts):
        raise ConfigurationError(f"{text!r} is not a list of seeds.", next_step="write e.g. 0,1,2")
    return tuple(map(int, parts))


def _arms(text: str) -> tuple[Any, ...]:
    arms = comma_list(text)
    if not arms or not set(arms) <= {"policy", "random"}:
        raise ConfigurationError(f"{text!r} names an unknown arm.", next_step="policy,random")
    return arms


def _chosen_strategies(text: str) -> tuple[Any, ...]:
    names = comma_list(text)
    if not names or not set(names) <= set(_STRATEGIES):
        raise ConfigurationError(
            f"{text!r} names an unknown strategy.", next_step=f"use {', '.join(_STRATEGIES)}"
        )
    return names
