"""Placeholders in the place of personal data: stable, complete, and nothing else changed."""

import json
import logging

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.errors import ConfigurationError
from flywheel.events.call_event import call_event, feedback_event
from flywheel.events.foreign.subjects import hash_subject
from flywheel.events.masked import mask_event
from flywheel.privacy.masking import Masking
from flywheel.privacy.recognizers import find_pii
from flywheel.workload.model import parse_workload
from flywheel.workload.privacy import PrivacyRules
from tests.fakes.event_makers import START, make_workload

RULES = PrivacyRules(region="DE")
ITEMS = {
    "EMAIL": "anna.m@example.com",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "CARD": "4111 1111 1111 1111",
    "PHONE": "+49 30 901820",
    "IP": "192.168.4.17",
    "NATIONAL_ID": "36 574 261 809",
    "SECRET": "ghp_abcdefghijklmnopqrstuvwxyzABCDEF0123",
}
# Nothing that any kind begins with: no digit, no @, no colon, no run of letters as long as a key.
PROSE = st.text(
    st.characters(exclude_categories=("N", "Cs"), exclude_characters="@:="),
    max_size=12,
)


@given(PROSE)
def test_a_text_without_personal_data_is_returned_as_it_is(text):
    """Not one character changes."""
    assert Masking(RULES).text(text) == text


@given(st.lists(st.tuples(PROSE, st.sampled_from(sorted(ITEMS))), min_size=1, max_size=5), PROSE)
def test_items_become_placeholders_and_all_else_stays(pieces, end):
    """Between words as people set them: with blanks around."""
    text = "".join(f"{words} ; {ITEMS[name]} ; " for words, name in pieces) + end
    expected = "".join(f"{words} ; <{name}_1> ; " for words, name in pieces) + end
    masking = Masking(RULES)
    assert masking.text(text) == expected
    assert sum(masking.counts.values()) == len({name for _, name in pieces})


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(list(ITEMS.values()))
        | st.text(max_size=10)
        | st.text("0123456789 +-.:/@ab<>_", max_size=14),
        max_size=8,
    )
)
def test_a_masked_text_has_no_item_any_more(parts):
    """Whatever stands beside an item, with or without blanks."""
    masked = Masking(RULES).text("".join(parts))
    assert find_pii(masked, kinds=RULES.kinds, region=RULES.region) == []
    assert Masking(RULES).text(masked) == masked


def test_one_value_has_one_placeholder_in_all_spellings():
    """Numbers count what is different; a caller's own placeholders are not taken."""
    masking = Masking(RULES)
    text = "a@example.com, b@example.com, A@Example.com"
    assert masking.text(text) == "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>"
    assert masking.text("b@example.com") == "<EMAIL_2>"
    assert Masking(RULES).text("<EMAIL_1> asked c@example.com") == "<EMAIL_1> asked <EMAIL_2>"


def test_an_event_is_masked_and_its_person_keeps_one_hash():
    """Request, response and output share placeholders; ids, names and hashes stay."""
    mail = "anna.m@example.com"
    event = call_event(
        "parts",
        request={
            "model": "parts",
            "user": mail,
            "metadata": {"trace_id": "4111111111111111", "note": f"of {mail}"},
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": f"I am {mail}"}]},
            ],
        },
        response={"choices": [{"message": {"content": f'{{"mail":"{mail}"}}'}}]},
        output={"mail": mail},
        fields={"client_id": "web", "timestamp": START, "subject": mail},
        hash_key="k",
    )
    masked = mask_event(event, RULES)
    request = json.loads(bytes(masked.request))
    hashed = hash_subject(mail, "k")
    assert request["messages"][0]["content"][0]["text"] == "I am <EMAIL_1>"
    assert request["metadata"] == {"trace_id": "4111111111111111", "note": "of <EMAIL_1>"}
    assert masked.subject_id == request["user"] == hashed
    assert json.loads(bytes(masked.output)) == {"mail": "<EMAIL_1>"}
    assert mail not in msgspec.json.encode(masked).decode()
    assert mask_event(event, None) is event


def test_a_part_without_personal_data_keeps_its_bytes():
    """Formatting and numbers as they came."""
    raw = msgspec.Raw(b'{ "messages": [ {"role":"user","content":"1.0 seal"} ], "x": 1.50 }')
    event = call_event(
        "parts", request={"messages": []}, response=None, output="seal",
        fields={"client_id": "web", "timestamp": START}, hash_key="k",
    )  # fmt: skip
    event = msgspec.structs.replace(event, request=raw)
    assert bytes(mask_event(event, RULES).request) == bytes(raw)


def test_a_comment_is_masked_and_a_number_is_not():
    """Feedback of every kind goes through."""
    fields = {"author": "ann", "moment": START}
    comment = feedback_event("parts", "i1", kind="comment", value="ask a@example.com", **fields)
    score = feedback_event("parts", "i1", kind="float", value=0.5, **fields)
    assert bytes(mask_event(comment, RULES).value) == b'"ask <EMAIL_1>"'
    assert bytes(mask_event(score, RULES).value) == b"0.5"


def test_nothing_is_logged_in_clear(caplog):
    """Not by us and not by the libraries, at any level."""
    with caplog.at_level(logging.DEBUG):
        Masking(RULES).text(" ; ".join(ITEMS.values()))
    assert not any(item in caplog.text for item in ITEMS.values())


@pytest.mark.parametrize(
    ("privacy", "words"),
    [
        ({"region": "de"}, "country code of two capital letters"),
        ({"kinds": ["names"]}, "privacy.kinds"),
        ({"kinds": []}, "privacy.kinds"),
    ],
)
def test_wrong_rules_are_refused_with_what_is_allowed(privacy, words):
    """At the file, with the path of the key."""
    raw = make_workload().model_dump(mode="json", by_alias=True) | {"privacy": privacy}
    with pytest.raises(ConfigurationError, match=words):
        parse_workload(raw, source="parts.yaml")
