"""`Frozen`: the base of values that are read from JSON; no field is changed, none is unknown."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Frozen"]


class Frozen(BaseModel):
    """A value of an artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")
