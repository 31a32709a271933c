"""`flywheel review direct`: ask people the cases that an undecided gate lacks, and how far they are."""

from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.cli.console import Console
from flywheel.cli.facts import JsonOption, print_facts

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["direct", "show_second_looks"]

_console = Console()


def direct(
    workload_id: Annotated[str, typer.Argument(help="id of the workload")],
    cycle: Annotated[str, typer.Argument(help="name of a cycle that is awaiting_judgments")],
    person: Annotated[str, typer.Option("--as", help="your name; taken on trust, and recorded so")],
    json_output: JsonOption = False,
) -> None:
    """Draw the cases that an undecided gate lacks, at random and blind, within the budget.

    Repeat it where the period's budget did not pay for all of them, and after a crash: nothing is
    asked twice.
    """
    from flywheel.usecases.second_look import direct_review
    from flywheel.wiring import open_platform

    platform = open_platform(existing=True)
    drawn = direct_review(platform, CycleRef(workload_id, cycle), actor=person)
    if json_output:
        print_facts(drawn)
        return
    _console.print(
        f"Batch {drawn.batch_id}: {drawn.items} of {drawn.frame} answers, drawn at random "
        f"({drawn.trained_on} left out: the candidate was trained on their text); "
        f"{drawn.left} judgments are left in {drawn.period}.",
        markup=False,
        highlight=False,
    )
    if drawn.missing:
        _console.print(
            f"{drawn.missing} cases are not asked yet: raise review.budget, or repeat this once "
            "there are more judgments or more answers.",
            markup=False,
            highlight=False,
        )
    show_second_looks(platform, workload_id)


def show_second_looks(platform: "Platform", workload_id: str) -> None:
    """Say of every cycle that waits for judgments how far it is, and what to do next."""
    from flywheel.usecases.second_look import second_looks

    for cycle, look in second_looks(platform, workload_id).items():
        text = f"{cycle}: {look.sentence}."
        if look.is_due:
            text += (
                f"\nnext: flywheel gate {workload_id} {cycle} --second-look "
                "(or Dagster's gate job does it)"
            )
        elif look.asked < look.needed and not look.is_over:
            text += f"\nnext: flywheel review direct {workload_id} {cycle} --as NAME"
        elif not look.is_over:
            text += f"\nnext: people answer, then flywheel review pull {workload_id}"
        _console.print(text, markup=False, highlight=False)
