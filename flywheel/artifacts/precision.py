"""`ServedPrecision`: in how many bits the weights of a base model answer, and how it is named."""

from pathlib import Path
from typing import Literal

from flywheel.artifacts.base_folder import own_precision
from flywheel.settings.adapters import ChosenPrecision

__all__ = ["PRECISIONS", "ChosenPrecision", "ServedPrecision", "served_precision"]

# 32 and 16 bits, 8 bits (LLM.int8) and 4 bits (NF4, its scales quantized again).
ServedPrecision = Literal["float32", "bfloat16", "int8", "nf4"]
PRECISIONS: tuple[ServedPrecision, ...] = ("float32", "bfloat16", "int8", "nf4")


def served_precision(chosen: ChosenPrecision, base: Path) -> ServedPrecision:
    """Return the precision that a base in a folder is served at; ``own`` is that of its size."""
    return own_precision(base) if chosen == "own" else chosen
