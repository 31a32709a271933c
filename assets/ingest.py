"""Stage ingest: from the log into the lake, and the lake's upkeep; shared by all workloads."""

from dataclasses import asdict

import dagster as dg

from flywheel.orchestration.keys import PLATFORM
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.ownership import DAILY
from flywheel.orchestration.presentation import markdown_table, simulated_date, table_facts
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.landing import land, maintain_lake
from flywheel.usecases.ledger import prove_ledger

__all__ = ["landing", "ledger_balances", "maintenance"]

_OWNERS = ["team:data-engineering"]
_DEAD_SHARE = 0.05


@dg.asset(
    key=[PLATFORM, "landing"],
    group_name="platform_ingest",
    owners=_OWNERS,
    kinds={"deltalake"},
    check_specs=[
        dg.AssetCheckSpec(
            "few_dead_letters",
            asset=dg.AssetKey([PLATFORM, "landing"]),
            description=f"Warns when more than {_DEAD_SHARE:.0%} of what was read broke the "
            "contract. `flywheel dlq list` shows them, `flywheel dlq replay` tries them again.",
        )
    ],
    description=(
        "Lands what the event log holds: rows and offset in one commit, bad records as dead "
        "letters. Where a `flywheel ingest --follow` runs, its landings are shown here too."
    ),
)
def landing(context: dg.AssetExecutionContext, platform: PlatformParam) -> dg.MaterializeResult:
    """Land a bounded batch of every topic."""
    with dagster_outcomes():
        report = land(platform)
    context.log.info("%s records read, %s still unread", report.read, report.lag)
    rows, dead = report.landed.total() + report.feedback.total(), report.dead_letters.total()
    reasons = [{"reason": str(k), "records": n} for k, n in report.dead_letters.most_common()]
    return dg.MaterializeResult(
        metadata={
            "summary": f"{rows} rows, {dead} dead letters, {report.lag} unread",
            "records read": report.read,
            "rows": rows,
            "rows per workload": dict(report.landed),
            "feedback": report.feedback.total(),
            "dead letters": dead,
            "share of dead letters": dead / max(report.read, 1),
            "dead letters by reason": markdown_table(reasons),
            "unread": report.lag,
            "commits": report.commits,
            "commit seconds": report.commit_seconds,
            **table_facts(platform, "inferences"),
            **simulated_date(platform),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="few_dead_letters",
                passed=dead <= _DEAD_SHARE * max(report.read, 1),
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"share": dead / max(report.read, 1), "limit": _DEAD_SHARE},
                description="See them with `flywheel dlq list`.",
            )
        ],
    )


@dg.asset_check(
    asset=dg.AssetKey([PLATFORM, "landing"]),
    description="Produced = landed + dead letters + unread + declared gaps, per partition.",
)
def ledger_balances(platform: PlatformParam) -> dg.AssetCheckResult:
    """Prove that nothing was lost and nothing counted twice."""
    with dagster_outcomes():
        proof = prove_ledger(platform)
    return dg.AssetCheckResult(
        passed=proof.balances,
        description=proof.sentence(),
        metadata={
            "ledger": markdown_table([asdict(partition) for partition in proof.ledger.partitions]),
            "topics that the log does not know": [t.sentence() for t in proof.former_topics],
        },
    )


@dg.asset(
    key=[PLATFORM, "maintenance"],
    group_name="platform_ingest",
    owners=_OWNERS,
    kinds={"deltalake"},
    pool="lake-maintenance",
    freshness_policy=DAILY,
    description="Compacts closed days, writes checkpoints, removes files that no reader can need.",
)
def maintenance(platform: PlatformParam) -> dg.MaterializeResult:
    """Keep the tables quick to read and to append to."""
    with dagster_outcomes():
        report = maintain_lake(platform)
    rows = [asdict(table) for table in report.tables]
    removed = sum(table.vacuumed for table in report.tables)
    damaged = f", {len(report.damaged)} damaged and left alone" if report.damaged else ""
    return dg.MaterializeResult(
        metadata={
            "summary": f"{len(rows)} tables kept, {removed} files removed{damaged}",
            "damaged tables (see `flywheel verify`)": report.damaged,
            "tables": markdown_table(rows),
            "erased subjects' rows": report.erased,
            "artifacts published late": report.published,
        }
    )
