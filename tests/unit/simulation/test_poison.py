import random

from flywheel.events import EventContract, decode_inferences
from flywheel.simulation.poison import POISON_KINDS, poison, poison_of_kind, with_duplicates
from tests.fakes.poison_reasons import EXPECTED


def test_every_kind_becomes_the_dead_letter_it_stands_for(defect_reports):
    """All kinds of the list are refused, each with its own reason."""
    values = [poison_of_kind(k, random.Random(1)) for k in POISON_KINDS]  # noqa: S311 - a seed
    decoded = decode_inferences(values, EventContract([defect_reports]))
    reasons = {POISON_KINDS[r.index]: r.reason for r in decoded.rejections}
    assert reasons == EXPECTED


def test_one_large_message_is_among_many():
    """More of them would fill the log of a laptop for nothing."""
    values = poison(seed=1, count=40)
    assert len(values) == 40
    assert sum(len(value) > 4_000_000 for value in values) == 1


def test_poison_is_deterministic():
    """Same seed, same bytes."""
    assert poison(1, 12) == poison(1, 12)
    assert poison(1, 12) != poison(2, 12)


def test_duplicates_are_the_same_bytes_again():
    """A copy comes after its original."""
    messages = [f"message {number}".encode() for number in range(200)]
    sent = with_duplicates(messages, share=0.1, seed=1)
    copies = sent[len(messages) :]
    assert sent[: len(messages)] == messages
    assert 5 <= len(copies) <= 40
    assert set(copies) <= set(messages)
