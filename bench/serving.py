"""vLLM under swaps: loads, the first answer of a new release, throughput, and what clients notice.

`python -m bench serving` takes 20 swaps on the tiny base; `python -m bench.serving --base smollm2
--swaps 1000` as many as one likes.
"""

import argparse
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from bench.ratio import Ratio
from bench.serving_plane import AskedClient, Plane, serving_plane
from flywheel.serve.local_server import LocalModelServer
from flywheel.usecases.answering import ChampionClient

__all__ = ["measure"]

_LOADS = 6
_ADAPTERS = 4
_THREADS = 4
_CLIENTS = 4
_BATCH = 64
_SECONDS = 6.0
_DRAIN_SECONDS = 0.25
_names = itertools.count()


def measure(base: str = "tiny", swaps: int = 20) -> list[Ratio]:
    """Take every figure on one vLLM, each beside its anchor."""
    with serving_plane(base) as plane:
        plane.server.answer("base", plane.codec, plane.texts[:_BATCH])  # the first is slow
        return [*_loads(plane), *_throughput(plane), *_swaps(plane, swaps)]


def _loads(plane: Plane) -> list[Ratio]:
    folders = [plane.adapter(seed) for seed in range(_LOADS)]
    loads = [_timed(partial(plane.server.load, _name(), folder)) for folder in folders]
    release = plane.server.releases()[1]
    answers = [
        _timed(partial(plane.server.answer, release, plane.codec, [text]))
        for text in plane.texts[: 2 * _LOADS]
    ]
    for name in plane.server.releases()[1:]:
        plane.server.unload(name)
    load, answer = statistics.median(loads), statistics.median(answers)
    return [Ratio("cold load of an adapter, warmed / one answer", load, answer, "s", "-", True)]


def _throughput(plane: Plane) -> list[Ratio]:
    releases = [_name() for _ in range(_ADAPTERS)]
    for seed, name in enumerate(releases):
        plane.server.load(name, plane.adapter(seed))
    rates: dict[str, list[float]] = {"base": [], "one": [], "four": []}
    for _ in range(3):
        rates["base"].append(_rate(plane, ["base"] * _THREADS))
        rates["one"].append(_rate(plane, releases[:1] * _THREADS))
        rates["four"].append(_rate(plane, releases))
    for name in releases:
        plane.server.unload(name)
    base, one, four = (statistics.median(rates[name]) for name in ("base", "one", "four"))
    local = _local_rate(plane)
    return [
        Ratio("answers, one adapter / base", one, base, "/s", "-", True),
        Ratio("answers, four adapters / one", four, one, "/s", "at least 0.8", four >= 0.8 * one),
        Ratio("answers, vLLM's base / local server's", base, local, "/s", "-", True),
    ]


def _rate(plane: Plane, releases: Sequence[str]) -> float:
    # Answers a second of several threads that send batches, each to a release of its own.
    over = threading.Event()
    counts = [0] * len(releases)

    def run(number: int) -> None:
        texts = itertools.cycle(_batches(plane.texts[number:]))
        while not over.is_set():
            counts[number] += len(plane.server.answer(releases[number], plane.codec, next(texts)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(releases))]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(_SECONDS)
    over.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def _local_rate(plane: Plane) -> float:
    local = LocalModelServer(plane.base.folder)
    local.answer("base", plane.codec, plane.texts[:_BATCH])
    taken = _timed(lambda: local.answer("base", plane.codec, plane.texts[: 4 * _BATCH]))
    return 4 * _BATCH / taken


def _swaps(plane: Plane, count: int) -> list[Ratio]:
    folders = [plane.adapter(seed) for seed in range(2)]
    clients = [
        AskedClient(ChampionClient(plane.state, plane.server, plane.codec), plane.texts[number:])
        for number in range(_CLIENTS)
    ]
    for client in clients:
        client.start()
    firsts, whole = [], []
    try:
        for number in range(count):
            name, folder = _name(), folders[number % 2]
            plane.record(name, folder)
            started = time.perf_counter()
            plane.swap(name, folder)
            while not any(client.releases[-1:] == [name] for client in clients):
                time.sleep(0.001)
            firsts.append(time.perf_counter() - started)
            plane.unload_retired(_DRAIN_SECONDS)
            whole.append(time.perf_counter() - started)
    finally:
        for client in clients:
            client.stop()
    return _told(clients, firsts, whole)


def _told(
    clients: Sequence[AskedClient], firsts: Sequence[float], whole: Sequence[float]
) -> list[Ratio]:
    failed = [error for client in clients for error in client.failed]
    asked = sum(len(client.releases) for client in clients) + len(failed)
    again = sum(client.again for client in clients)
    back = sum(_steps_back(client.releases) for client in clients)
    swaps = f"{len(firsts)} swaps under traffic"
    slow = sorted(firsts)[int(0.95 * (len(firsts) - 1))]
    return [
        Ratio(
            f"{swaps}: start to first answer, p95 / median",
            slow, statistics.median(firsts), "s", "-", True,
        ),
        Ratio(
            f"{swaps}: whole swap, old one unloaded / to first answer",
            statistics.median(whole), statistics.median(firsts), "s", "-", True,
        ),
        Ratio(f"{swaps}: failed / requests", len(failed), asked, "", "0", not failed),
        Ratio(f"{swaps}: asked again / requests", again, asked, "", "0", again == 0),
        Ratio(f"{swaps}: an older release after a newer / requests", back, asked, "", "0", back == 0),
    ]  # fmt: skip


def _steps_back(releases: Sequence[str]) -> int:
    numbers = [int(name.rpartition(".")[2]) for name in releases if name != "base"]
    return sum(later < earlier for earlier, later in itertools.pairwise(numbers))


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[i : i + _BATCH] for i in range(0, len(texts) - _BATCH, _BATCH)]


def _name() -> str:
    return f"bench.{next(_names)}"


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    """Measure on the base and with as many swaps as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="tiny", choices=["tiny", "smollm2"])
    parser.add_argument("--swaps", type=int, default=20)
    chosen = parser.parse_args()
    table = Table(title=f"vLLM on {chosen.base}")
    for column in ("what", "measured", "anchor", "ratio", "aim", ""):
        table.add_column(column)
    for ratio in measure(chosen.base, chosen.swaps):
        table.add_row(
            ratio.name, f"{ratio.measured:.4g} {ratio.unit}", f"{ratio.anchor:.4g} {ratio.unit}",
            f"{ratio.value:.3g}", ratio.aim, "met" if ratio.good else "short",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
