"""`verify_audit`, `note_head` and `publish_head`: the whole audit against all that was noted of it."""

import shlex
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.artifacts.actors import SYSTEM
from flywheel.errors import ConfigurationError, StorageError
from flywheel.usecases.audit import AuditHead, audit_head
from flywheel.usecases.verification import finding, is_bad
from flywheel.usecases.verify_decisions import audit_checks, decision_checks

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["AuditVerification", "newest_row", "note_head", "publish_head", "verify_audit"]

_SECONDS = 60


@dataclass(frozen=True)
class AuditVerification:
    """A finding for each thing that the audit was compared with; ``head`` is None where it is broken."""

    head: AuditHead | None
    findings: Mapping[str, str]

    @property
    def good(self) -> bool:
        """Return whether everything is as the audit says."""
        return not any(map(is_bad, self.findings.values()))


def verify_audit(platform: "Platform") -> AuditVerification:
    """Compare the chain with itself, the file of its hashes, MLflow's tags, and the state's rows."""
    checks = audit_checks(platform) | decision_checks(platform, audit_only=True)
    findings = {name: finding(check) for name, check in checks.items()}
    broken = is_bad(findings["audit"])
    return AuditVerification(None if broken else audit_head(platform), findings)


def newest_row(platform: "Platform") -> int:
    """Return the number of the audit's newest row; 0: it has none."""
    return platform.state.audit.newest()


def note_head(platform: "Platform", places: Collection[str]) -> tuple[str, ...]:
    """Note the newest row outside the state's database and return where.

    That is a tag of each workload's model in MLflow, and the command of ``audit_command`` where it
    is set. The file of hashes holds every row already.

    Args:
        platform: the deployment.
        places: workloads whose models are tagged; one without a registered release is left out.

    Raises:
        IntegrityError: the audit is broken; nothing is noted.
        StorageError: the command failed.
        UnavailableError: MLflow is away.
    """
    from flywheel.release.promotion import HEAD_TAG

    head = audit_head(platform)
    noted = []
    for workload_id in places:
        if any(release.model_version for release in platform.state.releases.of(workload_id)):
            platform.registry.tag_model(workload_id, HEAD_TAG, f"{head.seq}:{head.hash}")
            noted.append(f"MLflow's model {workload_id}")
    if platform.settings.audit_command:
        publish_head(platform)
        noted.append("the command of FLYWHEEL_AUDIT_COMMAND")
    return tuple(noted)


def publish_head(platform: "Platform") -> AuditHead:
    """Give the newest row to the command of ``audit_command``, as a last argument NUMBER:HASH.

    Raises:
        ConfigurationError: no command is set, or it cannot be started.
        IntegrityError: the audit is broken; nothing is published.
        StorageError: the command failed.
    """
    setting = platform.settings.audit_command
    if not setting:
        raise ConfigurationError(
            "There is no command that publishes the head of the audit.",
            next_step="set FLYWHEEL_AUDIT_COMMAND, such as `/usr/local/bin/note-head`",
        )
    head = audit_head(platform)
    command = [*shlex.split(setting), f"{head.seq}:{head.hash}"]
    try:
        done = subprocess.run(  # noqa: S603 - the owner's own command
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(
            f"The command {command[0]!r} did not run: {error}",
            next_step="correct FLYWHEEL_AUDIT_COMMAND",
        ) from error
    if done.returncode:
        output = " ".join((done.stderr or done.stdout).split())[:200]
        raise StorageError(
            f"The head of the audit was not published: {command[0]!r} ended with "
            f"{done.returncode}: {output}",
            next_step="correct what it says, then run `flywheel audit verify --publish` again",
        )
    platform.state.audit.append(
        "audit.published", "audit", SYSTEM, {"head": f"{head.seq}:{head.hash}"}
    )
    return head
