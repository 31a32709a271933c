"""`python -m bench.training_ideas`: arms with and without each idea, trained on the same rows.

Every finished training is a file in --out: an interrupted run resumes, and --report shows
the results so far. Times are CPU seconds of this process, in which one thread computes.
"""

import argparse
import json
import re
import sys
import tempfile
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.decisions.labeled_files import LABELED_FILES
from bench.training_ideas.arms import ARMS, IDEAS
from bench.training_ideas.crossed import crossed_difference
from flywheel.io.atomic import write_json

_NAME = "{data}-{base}-{rows}"


def main(arguments: list[str]) -> None:
    """Train the arms that have no result yet, and show all results."""
    parser = argparse.ArgumentParser(prog="python -m bench.training_ideas", description=__doc__)
    parser.add_argument("--data", choices=[one.name for one in LABELED_FILES], default="banking77")
    parser.add_argument("--base", choices=["tiny", "smollm2"], default="tiny")
    parser.add_argument("--rows", type=int, default=500, help="labels to train on")
    parser.add_argument("--seeds", default="0,1,2", help="each draws rows and trains on them")
    parser.add_argument("--idea", choices=list(IDEAS), default="all")
    parser.add_argument("--tested", type=int, help="test rows; left out: all of them")
    parser.add_argument("--out", type=Path, default=Path(".flywheel/training_ideas"))
    parser.add_argument("--report", action="store_true", help="train nothing")
    options = parser.parse_args(arguments)
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    folder = options.out / _NAME.format(**vars(options))
    arms = IDEAS[options.idea]
    if not options.report:
        _train(options, folder, arms)
    _show(folder, arms, options.seeds)


def _train(options: argparse.Namespace, folder: Path, arms: tuple[str, ...]) -> None:
    missing = [
        (seed, name)
        for seed in options.seeds
        for name in arms
        if not _path(folder, name, seed).is_file()
    ]
    if not missing:
        return
    import torch
    from transformers.utils import logging

    from bench.training_ideas.study import Study

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as work:
        study = Study(
            options.data,
            options.base,
            rows=options.rows,
            tested=options.tested,
            cache=options.out / "bases",
            folder=Path(work),
        )
        for seed, name in missing:
            outcomes = study.run(ARMS[name], seed)
            written = {way: asdict(outcome) for way, outcome in outcomes.items()}
            write_json(_path(folder, name, seed), written)
            last = outcomes[""]
            share = np.mean(last.right)
            console.print(f"seed {seed}, {name}: {share:.4f}, {last.cpu_seconds:.0f} s of CPU")


def _path(folder: Path, arm: str, seed: int) -> Path:
    return folder / f"{re.sub('[^A-Za-z0-9]+', '_', arm)}-{seed}.json"


def _show(folder: Path, arms: tuple[str, ...], seeds: list[int]) -> None:
    results: dict[str, _Results] = {}
    for name in arms:
        for seed in seeds:
            path = _path(folder, name, seed)
            if not path.is_file():
                continue
            for way, outcome in json.loads(path.read_bytes()).items():
                title = f"{name}; {way}" if way else name
                one = results.setdefault(title, _Results(ARMS[name].reference))
                one.right[seed] = outcome["right"]
                one.seconds.append(outcome["cpu_seconds"])
    if "plain" not in results:
        raise SystemExit(f"{folder} has no training of the plain recipe yet.")
    cases = len(next(iter(results["plain"].right.values())))
    table = Table(title=f"{folder.name}: {cases:,} test rows; points, ± one standard error")
    for column in ("arm", "seeds", "accuracy", "to plain", "to plain at twice the steps", "CPU s"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for title, one in results.items():
        reference = one.reference if one.reference != "plain" else ""
        table.add_row(
            title,
            str(len(one.right)),
            f"{np.mean(list(one.right.values())):.4f}",
            _shown(one, results.get("plain")) if title != "plain" else "",
            _shown(one, results.get(reference)),
            f"{np.mean(one.seconds):.0f}",
        )
    Console(width=140).print(table)


@dataclass
class _Results:
    reference: str
    right: dict[int, list[bool]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def _shown(one: _Results, other: _Results | None) -> str:
    seeds = sorted(one.right.keys() & other.right.keys()) if other else []
    if other is None or not seeds:
        return ""
    apart = crossed_difference(*(np.array([arm.right[s] for s in seeds]) for arm in (one, other)))
    mark = {1: " above", 0: "", -1: " below"}[apart.beyond_noise]
    return f"{100 * apart.mean:+.2f} ± {100 * apart.error:.2f}{mark}"


if __name__ == "__main__":
    main(sys.argv[1:])
