"""One measured ratio and what it is compared with."""

from dataclasses import dataclass

__all__ = ["Ratio"]


@dataclass(frozen=True)
class Ratio:
    """A median and the median of its anchor, taken in turn in the same run."""

    name: str
    measured: float
    anchor: float
    unit: str
    aim: str
    good: bool

    @property
    def value(self) -> float:
        """The measured figure over its anchor."""
        return self.measured / self.anchor
