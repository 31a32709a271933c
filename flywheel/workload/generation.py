"""`GenerationTask`: the answer is a text that people edit, and the rules that every text must keep."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from flywheel.workload.sections import Share, Strict

__all__ = [
    "CitationRule",
    "EscalationRule",
    "GenerationTask",
    "LengthRule",
    "TermsRule",
    "TextRules",
    "TextScore",
]

TextScore = Literal["edit_similarity", "chrf", "sentence_vectors"]


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        msg = f"not a regular expression: {error}"
        raise ValueError(msg) from error
    return pattern


Pattern = Annotated[str, StringConstraints(min_length=1), AfterValidator(_compiles)]
Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class CitationRule(Strict):
    """How a text names its sources."""

    format: Pattern = Field(description="regular expression that every citation matches as a whole")
    marker: Pattern = Field(
        default=r"\[[^\]\n]*\]", description="regular expression that finds whatever is cited"
    )
    minimum: int = Field(default=0, ge=0, description="fewest citations of a text")


class TermsRule(Strict):
    """Terms of a closed list, such as product names or tariff codes."""

    find: Pattern = Field(description="regular expression that finds a term in a text")
    allowed: tuple[Words, ...] = Field(min_length=1, description="terms that may be used")


class EscalationRule(Strict):
    """Words that hand a case to a person: written where they must be, and nowhere else."""

    phrase: Words = Field(description="words that fire the escalation")
    when: Pattern | None = Field(
        default=None,
        description="regular expression of the inputs that must be escalated; left out: those whose "
        "accepted text escalates",
    )


class LengthRule(Strict):
    """Bounds of a text's length; it is measured, never cut."""

    unit: Literal["words", "characters"] = Field(default="words", description="what is counted")
    minimum: int = Field(default=0, ge=0, description="shortest text")
    maximum: int | None = Field(default=None, ge=1, description="longest text; left out: any")

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.maximum is not None and self.maximum < self.minimum:
            msg = f"maximum {self.maximum} is less than minimum {self.minimum}"
            raise ValueError(msg)
        return self


class TextRules(Strict):
    """What every text must keep, checked by code; a rule that is left out holds for nothing."""

    citations: CitationRule | None = Field(default=None, description="how sources are named")
    disclaimer: Words | None = Field(default=None, description="words that every text contains")
    forbidden: tuple[Words, ...] = Field(
        default=(), description="words and phrases that no text contains, in any case"
    )
    terms: TermsRule | None = Field(default=None, description="terms of a closed list")
    escalation: EscalationRule | None = Field(
        default=None, description="words that hand a case to a person"
    )
    length: LengthRule | None = Field(default=None, description="shortest and longest text")


class GenerationTask(Strict):
    """Write a text, such as a reply, a report or a summary, that people edit."""

    type: Literal["generation"] = Field(description="the answer is a text that people edit")
    pattern: Pattern | None = Field(
        default=None,
        description="regular expression of a whole answer, to which a model is held while it "
        "writes; left out: any text",
    )
    same_text: Share = Field(
        default=0.9,
        description="edit similarity from which two texts count as the same: people agree, and a "
        "draft needed no edit that matters",
    )
    score: TextScore = Field(
        default="edit_similarity",
        description="score of a draft against the accepted text on which the gate decides: "
        "edit_similarity, chrf or sentence_vectors",
    )
    rules: TextRules = TextRules()
