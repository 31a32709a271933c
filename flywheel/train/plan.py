"""What a training does on the machine it finds: one decision from hardware, model and recipe.

Nothing here asks a machine or a model anything; who does is ``hardware``. What is decided, and
why, is kept with the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from flywheel.artifacts.base_folder import Precision
from flywheel.io.records import JsonObject
from flywheel.workload.model import TrainingRecipe

__all__ = [
    "Hardware",
    "ModelSize",
    "TrainPlan",
    "make_plan",
    "optimizer_steps",
    "smaller",
    "without_packing",
]

Attention = Literal["eager", "sdpa", "flash_attention_2"]
Quantization = Literal["none", "nf4", "nf4-double"]

_USABLE = 0.8  # share of the memory that a plan counts on; the rest is fragments and other users
_SPARE = 0.05  # share of the memory that may go into a little speed
_NF4_BYTES = 0.53  # a parameter at four bits, with its share of the blocks' own scales
_ACTIVATION_BYTES = 17  # kept for each number of a hidden state and its width (Korthikanti 2022)
_WIDTH: dict[Precision, int] = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Hardware:
    """The device to train on. ``memory_bytes`` is the GPU's own, or the machine's without one."""

    device: Literal["cpu", "cuda"]
    memory_bytes: int
    bfloat16: bool = True
    flash_attention: bool = False
    name: str = ""


@dataclass(frozen=True)
class ModelSize:
    """A base model, as far as memory goes; ``precision`` is the one it is served at.

    ``caps_attention``: it bounds its attention's scores smoothly, which not every kernel does.
    """

    parameters: int
    hidden: int
    layers: int
    vocabulary: int
    precision: Precision
    caps_attention: bool = False


@dataclass(frozen=True)
class TrainPlan:
    """What is done; ``reasons`` says why, by the name of the field.

    ``micro_batch`` is the rows of all workers together; ``dequantized`` keeps the base's quantized
    weights dequantized beside them.
    """

    device: Literal["cpu", "cuda"]
    dtype: Precision
    quantization: Quantization
    attention: Attention
    packing: bool
    checkpointing: bool
    micro_batch: int
    accumulation: int
    workers: int = 1
    dequantized: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        """Rows of one optimizer step, however many of them go through the model at once."""
        return self.micro_batch * self.accumulation

    def to_facts(self) -> JsonObject:
        """Return the plan as a result holds it."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.workers == 1:
            del fields["workers"]
        return fields | {"reasons": dict(self.reasons), "batch": self.batch}


def optimizer_steps(rows: int, *, batch: int, epochs: int) -> int:
    """Return the optimizer steps of a training; the last batch of an epoch may be smaller."""
    return -(-rows // batch) * epochs


def make_plan(
    hardware: Hardware, model: ModelSize, recipe: TrainingRecipe, *, longest_row: int
) -> TrainPlan:
    """Decide device, precision, quantization, packing, checkpointing and the first micro-batch."""
    reasons: dict[str, str] = {"device": hardware.name or hardware.device}
    if hardware.device == "cpu":  # its workers share the memory
        hardware = replace(hardware, memory_bytes=hardware.memory_bytes // recipe.workers)
    dtype = _dtype(hardware, model, reasons)
    quantization = _quantization(hardware, model, recipe, reasons)
    tokens = longest_row * -(-recipe.batch_size // recipe.workers)
    memory = _Memory.of(model, dtype, nf4=quantization != "none", tokens=tokens)
    attention: Attention = "sdpa"
    if hardware.device == "cuda" and hardware.flash_attention and dtype == "bfloat16":
        attention = "flash_attention_2"
    elif model.caps_attention:
        attention = "eager"
        reasons["attention"] = "the base caps its attention's scores, which the kernel does not"
    return TrainPlan(
        device=hardware.device,
        dtype=dtype,
        quantization=quantization,
        attention=attention,
        packing=_packing(attention, recipe, reasons),
        checkpointing=_checkpointing(hardware, memory, recipe, reasons),
        micro_batch=recipe.batch_size,
        accumulation=1,
        workers=recipe.workers,
        dequantized=quantization != "none" and _dequantized(hardware, memory, reasons),
        reasons=reasons,
    )


def smaller(plan: TrainPlan) -> TrainPlan | None:
    """Return the next plan that needs less memory and takes the same steps, or None.

    The micro-batch is halved at the same batch; a batch that cannot be halved evenly continues with
    its next smaller divisor. A micro-batch of one row computes activations again as well. Weights
    are not kept dequantized any more.
    """
    kept = plan.dequantized
    plan = replace(plan, dequantized=False)
    least = plan.workers  # a row for each
    fitting = [n for n in range(least, plan.micro_batch // 2 + 1) if plan.batch % n == 0]
    if fitting:
        micro = fitting[-1]
        reasons = {**plan.reasons, "micro_batch": "memory was short"}
        return replace(plan, micro_batch=micro, accumulation=plan.batch // micro, reasons=reasons)
    if not plan.checkpointing:
        reasons = {**plan.reasons, "checkpointing": "memory was short at a micro-batch of one row"}
        return replace(plan, checkpointing=True, reasons=reasons)
    return plan if kept else None


def without_packing(plan: TrainPlan, reason: str) -> TrainPlan:
    """Return the plan with every row in a line of its own."""
    return replace(plan, packing=False, reasons={**plan.reasons, "packing": reason})


def _dtype(hardware: Hardware, model: ModelSize, reasons: dict[str, str]) -> Precision:
    if model.precision == "float32":
        reasons["dtype"] = "a base this small gains nothing from bfloat16"
        return "float32"
    if not hardware.bfloat16:
        reasons["dtype"] = "the device does not compute in bfloat16"
        return "float32"
    reasons["dtype"] = "the precision that the base is served at"
    return "bfloat16"


def _quantization(
    hardware: Hardware, model: ModelSize, recipe: TrainingRecipe, reasons: dict[str, str]
) -> Quantization:
    if recipe.quantization == "none":
        reasons["quantization"] = "the recipe says so"
        return "none"
    if model.precision == "float32":
        reasons["quantization"] = "the scales of a base this small are not worth quantizing again"
        return "nf4"
    if hardware.device == "cpu":
        reasons["quantization"] = "main memory is plentiful: the scales are not quantized again"
        return "nf4"
    reasons["quantization"] = "a quarter of the memory, the scales quantized again"
    return "nf4-double"


def _packing(attention: str, recipe: TrainingRecipe, reasons: dict[str, str]) -> bool:
    if recipe.packing == "off":
        reasons["packing"] = "the recipe says so"
        return False
    if attention != "flash_attention_2":
        # Other kernels keep rows apart by a mask as large as the line's length squared.
        reasons["packing"] = "only FlashAttention keeps packed rows apart at no cost"
        return False
    reasons["packing"] = "FlashAttention keeps the rows of a line apart"
    return True


@dataclass(frozen=True)
class _Memory:
    # Bytes of a training, and of the quantized weights once more, dequantized.
    needed: float
    dequantized: float

    @classmethod
    def of(cls, model: ModelSize, dtype: Precision, *, nf4: bool, tokens: int) -> "_Memory":
        width = _WIDTH[dtype]
        outside = min(2 * model.vocabulary * model.hidden, model.parameters)  # never quantized
        quantized = model.parameters - outside
        inside = quantized * (_NF4_BYTES if nf4 else width)
        activations = tokens * model.layers * model.hidden * _ACTIVATION_BYTES * width
        return cls(inside + outside * width + activations, float(quantized * width))


def _checkpointing(
    hardware: Hardware, memory: _Memory, recipe: TrainingRecipe, reasons: dict[str, str]
) -> bool:
    if recipe.checkpointing != "auto":
        reasons["checkpointing"] = "the recipe says so"
        return recipe.checkpointing == "on"
    needed, usable = memory.needed, _USABLE * hardware.memory_bytes
    verb = "is more than" if needed > usable else "fits into"
    reasons["checkpointing"] = f"about {needed / 1e9:.2g} GB {verb} {usable / 1e9:.2g} GB"
    return needed > usable


def _dequantized(hardware: Hardware, memory: _Memory, reasons: dict[str, str]) -> bool:
    # A GPU dequantizes within its kernels, and is short of memory.
    if hardware.device != "cpu":
        return False
    # Others use the machine's memory too, and the kernel ends whoever takes too much without a word.
    needed, usable = memory.needed + memory.dequantized, _USABLE * hardware.memory_bytes
    more = f"{memory.dequantized / 1e9:.2g} GB more"
    if needed > usable or memory.dequantized > _SPARE * hardware.memory_bytes:
        reasons["dequantized"] = f"{more} are too many: every layer dequantizes in every pass"
        return False
    reasons["dequantized"] = f"{more} than in four bits save a CPU to dequantize in every pass"
    return True
