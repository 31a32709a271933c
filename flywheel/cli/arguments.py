"""`WorkloadArgument`, `CycleArgument` and `ReasonOption`: what many commands take."""

from typing import Annotated

import typer

__all__ = ["CycleArgument", "ReasonOption", "WorkloadArgument"]

WorkloadArgument = Annotated[str, typer.Argument(help="id of the workload", metavar="WORKLOAD")]
CycleArgument = Annotated[str, typer.Argument(help="name of the cycle", metavar="CYCLE")]
ReasonOption = Annotated[str, typer.Option("--reason", help="why, in a sentence")]
