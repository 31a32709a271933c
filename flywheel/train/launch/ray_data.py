"""`map_on_workers`: work on many items by Ray Data, on workers that keep what they loaded.

Items and what is returned of them are names: the data itself goes through the exchange. A worker
that dies costs the item it was at; Ray Data gives that to another one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["map_on_workers"]


def map_on_workers(
    names: Sequence[str],
    worker: type,
    arguments: Sequence[Any],
    *,
    workers: int,
    gpus: float,
    resource: str | None,
) -> Iterator[str]:
    """Yield the name of each item once a worker has done it, in any order.

    Call it inside a Ray job. An error of the worker's ends it.

    Args:
        names: the items.
        worker: class that is made once on each worker and called with ``{"name": name}``.
        arguments: of its constructor.
        workers: most workers at once; one is enough to begin.
        gpus: GPUs of each.
        resource: of which each takes one.
    """
    import ray
    import ray.data

    ray.init(log_to_driver=True)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_no_progress_timeout_s = -1  # an item may take an hour
    items = ray.data.from_items([{"name": name} for name in names], override_num_blocks=len(names))
    done = items.map(
        worker,
        fn_constructor_args=tuple(arguments),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=max(1, min(workers, len(names)))),
        num_gpus=gpus or None,
        resources={resource: 1} if resource else None,
    )
    for row in done.iter_rows():
        yield str(row["name"])
