"""`flywheel usage`: calls, tokens and cost of the gateway by client, workload and tier."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from flywheel.cli.console import Console, echo
from flywheel.cli.facts import JsonOption, print_facts
from flywheel.wiring import open_platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flywheel.usecases.usage import TierUsage

__all__ = ["app"]

app = typer.Typer()
_DAYS = 30


@app.command()
def usage(
    start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="default: 30 days ago")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="default: today")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Sum calls and tokens of the gateway by client and workload, over days in UTC.

    Where a workload has tiers, or asked again after an answer that was not valid, tokens and cost of
    each tier follow: of every answer, also those that another one replaced.
    """
    from flywheel.usecases.usage import gateway_usage

    platform = open_platform(existing=True)
    today = platform.clock.now().astimezone(UTC)
    first = (start or today - timedelta(days=_DAYS)).date()
    report = gateway_usage(platform, start=first, end=(end or today).date())
    if json_output:
        print_facts(report)
        return
    if report.unreadable:
        echo(f"{report.unreadable} lines of the call log could not be read")
    if not report.usage:
        echo(f"no calls since {first}")
        return
    table = Table("client", "workload", "calls", "refused", "failed", "tokens in", "tokens out")
    for row in report.usage:
        counts = (row.calls, row.refused, row.failed, row.prompt_tokens, row.completion_tokens)
        table.add_row(row.client_id or "-", row.workload_id or "-", *(f"{n:,}" for n in counts))
    Console().print(table)
    if report.has_tiers:
        _print_tiers(report.tiers)


def _print_tiers(tiers: "Sequence[TierUsage]") -> None:
    table = Table("workload", "tier", "answers", "tokens in", "tokens out", "cost")
    for row in tiers:
        counts = (row.answers, row.prompt_tokens, row.completion_tokens)
        table.add_row(row.workload_id, row.tier, *(f"{n:,}" for n in counts), f"{row.cost:,.4f}")
    Console().print(table)
