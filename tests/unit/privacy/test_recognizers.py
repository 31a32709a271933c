"""What counts as personal data, and what only looks like it."""

import pytest

from flywheel.privacy.recognizers import find_pii


def found(text, **options):
    return [(pii.kind, text[pii.start : pii.end]) for pii in find_pii(text, **options)]


@pytest.mark.parametrize(
    ("kind", "text", "region"),
    [
        ("email", "anna.m+line4@mail.example.co.uk", None),
        ("email", "jürgen@müller-bau.example", None),
        ("iban", "DE89 3704 0044 0532 0130 00", None),
        ("iban", "GB82WEST12345698765432", None),
        ("iban", "fr14 2004 1010 0505 0001 3m02 606", None),
        ("card", "4111 1111 1111 1111", None),
        ("card", "3782-822463-10005", None),
        ("phone", "+49 30 901820", None),
        ("phone", "+1 (212) 736-5000", None),
        ("phone", "030 901820", "DE"),
        ("phone", "(212) 736-5000", "US"),
        ("ip", "192.168.4.17", None),
        ("ip", "2001:db8::8a2e:370:7334", None),
        ("national_id", "36 574 261 809", "DE"),
        ("national_id", "536-90-4399", "US"),
        ("national_id", "54362315K", "ES"),
        ("national_id", "RCCMNL83S18D969H", "IT"),
        ("national_id", "943 476 5919", "GB"),
        ("secret", "sk-proj-abcdefghijklmnopqrstuvwxyz123456", None),
        ("secret", "ghp_abcdefghijklmnopqrstuvwxyzABCDEF0123", None),
        ("secret", "AKIAIOSFODNN7EXAMPLE", None),
        ("secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27u", None),
    ],
)
def test_each_kind_is_found_in_a_sentence(kind, text, region):
    """With its whole extent, and nothing of the words around it."""
    sentence = f"Please note ({text}), the printer is broken. It said: {text}."
    assert found(sentence, region=region) == [(kind, text)] * 2


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("the order 4501234567 and the invoice 2026-11-0042", "US"),
        ("DE89 3704 0044 0532 0130 01", None),  # a wrong checksum
        ("4111 1111 1111 1112", None),
        ("36 574 261 808", "DE"),
        ("firmware v10.2.0.14, release 1.2.3.4", "DE"),
        ("from 12:30:45 to 13:00:00 on 2026-11-29T12:30:45Z", "DE"),
        ("1,234,567.89 and 12.345.678,90 EUR, 0.5 of 1e10", "DE"),
        ("std::vector and a::b, localhost is 127.0.0.1", None),
        ("password: forgotten, token = none", None),
        ("user@localhost, @mention, a@b", None),
        ("4f9b0c6e-3d7a-4d5e-9a33-6b0a7f0f9c11", "US"),
        ("1234567", "US"),
        ("3f1c02ab-0826-4576-8951-03063314ab12", "DE"),
    ],
)
def test_numbers_that_are_nobodys_stay(text, region):
    """Order numbers, versions, times and amounts."""
    assert found(text, region=region) == []


def test_a_number_after_a_word_for_it_is_a_telephone_number():
    """The same digits alone are as likely an order's."""
    assert found("call me at 2127365000", region="US") == [("phone", "2127365000")]
    assert found("order 2127365000", region="US") == []


def test_words_behind_an_iban_stay():
    """Its length is that of its country, however the text goes on."""
    assert found("pay DE89370400440532013000 NOW 12 times") == [("iban", "DE89370400440532013000")]


def test_only_the_kinds_that_are_asked_for_are_found():
    """A workload may keep addresses and mask cards."""
    text = "anna@example.com 4111111111111111"
    assert found(text, kinds=("card",)) == [("card", "4111111111111111")]
