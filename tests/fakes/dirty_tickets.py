"""Support tickets as a help desk exports them: twins, emoji, semicolons, empty cells, conflicts."""

import csv
import json
import random
from datetime import datetime, timedelta
from pathlib import Path

TOPICS = {
    "charged twice": ("charged twice", "two payments on my card", "double debit"),
    "refund missing": ("refund never came", "still no money back", "refund is late"),
    "wrong item": ("got the wrong article", "not what I ordered", "a different model came"),
    "damaged in transit": ("box was crushed", "arrived broken", "screen cracked on arrival"),
    "late delivery": ("parcel is late", "courier did not come", "delivery was moved again"),
    "cancel order": ("cancel my order", "please stop the shipment", "do not send it any more"),
    "change address": ("I moved house", "ship to my new address", "wrong street on the label"),
    "password reset": ("forgot my password", "reset mail does not come", "cannot sign in"),
    "delete account": ("erase my account", "close my profile", "remove all my data"),
    "invoice copy": ("send the invoice again", "need a receipt", "no bill in the mail"),
    "warranty repair": ("broke after two months", "repair under warranty", "battery died"),
    "product question": ("does it fit", "which size should I take", "is it dishwasher safe"),
}
OPENINGS = ("Hi;", "Hello,", "Guten Tag,", "URGENT!!!", "😡😡", "Dear team,", "")
DETAILS = ("order {n}", "Bestellung {n}; bitte prüfen", "ref #{n} 🙏", 'they said "{n}"', "no. {n}")
CLOSINGS = ("thanks", "Grüße, Zoë", "please; soon", "👍🏽", "", "sent from my phone")


def tickets(count: int, *, seed: int) -> list[tuple[str, str]]:
    """Return texts with their labels, by turns over the twelve labels."""
    dice = random.Random(seed)  # noqa: S311 - test data
    labels = list(TOPICS)
    return [_ticket(dice, labels[number % len(labels)], number) for number in range(count)]


def _ticket(dice: random.Random, label: str, number: int) -> tuple[str, str]:
    detail = dice.choice(DETAILS).format(n=4000 + number)
    words = (dice.choice(OPENINGS), dice.choice(TOPICS[label]), detail, dice.choice(CLOSINGS))
    return " ".join(word for word in words if word), label


def write_labeled(path: Path) -> None:
    """Write 600 rows with Excel's BOM and line ends: 12 twins, 2 conflicts, 3 empty rows."""
    rows = tickets(583, seed=11)
    rows += rows[:12]  # exported twice
    rows += [(rows[20][0], "refund missing"), (rows[34][0], "invoice copy")]  # two labels for one
    rows[100:100] = [("", "refund missing"), ("no label here 🤷", ""), ("   ", "")]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file, delimiter=";", lineterminator="\r\n")
        table.writerow([" Ticket Text ", "Category"])
        table.writerows(rows)


def write_traffic(path: Path, start: datetime) -> None:
    """Write 240 OpenAI records of 25 days from ``start`` on, every third answer wrong, and 2 broken."""
    labels = list(TOPICS)
    lines = []
    for number, (text, label) in enumerate(tickets(240, seed=12)):
        answer = labels[(labels.index(label) + (number % 3 == 0)) % len(labels)]
        when = start + timedelta(hours=2.5 * number)
        lines.append(
            json.dumps(
                {
                    "timestamp": when.isoformat(),
                    "user": f"customer-{number % 40}",
                    "request": {"model": "gpt", "messages": [{"role": "user", "content": text}]},
                    "response": {
                        "id": f"chatcmpl-{number}",
                        "choices": [{"message": {"role": "assistant", "content": answer}}],
                    },
                },
                ensure_ascii=False,
            )
        )
    lines[50:50] = ["{not json", json.dumps({"request": {"messages": []}, "response": None})]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def truth_of(text: str) -> str:
    """Return the label of a ticket by its words."""
    return next(label for label, words in TOPICS.items() if any(word in text for word in words))
