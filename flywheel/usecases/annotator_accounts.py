"""`add_account`, `list_accounts` and `provision_projects`: Label Studio's people and projects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.errors import IntegrityError

if TYPE_CHECKING:
    from flywheel.review.label_studio.annotators import Annotator, NewAnnotator
    from flywheel.review.label_studio.provisioning import Provisioned
    from flywheel.wiring import Platform

__all__ = ["ProjectResult", "add_account", "list_accounts", "login_page", "provision_projects"]


@dataclass(frozen=True)
class ProjectResult:
    """A workload's project: what was done, or the error of one that was changed by hand."""

    workload_id: str
    done: "Provisioned | None"
    error: IntegrityError | None = None


def add_account(platform: "Platform", email: str) -> "NewAnnotator | None":
    """Make an account in Label Studio; None where there is one with this address.

    Raises:
        RefusedError: Label Studio does not take the address.
    """
    from flywheel.review.label_studio.annotators import add_annotator

    return add_annotator(platform.label_studio, email)


def list_accounts(platform: "Platform") -> "list[Annotator]":
    """Return everybody with an account in Label Studio but the one that asks."""
    from flywheel.review.label_studio.annotators import list_annotators

    return list_annotators(platform.label_studio)


def login_page(platform: "Platform") -> str:
    """Return where a person signs in."""
    return f"{platform.label_studio.url}/user/login/"


def provision_projects(
    platform: "Platform", workload_ids: Sequence[str] = (), *, overwrite: bool = False
) -> Iterator[ProjectResult]:
    """Make or update each workload's project, and yield what was done; what is right is left alone.

    Args:
        platform: its settings name Label Studio.
        workload_ids: some workloads; default: all.
        overwrite: replace a labeling configuration that was changed by hand.

    Raises:
        NotFoundError: there is no such workload; nothing was done then.
    """
    from flywheel.review.label_studio.provisioning import provision

    chosen = workload_ids or list(platform.workloads)
    for workload in [platform.workload(name) for name in chosen]:
        try:
            done = provision(
                platform.label_studio, workload, platform.webhook_target, overwrite=overwrite
            )
        except IntegrityError as error:
            yield ProjectResult(workload.id, None, error)
        else:
            yield ProjectResult(workload.id, done)
