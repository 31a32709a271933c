"""`flywheel judge`: a model that says which answers look wrong."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from flywheel.cli.arguments import WorkloadArgument
from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flywheel.usecases.judging.calibration import (
        CalibrationReport,
        JudgeStanding,
        PastCalibration,
    )
    from flywheel.usecases.judging.report import JudgeReport

__all__ = ["app"]

app = typer.Typer(help="A model as judge: it orders the queue; calibrated, it sharpens a figure.")
_console = Console()


@app.command()
def calibrate(workload: WorkloadArgument, json_output: JsonOption = False) -> None:
    """Ask the judge about answers that people judged, and keep how far it agrees.

    The control slice alone is taken. Nothing is asked twice: repeat it on another day where the
    ration was spent. A changed prompt, rubric or model is another judge and starts afresh.
    """
    from flywheel.usecases.judging.calibration import calibrate_judge

    platform = open_platform(existing=True)
    report = calibrate_judge(platform, platform.workload(workload))
    if json_output:
        print_facts(asdict(report))
        return
    _show_calibration(report)


@app.command()
def show(
    workload: WorkloadArgument,
    weeks: Annotated[int, typer.Option(min=1, max=53, help="complete weeks to show")] = 8,
    json_output: JsonOption = False,
) -> None:
    """Show whether the judge's word counts, what it cost, and accuracy by week with and without it.

    Asks the judge nothing and changes nothing.
    """
    from flywheel.usecases.judging.report import judge_report

    platform = open_platform(existing=True)
    report = judge_report(platform, platform.workload(workload), weeks=weeks)
    if json_output:
        print_facts(asdict(report))
        return
    _show_report(report)


def _show_calibration(report: "CalibrationReport") -> None:
    calibration = report.calibration
    people = "simulated people" if report.simulated else "people"
    echo(f"{report.workload_id}, judge {report.source} ({report.digest[:12]})")
    asking = report.asking
    echo(f"asked about {asking.asked} answers now, {asking.known} were known")
    if asking.problem is not None:
        echo(f"not asked about {asking.left_out}: {asking.problem}")
    if (
        calibration.agreement is not None
        and calibration.lower is not None
        and calibration.upper is not None
    ):
        echo(
            f"agreement with {people} on {calibration.judged} answers: {calibration.agreement:.3f} "
            f"({calibration.lower:.3f} to {calibration.upper:.3f}, {calibration.confidence:.1%} interval, "
            f"comparison {calibration.looks})"
        )
    if calibration.informedness is not None and calibration.informedness_lower is not None:
        echo(
            f"it approves of right answers {calibration.informedness:.3f} more often than of wrong ones "
            f"(at least {calibration.informedness_lower:.3f})"
        )
    if calibration.unreadable:
        echo(f"{calibration.unreadable} verdicts could not be read: they count as disagreement")
    if calibration.calibrated:
        echo(f"calibrated until {report.expires_at:%Y-%m-%d}: {calibration.reason}")
    else:
        echo(f"not calibrated, it only orders the queue: {calibration.reason}")


def _show_report(report: "JudgeReport") -> None:
    from flywheel.usecases.judging.report import shown_accuracy

    echo(_standing_line(report.workload_id, report.standing))
    echo(
        f"asked about {report.asked:,} answers in all, {report.unreadable:,} verdicts unreadable, price "
        f"{report.cost:.2f}; today {report.asked_today:,} of {report.per_day:,}"
    )
    table = Table("week of", "people", "judged", "with the judge", "others asked")
    for week in report.weeks:
        figure = shown_accuracy(week.with_judge) if week.with_judge else week.reason
        counts = str(week.people.judged), str(week.drawn)
        table.add_row(f"{week.start}", shown_accuracy(week.people), counts[0], figure, counts[1])
    _console.print(table)
    _show_calibrations(report.calibrations)
    echo("The judge's verdicts are no labels: nothing is trained on them, no gate counts them.")


def _show_calibrations(calibrations: "Sequence[PastCalibration]") -> None:
    if not calibrations:
        return
    table = Table("compared with people", "judge", "answers", "agreement", "floor", "counts")
    for one in calibrations:
        table.add_row(
            f"{one.calibrated_at:%Y-%m-%d %H:%M}",
            Text(f"{one.source} {one.digest[:12]}"),
            f"{one.judged}, simulated people" if one.simulated else str(one.judged),
            _agreement(one),
            f"{one.floor:g}",
            "yes" if one.calibrated else "no",
        )
    _console.print(table)


def _agreement(one: "PastCalibration") -> str:
    if one.agreement is None:
        return "-"
    return f"{one.agreement:.3f} ({one.lower:.3f} to {one.upper:.3f})"


def _standing_line(workload_id: str, standing: "JudgeStanding") -> str:
    name = f"{workload_id}, judge {standing.source}"
    if standing.digest is not None:
        name += f" ({standing.digest[:12]})"
    if not standing.calibrated or standing.expires_at is None:
        return f"{name}: only orders the queue, {standing.reason}"
    return f"{name}: counts until {standing.expires_at:%Y-%m-%d}, {standing.reason}"
