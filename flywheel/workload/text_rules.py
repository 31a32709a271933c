"""`check_rules`: which rules of a workload a text keeps, and what is wrong with it, in words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flywheel.workload.generation import (
    CitationRule,
    EscalationRule,
    LengthRule,
    TermsRule,
    TextRules,
)

__all__ = [
    "ESCALATED",
    "NOT_ESCALATED",
    "RuleResult",
    "broken_rules",
    "check_rules",
    "describe_rules",
]

# The two sides of an escalation: written where it must be, and nowhere else.
ESCALATED, NOT_ESCALATED = "escalation", "no_escalation"


@dataclass(frozen=True)
class RuleResult:
    """One rule that holds for a text; ``problem`` says what breaks it, None: nothing."""

    name: str
    problem: str | None = None


def check_rules(
    rules: TextRules, *, input_text: str, text: str, accepted: str | None = None
) -> list[RuleResult]:
    """Check a text against every rule that holds for its case.

    Args:
        rules: of the workload.
        input_text: what was asked; an escalation may follow from it.
        text: what is checked.
        accepted: the text that people accepted, from which an escalation may follow; None: not
            known, and an escalation that follows from it is not checked.
    """
    return list(_results(rules, input_text, text, accepted))


def broken_rules(
    rules: TextRules, *, input_text: str, text: str, accepted: str | None = None
) -> list[str]:
    """Return what is wrong with a text, a line for each rule that it breaks."""
    results = check_rules(rules, input_text=input_text, text=text, accepted=accepted)
    return [result.problem for result in results if result.problem is not None]


def describe_rules(rules: TextRules) -> list[str]:
    """Return the rules in words, a line each, for the people who write."""
    lines = []
    if rules.citations is not None:
        fewest = f"; at least {rules.citations.minimum}" * bool(rules.citations.minimum)
        lines.append(f"Citations have the form {rules.citations.format}{fewest}.")
    if rules.disclaimer is not None:
        lines.append(f"Every text contains: {rules.disclaimer}")
    if rules.forbidden:
        lines.append(f"No text contains: {', '.join(rules.forbidden)}.")
    if rules.terms is not None:
        lines.append(f"Terms come from this list: {', '.join(rules.terms.allowed)}.")
    if rules.escalation is not None:
        where = (
            "the case calls for it"
            if rules.escalation.when is None
            else (f"the input matches {rules.escalation.when}")
        )
        lines.append(f"Write {rules.escalation.phrase!r} where {where}, and nowhere else.")
    if rules.length is not None:
        most = "any number of" if rules.length.maximum is None else f"{rules.length.maximum}"
        lines.append(f"A text has {rules.length.minimum} to {most} {rules.length.unit}.")
    return lines


def _results(
    rules: TextRules, input_text: str, text: str, accepted: str | None
) -> Iterator[RuleResult]:
    if rules.citations is not None:
        yield RuleResult("citations", _citations(rules.citations, text))
    if rules.disclaimer is not None:
        missing = not _contains(text, rules.disclaimer)
        problem = f"the disclaimer is missing: {rules.disclaimer}" if missing else None
        yield RuleResult("disclaimer", problem)
    if rules.forbidden:
        words = [word for word in rules.forbidden if _has_word(text, word)]
        yield RuleResult("forbidden", f"forbidden: {', '.join(words)}" if words else None)
    if rules.terms is not None:
        yield RuleResult("terms", _terms(rules.terms, text))
    if rules.length is not None:
        yield RuleResult("length", _length(rules.length, text))
    if rules.escalation is not None:
        yield from _escalation(rules.escalation, input_text, text, accepted)


def _citations(rule: CitationRule, text: str) -> str | None:
    cited = [match.group() for match in re.finditer(rule.marker, text)]
    wrong = [citation for citation in cited if not re.fullmatch(rule.format, citation)]
    if wrong:
        return f"not a citation of the required format: {', '.join(wrong)}"
    if len(cited) < rule.minimum:
        return f"{len(cited)} citations, at least {rule.minimum} are required"
    return None


def _terms(rule: TermsRule, text: str) -> str | None:
    allowed = {term.casefold() for term in rule.allowed}
    found = [match.group() for match in re.finditer(rule.find, text)]
    strange = [term for term in found if term.casefold() not in allowed]
    return f"not in the list of terms: {', '.join(strange)}" if strange else None


def _length(rule: LengthRule, text: str) -> str | None:
    length = len(text.split()) if rule.unit == "words" else len(text)
    if length < rule.minimum:
        return f"{length} {rule.unit}, at least {rule.minimum} are required"
    if rule.maximum is not None and length > rule.maximum:
        return f"{length} {rule.unit}, at most {rule.maximum} are allowed"
    return None


def _escalation(
    rule: EscalationRule, input_text: str, text: str, accepted: str | None
) -> Iterator[RuleResult]:
    if rule.when is not None:
        must = re.search(rule.when, input_text) is not None
    elif accepted is not None:
        must = _contains(accepted, rule.phrase)
    else:
        return
    fired = _contains(text, rule.phrase)
    if must:
        problem = None if fired else f"it must escalate with: {rule.phrase}"
        yield RuleResult(ESCALATED, problem)
    else:
        problem = f"it escalates where it must not: {rule.phrase}" if fired else None
        yield RuleResult(NOT_ESCALATED, problem)


def _contains(text: str, words: str) -> bool:
    # However lines are broken.
    return " ".join(words.split()) in " ".join(text.split())


def _has_word(text: str, words: str) -> bool:
    pattern = r"\s+".join(map(re.escape, words.split()))
    return re.search(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE) is not None
