"""`Prices` and `read_prices`: the file of prices that a person keeps, `deploy/prices.yaml` is one.

Every section may be left out; what depends on it is then named as missing.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.workload.file_errors import explain_errors
from flywheel.workload.sections import Share, Strict
from flywheel.workload.yaml_mapping import read_mapping

__all__ = [
    "PRICES",
    "EngineeringPrice",
    "JudgmentPrice",
    "Prices",
    "ServingPrice",
    "Tier",
    "TrainingPrice",
    "read_prices",
]

# How a figure names the file of prices where one is missing in it.
PRICES = "the file of prices"
_MILLION = 1_000_000
Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Tier(Strict):
    """A model that is paid by the token or by the answer."""

    name: str = Field(min_length=1, description="name of the tier, such as frontier")
    input_per_million: Money | None = Field(
        default=None, description="price of a million tokens of the prompt"
    )
    output_per_million: Money | None = Field(
        default=None, description="price of a million tokens of the answer"
    )
    per_answer: Money | None = Field(
        default=None, description="price of one answer, in place of token prices"
    )
    input_tokens: Positive | None = Field(
        default=None, description="tokens of one prompt on this tier, where none were measured"
    )
    output_tokens: Positive | None = Field(
        default=None, description="tokens of one answer on this tier, where none were measured"
    )
    models: tuple[str, ...] = Field(
        default=(), description="names of its models in logs; * stands for any characters"
    )

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        by_token = (self.input_per_million, self.output_per_million)
        if self.per_answer is not None and by_token != (None, None):
            msg = "give per_answer, or input_per_million and output_per_million, not both"
            raise ValueError(msg)
        if self.per_answer is None and None in by_token:
            msg = "give per_answer, or both input_per_million and output_per_million"
            raise ValueError(msg)
        return self

    def token_cost(self, input_tokens: float, output_tokens: float) -> float:
        """Return the price of tokens; of a tier without ``per_answer``, which has both prices."""
        assert self.input_per_million is not None
        assert self.output_per_million is not None
        priced = input_tokens * self.input_per_million + output_tokens * self.output_per_million
        return priced / _MILLION

    def covers(self, model: str) -> bool:
        """Return whether a model of a log is of this tier."""
        return any(fnmatchcase(model.casefold(), name.casefold()) for name in self.models)


class ServingPrice(Strict):
    """What serving the small model costs: reserved GPUs, or the seconds that answers take."""

    per_answer: Money | None = Field(
        default=None, description="price of one answer, in place of GPU hours"
    )
    gpu_hour: Money | None = Field(default=None, description="price of one GPU for an hour")
    gpus: int = Field(default=1, ge=1, description="GPUs that serve")
    hours_per_month: Positive | None = Field(
        default=None,
        description="hours that each GPU is paid for in a month; left out: the seconds of answers",
    )
    share: Share = Field(
        default=1.0, description="share of the reserved GPUs that this workload pays"
    )
    answers_at_once: Positive = Field(
        default=1.0, description="answers that one GPU computes at the same time"
    )
    seconds_per_answer: Positive | None = Field(
        default=None, description="seconds of one answer, where none were measured"
    )

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        if (self.per_answer is None) == (self.gpu_hour is None):
            msg = "give either per_answer or gpu_hour"
            raise ValueError(msg)
        return self


class TrainingPrice(Strict):
    """What a training costs."""

    gpu_hour: Money = Field(description="price of the machine that trains, for an hour")


class JudgmentPrice(Strict):
    """What a judgment of a person costs."""

    hourly_wage: Money = Field(description="full cost of an hour of an annotator")
    minutes: Positive | None = Field(
        default=None, description="minutes of one judgment; left out: as measured"
    )


class EngineeringPrice(Strict):
    """What the people cost who run the loop."""

    monthly_cost: Money = Field(description="full cost of an engineer in a month")
    share: Share = Field(description="share of the engineer that this workload takes")
    setup: Money = Field(description="paid once, before the first month")


class Prices(Strict):
    """All prices; sections that are left out are missing, not free."""

    currency: str = Field(default="USD", min_length=1, max_length=8, description="of all prices")
    baseline: str | None = Field(
        default=None, description="tier to compare the small model with; default: the first one"
    )
    tiers: tuple[Tier, ...] = ()
    serving: ServingPrice | None = None
    training: TrainingPrice | None = None
    judgments: JudgmentPrice | None = None
    engineering: EngineeringPrice | None = None
    growth_per_month: float = Field(
        default=0.0, gt=-1, le=1, description="growth of the volume from month to month"
    )

    @model_validator(mode="after")
    def _names_are_consistent(self) -> Self:
        names = [tier.name for tier in self.tiers]
        if len(set(names)) != len(names):
            msg = "tiers: two have the same name"
            raise ValueError(msg)
        if self.baseline is not None and self.baseline not in names:
            msg = f"baseline: {self.baseline!r} is not one of {', '.join(names) or 'no tiers'}"
            raise ValueError(msg)
        return self

    def tier(self, name: str | None) -> Tier | None:
        """Return the tier of a name; without a name that of ``baseline``, or the first one.

        Raises:
            NotFoundError: there is no tier of that name.
        """
        name = name or self.baseline
        if name is None:
            return self.tiers[0] if self.tiers else None
        for tier in self.tiers:
            if tier.name == name:
                return tier
        names = ", ".join(tier.name for tier in self.tiers)
        raise NotFoundError(
            f"There is no tier {name!r} in the prices.",
            next_step=f"choose one of: {names or 'none yet; add it under tiers'}",
        )

    def tier_of(self, model: str) -> Tier | None:
        """Return the tier that a model of a log belongs to; None where no price covers it."""
        return next((tier for tier in self.tiers if tier.covers(model)), None)


def read_prices(path: Path) -> Prices:
    """Read and check a file of prices.

    Raises:
        NotFoundError: there is no such file.
        ConfigurationError: it cannot be read, or a key or value is wrong.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file of prices {path}.",
            next_step="copy deploy/prices.yaml and write your prices into it",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}", next_step="see to it that it is a readable file"
        ) from error
    raw = read_mapping(
        content, str(path), next_step="copy deploy/prices.yaml and write your prices into it"
    )
    try:
        return Prices.model_validate(raw)
    except (ValidationError, TypeError) as error:
        lines = explain_errors(error, Prices) if isinstance(error, ValidationError) else str(error)
        raise ConfigurationError(
            f"{path} is not a valid file of prices:\n{lines}",
            next_step="correct the keys named above; deploy/prices.yaml shows all of them",
        ) from error
