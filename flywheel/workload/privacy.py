"""`PrivacyRules`: which personal data are masked in what is kept of a workload's calls."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from flywheel.workload.sections import Strict

__all__ = ["PII_KINDS", "PiiKind", "PrivacyRules"]

PiiKind = Literal["secret", "email", "iban", "card", "national_id", "ip", "phone"]
PII_KINDS: tuple[PiiKind, ...] = (
    "secret", "email", "iban", "card", "national_id", "ip", "phone",
)  # fmt: skip


def _supported_region(region: str | None) -> str | None:
    if region is None:
        return None
    import phonenumbers

    if region not in phonenumbers.SUPPORTED_REGIONS:
        msg = f"{region!r} is not a country code of two capital letters, such as DE or US"
        raise ValueError(msg)
    return region


class PrivacyRules(Strict):
    """What is found and replaced by a placeholder before an event is kept."""

    kinds: tuple[PiiKind, ...] = Field(
        default=PII_KINDS, min_length=1, description=f"some of {', '.join(PII_KINDS)}"
    )
    region: Annotated[str | None, AfterValidator(_supported_region)] = Field(
        default=None,
        description="country (DE, US) whose telephone numbers stand without a country code and "
        "whose national ids are looked for; default: international telephone numbers alone",
    )
    mask_answers: bool = Field(
        default=False, description="mask what the gateway answers, not only what is kept"
    )
