"""`stop`: the end of a whole set of services; no process and no port is left."""

import shutil
from pathlib import Path

from flywheel.services import postgres
from flywheel.services.supervisor import leftovers
from flywheel.services.supervisor import watchdog as guarding
from flywheel.services.supervisor.plan import load_plan
from flywheel.services.supervisor.program import Layout
from flywheel.services.supervisor.supervision import Supervisor
from flywheel.settings import CONNECTIONS

__all__ = ["stop"]


def stop(folder: Path, *, delete: bool = False) -> int:
    """Stop the services of a folder, and return how many processes had outlived their supervisor.

    Afterwards no process and no port is left.

    Args:
        folder: The set's folder.
        delete: Delete its data as well; that of an ephemeral set is deleted in any case.
    """
    layout = Layout(folder.absolute())
    supervisor = Supervisor(layout)
    if supervisor.alive():
        supervisor.shutdown()
    ended = leftovers.end(layout.folder)
    (layout.folder / CONNECTIONS).unlink(missing_ok=True)
    plan = load_plan(layout.plan)
    if delete or (plan is not None and plan.ephemeral):
        data = postgres.data_folder(layout.folder / "postgres")
        for each in (data.parent, layout.folder, layout.short_folder("ray")):
            shutil.rmtree(each, ignore_errors=True)
    guarding.dismiss(layout.folder)
    return ended
