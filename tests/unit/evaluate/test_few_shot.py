"""Worked examples without training: which are chosen, how they are judged, what a cycle does then."""

from types import SimpleNamespace

import pytest

from flywheel.artifacts.base_folder import BaseModel
from flywheel.cli.cycle import example_lines
from flywheel.errors import TrainingNotNeededError
from flywheel.evaluate.shots import SimilarShots, plan_shots
from flywheel.ports.model_server import Shot
from flywheel.usecases.explain import explain_cycle
from flywheel.usecases.without_training import (
    check_without_training,
    offer_to_stop,
    resolve_few_shot,
    untrained_examples,
)
from flywheel.workload.few_shot import FewShotRules
from flywheel.workload.prompt import input_ids
from tests.fakes.families import family_tokenizer
from tests.fakes.release_world import make_workload, right

ROWS = [
    {"inference_id": "1", "input": "refund for my broken phone", "output": "refund"},
    {"inference_id": "2", "input": "the weather in Prague today", "output": "weather"},
    {"inference_id": "3", "input": "please refund the phone order", "output": "refund"},
]
LABELS = FewShotRules(selection="labels")


def test_similar_examples_are_the_nearest_training_rows_the_nearest_last():
    """Each question has its own."""
    chosen = SimilarShots(ROWS, 2)("I want a refund for the phone order")
    assert [shot.input for shot in chosen] == [ROWS[0]["input"], ROWS[2]["input"]]
    assert SimilarShots(ROWS, 1)("weather in Prague")[0].output == "weather"


def test_fewer_examples_are_noted(world):
    """What does not fit is left out, and a reader is told so."""
    world.server._most_shots = 1
    for selection in ("labels", "similar"):
        rules = FewShotRules(selection=selection)
        plan = plan_shots(world.server, world.codec, ROWS, rules)
        assert plan.count == 1
        assert "1 of 4" in plan.note


@pytest.mark.parametrize(
    ("selection", "template", "surfaces", "resolved", "note"),
    [
        ("auto", True, {}, "labels", None),
        ("auto", False, {}, "off", "has no chat template"),
        ("auto", True, {"a": "<a>"}, "off", "tokens of its own for labels"),
        ("similar", False, {"a": "<a>"}, "similar", None),
        ("off", True, {}, "off", "few_shot.selection is off"),
    ],
)
def test_the_arm_is_for_bases_with_a_chat_template(
    tmp_path, selection, template, surfaces, resolved, note
):
    """Why it is left out is said; a setting measures it all the same."""
    if template:
        (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    base = BaseModel("some", tmp_path, "d" * 64, surfaces)
    workload = make_workload("parts", few_shot={"selection": selection})
    rules, left_out = resolve_few_shot(workload, base)
    assert rules.selection == resolved
    assert (left_out is None) if note is None else (note in left_out)


def answer_with(world, *, few_shot, zero_shot=lambda _: "dent"):
    """Let the base answer by whether it sees worked examples."""
    plain = world.server.answer

    def answer(release, codec, inputs, *, shots=()):
        world.server.replies["base"] = few_shot if len(shots) else zero_shot
        return plain(release, codec, inputs, shots=shots)

    world.server.answer = answer


def with_dataset(world, cycle):
    """Return the attempt as it is when its dataset was built."""
    from flywheel.artifacts.references import SnapshotRef

    release = world.state.releases.of(world.workload.id)[-1]
    dataset = SnapshotRef(release.lineage.dataset_folder, release.dataset_hash, {})
    world.state.attempts.record(cycle.ref, cycle.attempt, dataset)
    return world.state.cycles.attempt(cycle.ref)


def offered(world, cycle, rules=LABELS, notices=None):
    """Check before a training, as the use case does."""
    return offer_to_stop(
        world.state,
        lambda: world.server,
        with_dataset(world, cycle),
        world.codec,
        rules,
        on_notice=(notices if notices is not None else []).append,
    )


def test_a_cycle_stops_before_its_training_where_examples_pass(world):
    """Status, audit, story and the error say what was found and how to go on."""
    cycle = world.open_cycle()
    world.train(cycle, "r0")
    answer_with(world, few_shot=right)
    with pytest.raises(TrainingNotNeededError) as stopped:
        offered(world, cycle)
    now = world.state.cycles.get(cycle.ref)
    assert now.status == "stopped"
    assert "pass, 150 of 150 right with 4 worked examples (labels), base 50" in now.status_reason
    assert f"flywheel cycle retry {cycle.workload_id} {cycle.name}" in stopped.value.next_step
    story = explain_cycle(SimpleNamespace(state=world.state), cycle.ref)
    assert any("few_shot.measured" in line.what for line in story.lines)


def test_every_part_is_named_before_it_runs(world):
    """The model's loading, the first answers of each arm, and each arm's turn with what is done."""
    cycle = world.open_cycle()
    world.train(cycle, "r0")
    notices = []
    asked = world.server.answer

    def answer(release, codec, inputs, *, shots=()):
        notices.append(f"asked {len(inputs)}")
        return asked(release, codec, inputs, shots=shots)

    world.server.answer = answer
    offered(world, cycle, notices=notices)
    told = [line.removeprefix("before training, worked examples alone: ") for line in notices]
    assert told[:7] == [
        "loading the base model",
        "choosing examples that fit its context",
        "asked 1",
        "first answers of champion, not counted, 0 of 312",
        "asked 8",
        "first answers of few_shot, not counted, 0 of 312",
        "asked 8",
    ]
    assert told[7] == "champion on golden, 0 of 312"
    assert "all answers, 312 of 312" in told


def test_an_attempt_that_a_person_asks_for_then_trains(world):
    """Nothing is measured a second time."""
    cycle = world.open_cycle()
    world.train(cycle, "r0")
    answer_with(world, few_shot=right)
    with pytest.raises(TrainingNotNeededError):
        offered(world, cycle)
    world.state.cycles.new_attempt(cycle.ref, "train all the same", actor="ann")
    again = world.state.cycles.get(cycle.ref)
    asked = len(world.server.shots_seen)
    assert offered(world, again) is None
    assert len(world.server.shots_seen) == asked


def test_examples_that_fail_let_the_training_begin_and_are_measured_once(world):
    """A repeated step finds what was measured."""
    cycle = world.open_cycle()
    world.train(cycle, "r0")
    answer_with(world, few_shot=lambda _: "dent")
    notices: list[str] = []
    finding = offered(world, cycle, notices=notices)
    assert finding.outcome != "pass"
    assert world.state.cycles.get(cycle.ref).status == "open"
    assert "few-shot without training" in notices[-1]
    asked = len(world.server.shots_seen)
    assert offered(world, cycle) == finding
    assert len(world.server.shots_seen) == asked


def test_a_workload_may_train_although_examples_pass(world):
    """The finding is kept."""
    cycle = world.open_cycle()
    world.train(cycle, "r0")
    answer_with(world, few_shot=right)
    finding = offered(world, cycle, LABELS.model_copy(update={"when_it_passes": "train"}))
    assert finding.outcome == "pass"
    assert world.state.cycles.attempt(cycle.ref).few_shot == finding


def test_examples_are_shown_as_a_workload_file_takes_them(world, tmp_path):
    """They are those that were measured; a left-out arm says why."""
    cycle = world.open_cycle()
    world.train(cycle, "r0")
    with_dataset(world, cycle)
    platform = SimpleNamespace(
        state=world.state, base=lambda _: BaseModel("bare", tmp_path, "d" * 64)
    )
    bare = untrained_examples(platform, cycle.ref)
    assert "has no chat template" in bare.left_out
    assert check_without_training(platform, cycle.ref) is None
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    shown = untrained_examples(platform, cycle.ref)
    assert shown.selection == "labels"
    assert len(shown.examples) == 4
    lines = example_lines([Shot('a "quoted" text', {"x": 1})])
    assert lines == ['- {input: "a \\"quoted\\" text", output: {"x": 1}}']


def test_a_prompt_is_made_of_each_question_and_its_own_examples(world):
    """The one renderer of both servers asks for the examples of a question."""
    codec = world.codec
    tokenizer = family_tokenizer("llama")
    rows = {"one": [Shot("near one", "dent")], "two": []}
    alone = input_ids(tokenizer, codec, ["two"])[0]
    first, second = input_ids(tokenizer, codec, ["one", "two"], rows.__getitem__)
    assert second == alone
    assert len(first) > len(alone)
    assert first == input_ids(tokenizer, codec, ["one"], rows["one"])[0]
