"""What a workload file may say about a judge, and what a judge's digest is made of."""

import pytest

from flywheel.errors import ConfigurationError
from flywheel.workload.judge_question import judge_digest, judge_question, judge_workload
from flywheel.workload.prompt import stored_prompt
from tests.fakes.judge_world import judge_rules
from tests.fakes.review_world import classification, extraction

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": {"url": None, "model": None}}, "either base_model, or url and model"),
        ({"source": {"headers": ["x-trace"]}}, "no caller whose headers"),
        ({"rubric": ""}, "judge.rubric"),
        ({"floor": 1.2}, "judge.floor"),
        ({"per_week": 3}, "judge.per_week"),
    ],
)
def test_a_wrong_judge_is_refused_with_its_key(change, words):
    """When the file is read."""
    with pytest.raises(ConfigurationError, match=words):
        classification(judge=judge_rules(URL, **change))


def test_a_judge_has_a_name_of_its_own():
    """A base that a tier answers with would otherwise be recorded under the same name."""
    tiers = [{"name": "champion"}, {"name": "critic", "base_model": "owner/big"}]
    with pytest.raises(ConfigurationError, match="is the name of a tier"):
        classification(judge=judge_rules(URL), tiers=tiers)


def test_a_local_base_is_a_judge_too():
    """Built and recorded as that of a tier."""
    rules = {"source": {"name": "critic", "base_model": "owner/big"}, "rubric": "Right or not."}
    workload = classification(judge=rules)
    asked = judge_workload(workload, workload.judge)
    assert (asked.id, asked.base_model) == ("defects.critic", "owner/big")
    assert asked.form.has_label
    assert asked.taxonomy.names == ("correct", "incorrect")
    assert workload.further_models == (workload.judge.source,)
    parameters = {"seed": 1, "top_p": 1}
    swapped = dict(reversed(parameters.items()))
    ordered, same = (
        classification(judge=judge_rules(URL, source={"parameters": given}))
        for given in (parameters, swapped)
    )
    assert judge_digest(ordered, ordered.judge) == judge_digest(same, same.judge)
    one, other = (judge_digest(workload, workload.judge, base) for base in ("a", "b"))
    assert one != other


def test_the_question_is_one_json_object():
    """Whatever the text says, it ends no string."""
    assert judge_question('a" }', {"k": 1}) == '{"input":"a\\" }","answer":{"k":1}}'


def test_the_instructions_hold_schema_and_labels():
    """Of an extraction; braces in a rubric stay what they are."""
    workload = extraction(judge=judge_rules(URL, rubric="Braces {input} {stay}."))
    asked = judge_workload(workload, workload.judge)
    system = asked.prompt.system
    assert "Braces {input} {stay}." in system
    assert '"urgency"' in system
    assert "- oil fault" in system
    turns = stored_prompt(asked, "the text", str)
    assert [turn["content"] for turn in turns] == [system, "the text"]
