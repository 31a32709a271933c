"""`flywheel bakeoff`: base models against each other on a workload's own labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.arguments import WorkloadArgument
from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.cli.progress import ProgressLines
from flywheel.errors import ConfigurationError
from flywheel.settings.comma_list import comma_list
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from flywheel.usecases.bakeoff import Bakeoff
    from flywheel.usecases.bakeoff_ranking import RankedArm

__all__ = ["app"]

app = typer.Typer()
_console = Console()


@app.command()
def bakeoff(
    workload: WorkloadArgument,
    bases: Annotated[
        str, typer.Option(help="base models, separated by commas, as base_model names them")
    ],
    minutes: Annotated[
        float, typer.Option(min=0.1, help="budget of all measurements and trainings together")
    ] = 120.0,
    share: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="of the training rows, to compare on")
    ] = 0.2,
    prices: Annotated[
        Path | None, typer.Option(help="file of prices; default: prices.yaml in the home")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Compare bases without examples, with worked examples and tuned; safe to repeat.

    Rows of the newest snapshot that no training sees decide, never golden cases. What was measured
    before is kept; an interrupted training continues. `flywheel base build --beside` builds a base.
    """
    from flywheel.usecases.bakeoff import run_bakeoff
    from flywheel.usecases.bakeoff_ranking import rank_arms
    from flywheel.usecases.roi import find_prices

    platform = open_platform(existing=True)
    names = comma_list(bases)
    if not names:
        raise ConfigurationError("--bases names no base.", next_step="write --bases tiny,smollm2")
    stated = find_prices(platform, prices)
    with ProgressLines(Console(soft_wrap=True, stderr=json_output)) as lines:
        result = run_bakeoff(
            platform, workload, names, minutes=minutes, share=share, on_progress=lines.show
        )
    ranking = rank_arms(result.arms, stated)
    if json_output:
        print_facts({"bakeoff": result, "ranking": ranking, "currency": stated.currency})
        return
    _show(result, ranking, stated.currency)


def _show(result: "Bakeoff", ranking: "list[RankedArm]", currency: str) -> None:
    echo(
        f"{result.workload_id}: {result.cases} validation rows of the training rows of cycle "
        f"{result.cycle}, {result.train_rows} to train on; {result.spent_seconds / 60:.1f} of "
        f"{result.minutes:g} minutes spent"
    )
    score = result.score.replace("_", " ")
    kept = [] if result.score == "accuracy" else ["all rules"]
    columns = ["", "base", "how", score, *kept, "behind the first", "p50", "p95", "memory", "price"]
    table = Table(*columns)
    for one in ranking:
        arm = one.arm
        how = Text(arm.kind.replace("_", " "))
        if one.rank is None:
            table.add_row("-", Text(arm.base), how, Text(arm.problem or ""))
            continue
        table.add_row(
            str(one.rank),
            Text(arm.base),
            how,
            Text(f"{one.score:.3f} [{one.lower:.3f}, {one.upper:.3f}]"),
            *(_share(arm.rules_kept) for _ in kept),
            Text(_behind(one)),
            _milliseconds(arm.seconds_p50),
            _milliseconds(arm.seconds_p95),
            _memory(one),
            _price(one, currency),
        )
    _console.print(table)
    echo("memory: the base on disk, and the largest of its training; price: of 1,000 answers, and")
    echo("of the training; - is not in the file of prices. Intervals are of 95 %.")


def _behind(one: "RankedArm") -> str:
    if one.rank == 1:
        return ""
    words = {True: "worse", False: "not shown", None: "too few cases"}
    verdict = words[one.is_worse]
    return f"{one.behind:+.3f} [{one.behind_lower:+.3f}, {one.behind_upper:+.3f}] {verdict}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _memory(one: "RankedArm") -> str:
    disk = f"{one.arm.base_bytes / 1e6:,.0f} MB"
    training = one.arm.train_bytes
    return disk if training is None else f"{disk}, {training / 1e6:,.0f} MB"


def _price(one: "RankedArm", currency: str) -> str:
    amounts = (one.cost_per_thousand, one.training_cost)
    texts = ["-" if amount is None else f"{amount:.4g}" for amount in amounts]
    return f"{texts[0]} + {texts[1]} {currency}"
