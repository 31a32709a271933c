"""``mlflow server`` in one process: run as ``python -m flywheel.services.mlflow_server server ...``.

MLflow's command loads MLflow, prepares the database, and then starts uvicorn in a second process
that loads MLflow again and prepares the database again, while the first one waits for its end: half
of the five to nine CPU-seconds of a start, and a quarter of a gigabyte for as long as it runs.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.io.garbage import collect_seldom

__all__ = ["main"]


def main() -> None:
    """Run MLflow's command line."""
    collect_seldom()
    # MLflow protects its pages only where it finds uvicorn loaded before it.
    import uvicorn  # noqa: F401
    from mlflow import server
    from mlflow.cli import cli

    replaced: Any = server
    replaced._exec_cmd = _serve  # noqa: SLF001 - docs/decisions/private-names.md
    sys.argv[0] = "mlflow"
    cli()


def _serve(command: Sequence[str], *, extra_env: Mapping[str, str], **_: Any) -> None:
    # In the place of a process with this command and these variables; it ends this one.
    from uvicorn.main import main as serve

    os.environ.update(extra_env)
    serve(list(command[command.index("uvicorn") + 1 :]), prog_name="uvicorn")


if __name__ == "__main__":
    main()
