"""`Figure`: a number with its unit and what it rests on; `compute` makes one from others.

A figure that lacks something has no value and names what is missing: nothing is assumed in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["A_MONTH", "Figure", "Source", "compute", "measured", "missing", "stated"]

# The unit of what is paid or saved in a month.
A_MONTH = "a month"
Source = Literal["measured", "stated", "computed", "missing"]


@dataclass(frozen=True)
class Figure:
    """One number; ``basis`` says in words where it comes from.

    ``missing`` names the measurements and prices that it lacks; its value is None then.
    """

    name: str
    value: float | None
    unit: str
    source: Source
    basis: str
    missing: tuple[str, ...] = ()

    def renamed(self, name: str) -> "Figure":
        """Return the same number under another name."""
        return replace(self, name=name)


def measured(name: str, value: float, unit: str, basis: str) -> Figure:
    """Return a number that was measured on this deployment or log."""
    return Figure(name, float(value), unit, "measured", basis)


def stated(name: str, value: float, unit: str, basis: str) -> Figure:
    """Return a number that a person wrote into a file."""
    return Figure(name, float(value), unit, "stated", basis)


def missing(name: str, unit: str, lacks: str) -> Figure:
    """Return a figure without a value; ``lacks`` names the measurement or price, and its place."""
    return Figure(name, None, unit, "missing", f"missing: {lacks}", (lacks,))


def compute(
    name: str, unit: str, basis: str, function: Callable[..., float], *inputs: Figure
) -> Figure:
    """Compute a figure from others; where one of them has no value, it has none.

    Args:
        name: what it is.
        unit: of the result.
        basis: the formula in words.
        function: gets the values of ``inputs`` in their order.
        inputs: what it is computed from.
    """
    lacks = tuple(dict.fromkeys(lack for figure in inputs for lack in figure.missing))
    if lacks:
        return Figure(name, None, unit, "missing", f"missing: {'; '.join(lacks)}", lacks)
    value = float(function(*(figure.value for figure in inputs)))
    return Figure(name, value, unit, "computed", basis)
