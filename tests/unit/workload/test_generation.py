"""A generation's task, its rules, and what its answers are."""

import pytest
import yaml

from flywheel.deployment.workload_text import workload_text
from flywheel.errors import ConfigurationError, DataError
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.generation import GenerationTask, TextRules
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import parse_workload
from flywheel.workload.text_edits import edit_similarity, most_central, tidy, word_changes
from flywheel.workload.text_rules import broken_rules, check_rules
from tests.fakes.replies import RULES, replies, reply, ticket


def rules(**chosen) -> TextRules:
    """Return some rules."""
    return TextRules.model_validate(chosen)


def problems(chosen: TextRules, text: str, *, asked: str = "hello", accepted: str | None = None):
    """Return what is wrong with a text."""
    return broken_rules(chosen, input_text=asked, text=text, accepted=accepted)


def test_citations_have_the_format_and_the_number_asked_for():
    """Whatever looks like a citation is held to the format, and too few are a fault."""
    chosen = rules(citations={"format": r"\[KB-\d+\]", "minimum": 1})
    assert not problems(chosen, "See [KB-12].")
    assert problems(chosen, "See [KB 12].") == ["not a citation of the required format: [KB 12]"]
    assert problems(chosen, "See the page.") == ["0 citations, at least 1 are required"]


def test_the_disclaimer_may_be_broken_over_lines():
    """Where lines end does not matter, missing words do."""
    chosen = rules(disclaimer="This is not legal advice.")
    assert not problems(chosen, "Sue them.\nThis is not\nlegal advice.")
    assert problems(chosen, "Sue them.") == ["the disclaimer is missing: This is not legal advice."]


def test_forbidden_words_are_whole_words_in_any_case():
    """`100 %` and `guarantee` are found, `guarantees` is another word."""
    chosen = rules(forbidden=["guarantee", "100 %"])
    assert problems(chosen, "We GUARANTEE it to 100 %.") == ["forbidden: guarantee, 100 %"]
    assert not problems(chosen, "Nobody guarantees it.")


def test_terms_come_from_the_list():
    """A term that the pattern finds and the list lacks is a fault."""
    chosen = rules(terms={"find": r"tariff \w+", "allowed": ["tariff basic"]})
    assert not problems(chosen, "Take Tariff Basic.")
    assert problems(chosen, "Take tariff gold.") == ["not in the list of terms: tariff gold"]


def test_length_is_measured_in_words_or_characters():
    """Both bounds are told with the number that was counted."""
    chosen = rules(length={"minimum": 2, "maximum": 3})
    assert problems(chosen, "one") == ["1 words, at least 2 are required"]
    assert problems(chosen, "one two three four") == ["4 words, at most 3 are allowed"]
    assert not problems(rules(length={"unit": "characters", "maximum": 3}), "one")


def test_an_escalation_fires_where_it_must_and_nowhere_else():
    """Both sides are rules of their own, by the input or by what people accepted."""
    by_input = rules(escalation={"phrase": "[ESCALATE]", "when": "injur"})
    hurt = check_rules(by_input, input_text="I was injured", text="Sorry.")
    assert [(one.name, one.problem) for one in hurt] == [
        ("escalation", "it must escalate with: [ESCALATE]")
    ]
    calm = check_rules(by_input, input_text="thanks", text="[ESCALATE] Welcome.")
    assert [(one.name, one.problem) for one in calm] == [
        ("no_escalation", "it escalates where it must not: [ESCALATE]")
    ]
    by_people = rules(escalation={"phrase": "[ESCALATE]"})
    assert problems(by_people, "Sorry.", accepted="Sorry. [ESCALATE]")
    assert not problems(by_people, "Sorry.", accepted="Sorry.")
    assert not check_rules(by_people, input_text="x", text="Sorry.")


def test_rules_hold_for_every_accepted_reply():
    """What the fake people write keeps the fake workload's rules."""
    chosen = rules(**RULES)
    assert chosen != TextRules()
    assert not any(
        broken_rules(chosen, input_text=ticket(n), text=reply(n), accepted=reply(n))
        for n in range(50)
    )


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"pattern": "("}, "not a regular expression"),
        ({"rules": {"length": {"minimum": 9, "maximum": 3}}}, "less than minimum"),
        ({"rules": {"citation": None}}, "unknown key; allowed here: citations"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_path(task, words):
    """A typo, a pattern that does not compile and an empty range do not load."""
    with pytest.raises(ConfigurationError, match=words):
        replies(task={"type": "generation", **task})


def test_a_generation_has_no_taxonomy():
    """Labels have no place in a text."""
    with pytest.raises(ConfigurationError, match="a generation has no labels"):
        replies(taxonomy={"labels": [{"id": "a", "name": "a"}, {"id": "b", "name": "b"}]})


def test_a_new_file_of_a_generation_shows_every_key():
    """What `flywheel init --task generation` writes loads and names every key and rule."""
    raw = yaml.safe_load(workload_text("replies", owner="desk", task="generation"))
    workload = parse_workload(raw, source="new")
    assert isinstance(workload.task, GenerationTask)
    assert set(raw["task"]) == set(GenerationTask.model_fields)
    assert set(raw["task"]["rules"]) == set(TextRules.model_fields)
    assert workload.task == GenerationTask(type="generation")
    assert "taxonomy" not in raw


def test_answers_are_tidy_texts():
    """A model's text comes back as it was written, without what no reader sees."""
    workload = replies()
    codec = AnswerCodec(workload, {})
    text = "Dear customer,\n  \n* one { } <b>\nBye."
    assert codec.decode(f"  {text}\r\n") == tidy(text)
    assert codec.encode(codec.decode(text)) == tidy(text)
    with pytest.raises(DataError, match="breaks the schema"):
        codec.decode("   ")
    assert not codec.passage(text).owned  # nothing in it is the owner's


def test_texts_are_the_same_from_a_similarity_on():
    """`same_text` decides; for labels and objects nothing but equality does."""
    mapping = AnswerMapping(replies())
    one = reply(1)
    assert mapping.same(one, one.replace("sorry", "sad"))
    assert not mapping.same(one, "No.")
    strict = AnswerMapping(replies(task={"type": "generation", "same_text": 1}))
    assert not strict.same(one, one.replace("sorry", "sad"))


def test_word_changes_rebuild_both_texts():
    """What is the same or removed is the old text, what is the same or added the new one."""
    before, after = "It is sad that it broke.", "We are sorry that\nit broke."
    changes = word_changes(before, after)
    assert "".join(c.text for c in changes if c.kind != "added") == before
    assert "".join(c.text for c in changes if c.kind != "removed") == after


def test_edit_similarity_is_levenshtein_over_the_longer_text():
    """One of four characters changed leaves three quarters; line ends do not count."""
    assert edit_similarity("abcd", "abcx") == pytest.approx(0.75)
    assert edit_similarity("a\r\nb ", "a\nb") == 1


def test_the_central_text_is_closest_to_all():
    """Of three texts the one in the middle stands for all, of two the first."""
    assert most_central(["aaaa bbbb", "aaaa bbbc", "aaaa bbcc"]) == 1
    assert most_central(["one", "two"]) == 0
