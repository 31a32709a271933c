"""`PrivacyRules`: which personal data are masked in what is kept of a workload's calls."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from flywheel.workload.sections import Strict

__all__ = ["NAME_KINDS", "PII_KINDS", "NameKind", "NameRules", "PiiKind", "PrivacyRules"]

PiiKind = Literal["secret", "email", "iban", "card", "national_id", "ip", "phone"]
PII_KINDS: tuple[PiiKind, ...] = (
    "secret", "email", "iban", "card", "national_id", "ip", "phone",
)  # fmt: skip
NameKind = Literal["person", "location", "organization"]
NAME_KINDS: tuple[NameKind, ...] = ("person", "location", "organization")


def _supported_region(region: str | None) -> str | None:
    if region is None:
        return None
    import phonenumbers

    if region not in phonenumbers.SUPPORTED_REGIONS:
        msg = f"{region!r} is not a country code of two capital letters, such as DE or US"
        raise ValueError(msg)
    return region


class NameRules(Strict):
    """Which names a language model finds, through Presidio (the extra ``presidio``)."""

    model: str = Field(
        min_length=1,
        description="an installed spaCy pipeline (en_core_web_md) or a folder with one",
    )
    language: str = Field(
        default="en", pattern="^[a-z]{2}$", description="the pipeline's language: en, de"
    )
    kinds: tuple[NameKind, ...] = Field(
        default=("person",), min_length=1, description=f"some of {', '.join(NAME_KINDS)}"
    )
    minimum_score: float = Field(
        default=0.5, ge=0, le=1, description="score from which a finding is masked"
    )


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
    names: NameRules | None = Field(
        default=None, description="names that a model finds; default: names stay"
    )
    mask_answers: bool = Field(
        default=False, description="mask what the gateway answers, not only what is kept"
    )
