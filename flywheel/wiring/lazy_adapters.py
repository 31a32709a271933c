"""`LazyAdapters`: adapters of a platform, handed in or opened when they are first asked for."""

from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar

__all__ = ["LazyAdapters"]

_Adapter = TypeVar("_Adapter")
# What holds connections or files; the others need no closing.
_CLOSED = ("lake", "log", "state", "label_studio")


class LazyAdapters:
    """Adapters by name; safe for several threads.

    Args:
        given: those that are handed in; None for one that is to be opened.
    """

    def __init__(self, **given: Any) -> None:
        self._given = {name: adapter for name, adapter in given.items() if adapter is not None}
        self._opened: dict[str, Any] = {}
        self._lock = RLock()

    def get(self, name: str, opener: Callable[[], _Adapter]) -> _Adapter:
        """Return an adapter, opened once unless it was handed in."""
        adapter: _Adapter
        if name in self._given:
            adapter = self._given[name]
            return adapter
        with self._lock:
            if name not in self._opened:
                self._opened[name] = opener()
            adapter = self._opened[name]
            return adapter

    def close(self) -> None:
        """Close what was opened here; it is opened again when it is asked for again."""
        with self._lock:
            opened, self._opened = self._opened, {}
        for name in _CLOSED:
            if name in opened:
                opened[name].close()
