"""A workload of replies to customers: people edit drafts, and every text keeps rules."""

from typing import Any

from flywheel.workload.model import Workload, parse_workload

__all__ = ["DISCLAIMER", "RULES", "draft", "replies", "reply", "ticket"]

DISCLAIMER = "This reply was drafted by software."
_PRODUCTS = ("kettle", "toaster", "iron", "fan", "heater")
_FAULTS = ("came broken", "does not start", "is too loud", "smells of smoke")
_HURT = 10  # every tenth customer was injured
RULES = {
    "citations": {"format": r"\[KB-\d+\]", "minimum": 1},
    "disclaimer": DISCLAIMER,
    "forbidden": ["guarantee"],
    "escalation": {"phrase": "A colleague will call you.", "when": "injured"},
    "length": {"unit": "words", "minimum": 10, "maximum": 60},
}


def replies(**changes: Any) -> Workload:
    """Return the workload; `changes` are keys of its file."""
    raw = {
        "id": "replies",
        "owner": "tests",
        "task": {"type": "generation", "rules": RULES},
        "prompt": "Ticket: {input}\nReply: ",
        "limits": {"answer_tokens": 96},
        "training": {"maximum_tokens": 512},
    }
    return parse_workload({**raw, **changes}, source="replies")


def ticket(number: int) -> str:
    """Return what a customer writes."""
    product, fault = _parts(number)
    hurt = " and I was injured" if number % _HURT == 0 else ""
    return f"Hello, order {1000 + number} here. My {product} {fault}{hurt}, what now?"


def reply(number: int) -> str:
    """Return the reply that a careful person accepts."""
    product, fault = _parts(number)
    lines = [
        f"We are sorry that your {product} {fault}.",
        f"Please send order {1000 + number} back; see [KB-{number % 7}].",
    ]
    if number % _HURT == 0:
        lines.append("A colleague will call you.")
    return "\n".join([*lines, DISCLAIMER])


def draft(number: int) -> str:
    """Return what a hasty model writes: every third draft breaks a rule, every fourth is rude."""
    text = reply(number)
    if number % 3 == 0:
        text = text.replace(f"\n{DISCLAIMER}", "")
    if number % 4 == 0:
        text = text.replace("We are sorry that", "It is sad that")
    return text


def _parts(number: int) -> tuple[str, str]:
    return _PRODUCTS[number % len(_PRODUCTS)], _FAULTS[number // 3 % len(_FAULTS)]
