"""`Tier` and `EscalationRules`: who answers a workload's requests, cheapest first, and when the next is asked.

The first tier is the champion, as the route table names it. The others are a base model without an
adapter on the workload's model server, or any endpoint that speaks OpenAI's protocol.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from flywheel.workload.sections import Strict

__all__ = ["EscalationRules", "Tier", "Tiers", "token_cost"]

_MILLION = 1_000_000
_MOST_TIERS = 8
# A header of the caller that names them, or that belongs to the connection, goes to no tier.
_WITHHELD = frozenset(
    {
        "authorization", "connection", "content-length", "content-type", "cookie", "host",
        "proxy-authorization", "transfer-encoding", "x-api-key", "api-key",
    }
)  # fmt: skip
# What the gateway sets itself in a request to an endpoint.
_FIXED = frozenset({"messages", "model", "n", "response_format", "stream"})
_ONE_SOURCE = "name either base_model, or url and model"

HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$", max_length=64, to_lower=True)
]


class Tier(Strict):
    """Who can answer: the champion (neither ``base_model`` nor ``url``), a base or an endpoint."""

    # No hyphen: every release has one, so that no tier is taken for a release.
    name: Annotated[
        str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=32)
    ] = Field(description="names the tier in events (as their release), metrics and usage")
    base_model: str | None = Field(
        default=None,
        min_length=1,
        description="a base without an adapter on the workload's model server; built by `flywheel base build`",
    )
    url: str | None = Field(
        default=None, description="an OpenAI-compatible endpoint, with its /v1; not redirected"
    )
    model: str | None = Field(
        default=None, min_length=1, description="the model that the endpoint is asked for"
    )
    key_variable: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
        | None
    ) = Field(
        default=None,
        description="environment variable of the gateway that holds the endpoint's key",
    )
    headers: tuple[HeaderName, ...] = Field(
        default=(), description="headers of a caller that are passed on to the endpoint; no others"
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="fields of the endpoint's request body beside those of the gateway; null leaves one out",
    )
    timeout_seconds: float = Field(
        default=20, gt=0, le=600, allow_inf_nan=False, description="longest wait for the endpoint"
    )
    price_in: float = Field(
        default=0, ge=0, allow_inf_nan=False, description="price of a million tokens of prompt"
    )
    price_out: float = Field(
        default=0, ge=0, allow_inf_nan=False, description="price of a million tokens of answer"
    )

    @model_validator(mode="after")
    def _is_one_source(self) -> Self:
        if self.url is None:
            named = [
                name
                for name in ("model", "key_variable", "headers", "parameters")
                if getattr(self, name)
            ]
            if named:
                msg = f"{named[0]}: belongs to an endpoint, and {self.name} has no url"
                raise ValueError(msg)
            return self
        if self.base_model is not None or self.model is None:
            msg = f"{self.name}: {_ONE_SOURCE}"
            raise ValueError(msg)
        _check_address(self.url)
        withheld = sorted(_WITHHELD & set(self.headers))
        if withheld:
            msg = f"headers: {withheld[0]} is never passed on"
            raise ValueError(msg)
        fixed = sorted(_FIXED & set(self.parameters))
        if fixed:
            msg = f"parameters: the gateway sets {fixed[0]} itself"
            raise ValueError(msg)
        return self

    @property
    def is_champion(self) -> bool:
        """Whether it is the release that the route table names."""
        return self.base_model is None and self.url is None

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of an answer, in the unit of the tier's prices."""
        return token_cost(self.price_in, prompt_tokens) + token_cost(
            self.price_out, completion_tokens
        )


def token_cost(price: float, tokens: int) -> float:
    """Return the price of tokens at a price per million."""
    return price * tokens / _MILLION


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web = False
        parts = urlsplit("")
    if not is_web or parts.username or parts.password or parts.query or parts.fragment:
        msg = (
            "url: give http://HOST:PORT/v1 or https://HOST/v1, without user, password and query; "
            "a key belongs into key_variable"
        )
        raise ValueError(msg)


def _in_order(tiers: Sequence[Tier]) -> Sequence[Tier]:
    if not tiers:
        return tiers
    if not tiers[0].is_champion:
        msg = (
            f"the first tier is the champion: {tiers[0].name} must name neither base_model nor url"
        )
        raise ValueError(msg)
    for tier in tiers[1:]:
        if tier.is_champion:
            msg = f"{tier.name}: {_ONE_SOURCE}; the champion is the first tier alone"
            raise ValueError(msg)
        if tier.name == "base":
            msg = "base: is the name of a release; choose another name for the tier"
            raise ValueError(msg)
    names = [tier.name for tier in tiers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        msg = f"{twice} is the name of two tiers"
        raise ValueError(msg)
    return tiers


Tiers = Annotated[tuple[Tier, ...], Field(max_length=_MOST_TIERS), AfterValidator(_in_order)]


class EscalationRules(Strict):
    """When a request goes on to the next tier, and how often it may."""

    below_confidence: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="an answer whose calibrated confidence is lower goes to the next tier; 0: none",
    )
    outlier_share: float = Field(
        default=0.01,
        ge=0,
        lt=0.5,
        description="share of the reference's own texts that count as unlike all others; a request "
        "as unlike them goes to the next tier; 0: none",
    )
    per_day: int = Field(
        default=500,
        ge=0,
        description="most requests to tiers beyond the first, a day in UTC; once they are spent "
        "the best answer so far goes out",
    )
    failures: int = Field(
        default=5, ge=1, description="failures in a row after which a tier is not asked for a while"
    )
    pause_seconds: float = Field(
        default=30,
        gt=0,
        allow_inf_nan=False,
        description="that while; then one request tries whether the tier answers again",
    )
