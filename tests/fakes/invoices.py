"""Invoices with nested line items: a workload, made-up texts and the answer that each deserves."""

from typing import Any

from flywheel.workload.model import Workload, parse_workload

__all__ = ["SCHEMA", "invoice", "invoices", "noisy"]

_VENDORS = ("Nord Stahl KG", "Acme, Inc.", "O'Brien & Sons", "Delta <Tools>", "Müller GmbH")
_PARTS = ("Steel plate", "USB cable", "Paint, white", 'Gasket "A"', "Pipe 3 | 4", "Bearings")
_WORDS = (
    "amber",
    "birch",
    "cobalt",
    "dune",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "juniper",
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["vendor", "number", "date", "total", "currency", "line_items"],
    "properties": {
        "vendor": {"type": "string"},
        "number": {"type": "string"},
        "date": {"type": "string", "format": "date"},
        "total": {"type": "number", "minimum": 0},
        "currency": {"type": "string", "enum": ["EUR", "USD", "CHF"]},
        "po_number": {"type": "string"},
        "line_items": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["description", "quantity", "unit_price"],
                "properties": {
                    "description": {"type": "string"},
                    "quantity": {"type": "integer"},
                    "unit_price": {"type": "number"},
                    "sku": {"type": "string"},
                },
            },
        },
    },
}


def invoices(**changes: Any) -> Workload:
    """Return a workload that extracts invoices; it has no taxonomy."""
    raw = {
        "id": "invoices",
        "owner": "finance",
        "task": {"type": "extraction", "schema": SCHEMA},
        "prompt": "{input}\nAnswer: ",
        "minimum_examples": 10,
        "golden_size": 10,
        "review": {"budget": 60},
    }
    return parse_workload(raw | changes, source="test")


def invoice(number: int) -> tuple[str, dict[str, Any]]:
    """Return the text of an invoice and its answer; texts of two numbers are no near-duplicates."""
    items = [
        {
            "description": _PARTS[(number + step) % len(_PARTS)],
            "quantity": number * (step + 3) % 19 + 1,
            "unit_price": (number * 97 + step * 31) % 9000 / 100 + 1,
        }
        for step in range(number % 3 + 1)
    ]
    if number % 4 == 0:
        items[0]["sku"] = f"S{number:03d}"
    answer = {
        "vendor": _VENDORS[number % len(_VENDORS)],
        "number": f"INV-{number:05d}",
        "date": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
        "total": round(sum(item["quantity"] * item["unit_price"] for item in items), 2),
        "currency": ("EUR", "USD", "CHF")[number % 3],
        "line_items": items,
    }
    if number % 2:
        answer["po_number"] = f"PO{number}"
    lines = [f"{item['quantity']} x {item['description']} @ {item['unit_price']}" for item in items]
    letter = " ".join(_WORDS[number // 10**place % 10] for place in range(3))
    text = "\n".join(
        [f"{answer['vendor']} {letter}", f"{answer['number']} {answer['date']}", *lines]
    )
    return f"{text}\nTotal {answer['currency']} {answer['total']}\nOrder {letter}", answer


def noisy(number: int, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as a model gives it that errs in every third invoice."""
    wrong = {**answer, "line_items": [dict(item) for item in answer["line_items"]]}
    if number % 9 == 3:
        wrong["total"] = answer["total"] + 1
    elif number % 9 == 6:
        wrong["line_items"].pop()
    elif number % 9 == 0:
        wrong["line_items"][0]["quantity"] += 1
    return wrong
