"""`flywheel ask`: what the champion, or any other release, answers to a text."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from typing import Annotated, TypeVar

import typer

from flywheel.cli.arguments import WorkloadArgument
from flywheel.cli.console import Console, echo
from flywheel.cli.progress import ProgressLines
from flywheel.errors import ConfigurationError
from flywheel.usecases.asking import Reply, open_answerer
from flywheel.wiring import open_platform

__all__ = ["app"]

_Result = TypeVar("_Result")
app = typer.Typer()
_LINES = 64  # answered at a time: enough for a full batch, few enough to show progress


@app.command()
def ask(
    workload: WorkloadArgument,
    texts: Annotated[
        list[str], typer.Argument(help="texts; - reads one from each line of stdin", metavar="TEXT")
    ],
    release: Annotated[
        str | None, typer.Option("--release", help="who answers; default: the champion")
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="one JSON object per text, as it is answered")
    ] = False,
) -> None:
    """Ask the champion, and print answer, confidence, runner-up and time.

    Nothing is recorded, so that it may be tried at will. Exit code 1: a text has no answer.
    """
    platform = open_platform(existing=True)
    name, answer = _shown(
        f"loading the model of {workload}",
        lambda: open_answerer(platform, platform.workload(workload), release),
    )
    if not json_output:
        typer.echo(f"release: {name}")
    failed = False
    number = 0
    inputs = _inputs(texts)
    while batch := list(islice(inputs, _LINES)):
        for reply in _shown("answering", partial(answer, batch)):
            number += 1
            failed = failed or reply.error is not None
            echo(_as_json(reply, name) if json_output else _as_line(reply, number))
    if number == 0:
        raise ConfigurationError(
            "There is nothing to ask: stdin has no text.", next_step="give one text per line"
        )
    if failed:
        raise typer.Exit(1)


def _shown(what: str, work: Callable[[], _Result]) -> _Result:
    # On stderr, since answers may go into a file.
    with ProgressLines(Console(soft_wrap=True, stderr=True)) as lines:
        lines.show(what)
        return work()


def _inputs(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        if text == "-":
            lines = (line.rstrip("\r\n") for line in sys.stdin)
            yield from (line for line in lines if line.strip())
        else:
            yield text


def _as_json(reply: Reply, release: str) -> str:
    return json.dumps({"release": release} | asdict(reply), ensure_ascii=True)


def _as_line(reply: Reply, number: int) -> str:
    if reply.error is not None:
        return f"{number}: no answer: {reply.error}"
    output = reply.output if isinstance(reply.output, str) else json.dumps(reply.output)
    parts = [f"{number}: {output}", f"confidence {reply.confidence:.3f}"]
    if reply.runner_up is not None:
        chance = reply.runner_up_confidence
        parts.append(f"runner-up {reply.runner_up}" + ("" if chance is None else f" {chance:.3f}"))
    elif reply.margin is not None:
        parts.append(f"margin {reply.margin:.3f}")
    if reply.fields:
        least = min(reply.fields, key=lambda name: (reply.fields or {})[name])
        parts.append(f"least sure of {least} {reply.fields[least]:.3f}")
    return "  ".join([*parts, f"{1000 * (reply.seconds or 0):.0f} ms"])
