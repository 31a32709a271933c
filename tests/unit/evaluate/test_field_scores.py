"""Figures per field of nested answers: precision, recall, F1, and floors."""

from dataclasses import replace

import numpy as np
import pytest

from flywheel.errors import ConfigurationError
from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy, collect_evidence
from flywheel.evaluate.field_floors import check_fields
from flywheel.evaluate.field_scores import average_fields, count_fields, score_fields
from flywheel.evaluate.metrics import measure
from flywheel.evaluate.paired import PairedCounts
from flywheel.evaluate.suites import evaluate_arm
from flywheel.workload.answer_paths import field_paths
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.model import GateRules
from tests.fakes.invoices import SCHEMA, invoice, invoices, noisy
from tests.fakes.model_server import FakeModelServer

PATHS = (
    "vendor",
    "number",
    "date",
    "total",
    "currency",
    "po_number",
    "line_items",
    "line_items[].description",
    "line_items[].quantity",
    "line_items[].unit_price",
    "line_items[].sku",
)
BOLT = {"description": "Bolt", "quantity": 2, "unit_price": 0.5}
NUT = {"description": "Nut", "quantity": 3, "unit_price": 0.25, "sku": "S1"}


def counts(expected, given):
    """Return the counts of line items that differ from one of each."""
    found = count_fields(SCHEMA, {"line_items": expected}, {"line_items": given})
    return {
        path.removeprefix("line_items"): tuple(found[path])
        for path in PATHS
        if path.startswith("line_items")
    }


def test_every_field_has_a_path():
    """Lists count as wholes and by the fields of their items; a group by its fields."""
    assert field_paths(SCHEMA) == PATHS
    place = {"type": "object", "properties": {"street": {"type": "string"}}}
    assert field_paths({"properties": {"place": place}}) == ("place.street",)


@pytest.mark.parametrize(
    ("expected", "given", "result"),
    [
        ([BOLT, NUT], [NUT, BOLT], {"": (2, 2, 2), "[].sku": (1, 1, 1), "[].quantity": (2, 2, 2)}),
        ([BOLT, NUT], [NUT], {"": (2, 1, 1), "[].quantity": (2, 1, 1), "[].sku": (1, 1, 1)}),
        ([NUT], [BOLT, NUT], {"": (1, 2, 1), "[].description": (1, 2, 1), "[].sku": (1, 1, 1)}),
        (
            [BOLT, NUT],
            [{**NUT, "quantity": 4}, {**BOLT, "unit_price": 0.50}],
            {"": (2, 2, 1), "[].quantity": (2, 2, 1), "[].unit_price": (2, 2, 2)},
        ),
        ([], [], {"": (0, 0, 0), "[].quantity": (0, 0, 0)}),
        ([BOLT], None, {"": (1, 0, 0), "[].description": (1, 0, 0)}),
    ],
)
def test_items_are_paired_whatever_their_order(expected, given, result):
    """A wrong quantity is one wrong quantity, a missing item is missed in each of its fields."""
    found = counts(expected, given)
    assert {path: found[path] for path in result} == result


def test_optional_fields_and_numbers():
    """What nobody expected costs precision, null is nothing, 5.0 is 5."""
    found = count_fields(SCHEMA, {"total": 5, "po_number": None}, {"total": 5.0, "po_number": "P"})
    assert tuple(found["total"]) == (1, 1, 1)
    assert tuple(found["po_number"]) == (0, 1, 0)
    assert found["vendor"].right
    assert not found["po_number"].right


def test_scores_add_up_over_cases():
    """Micro-averages; a figure without values is None, not 0 or 1."""
    cases = [
        count_fields(SCHEMA, {"vendor": "A", "line_items": [BOLT, NUT]}, {"vendor": "A"}),
        count_fields(SCHEMA, {"vendor": "B"}, {"vendor": "C", "line_items": [BOLT]}),
    ]
    scores = score_fields(cases)
    assert (scores["vendor"].precision, scores["vendor"].recall) == (0.5, 0.5)
    items = scores["line_items"]
    assert (items.expected, items.given, items.matched, items.f1) == (2, 1, 0, 0.0)
    assert (scores["date"].precision, scores["date"].recall, scores["date"].f1) == (None,) * 3


def test_an_arm_is_measured_field_by_field():
    """A model that errs in every third invoice errs in the fields it errs in; `fields` stay."""
    rows = [
        {"inference_id": f"i{n}", "input": text, "output": answer, "label_id": None}
        for n, (text, answer) in enumerate(invoice(n) for n in range(90))
    ]
    replies = {text: noisy(n, answer) for n, (text, answer) in enumerate(map(invoice, range(90)))}
    server = FakeModelServer({"base": replies.__getitem__})
    codec = AnswerCodec(invoices(), {})
    cases = evaluate_arm(server, codec, rows, suite="golden", arm="champion", release="base")
    found = measure(cases, suite="golden", arm="champion", release="base")
    assert found.exact_match == pytest.approx(60 / 90)
    assert found.fields["total"] == pytest.approx(80 / 90)
    assert tuple(found.field_scores) == PATHS
    assert found.field_scores["total"].f1 == pytest.approx(80 / 90)
    assert found.field_scores["vendor"].f1 == 1
    items = sum(len(invoice(n)[1]["line_items"]) for n in range(90))
    assert found.field_scores["line_items"].expected == items
    assert found.field_scores["line_items"].given == items - 10
    assert found.field_scores["line_items"].matched == items - 20
    assert found.field_scores["line_items[].quantity"].matched == items - 20
    assert found.field_scores["line_items[].description"].precision == 1
    both = [*cases, *(replace(case, arm="candidate") for case in cases)]
    evidence = collect_evidence(both, first=True)
    assert evidence.fields["line_items"].champion_right == 70


def evidence(**fields):
    """Return what a gate would see of these fields: (cases, champion right, gained, lost)."""
    pairs = {
        name: PairedAccuracy(PairedCounts(cases, gained, lost), right)
        for name, (cases, right, gained, lost) in fields.items()
    }
    whole = PairedAccuracy(PairedCounts(400, 5, 5), 390)
    return GateEvidence(
        first=False, golden=whole, holdout=None, answers=400, valid=400, fields=pairs
    )


def test_a_field_that_fell_fails_the_gate():
    """The field is named; those that moved by chance are not."""
    checks = check_fields(
        GateRules(),
        evidence(total=(400, 380, 4, 90), date=(400, 390, 8, 6), vendor=(400, 400, 0, 0)),
    )
    assert [(check.name, check.outcome) for check in checks] == [
        ("field_floors", "fail"),
        ("field_floor:total", "fail"),
    ]
    assert "total: 380 → 294 right of 400" in checks[1].reason
    assert check_fields(GateRules(field_floor=1), evidence(total=(400, 380, 4, 90))) == []
    assert check_fields(GateRules(), evidence()) == []


def test_an_equal_candidate_does_not_fall():
    """In 300 seeded gates of 12 fields, an equal candidate never fails; a fall by 0.25 always does."""
    rng = np.random.default_rng(11)
    false_alarms = misses = 0
    for _ in range(300):
        discordant = rng.binomial(200, 0.1, size=12)
        gained = rng.binomial(discordant, 0.5)
        fields = {
            f"f{n}": (200, 180, int(g), int(d - g))
            for n, (d, g) in enumerate(zip(discordant, gained, strict=True))
        }
        false_alarms += check_fields(GateRules(), evidence(**fields))[0].outcome == "fail"
        fields["f0"] = (200, 180, 5, 5 + int(rng.binomial(180, 0.28)))
        misses += check_fields(GateRules(), evidence(**fields))[0].outcome == "pass"
    assert false_alarms == 0
    assert misses <= 3


def test_a_minimum_names_its_field():
    """A field that is shown to be below its minimum fails, also at a first release."""
    rules = GateRules(field_minimum={"total": 0.9, "date": 0.9})
    checks = check_fields(rules, evidence(total=(200, 100, 0, 0), date=(200, 176, 0, 0)))
    assert {check.name: check.outcome for check in checks if "minimum" in check.name} == {
        "field_minimum:date": "pass",
        "field_minimum:total": "fail",
    }
    with pytest.raises(
        ConfigurationError, match=r"gates.field_minimum: 'sum' is not one of vendor"
    ):
        invoices(gates={"field_minimum": {"sum": 0.5}})
    invoices(gates={"field_minimum": {"line_items[].quantity": 0.5}})


def test_items_with_a_key_are_paired_by_it():
    """The same part at another price is that part; another part at the same price is none."""
    keys = {"line_items": ["description"]}
    washer = {**BOLT, "description": "Washer"}
    found = count_fields(SCHEMA, {"line_items": [BOLT]}, {"line_items": [washer]}, keys)
    assert tuple(found["line_items[].unit_price"]) == (1, 1, 0)
    dearer = {"description": "Bolt", "quantity": 9, "unit_price": 9.0}
    nut = {**NUT, "quantity": 2, "unit_price": 0.5}
    found = count_fields(SCHEMA, {"line_items": [BOLT, NUT]}, {"line_items": [nut, dearer]}, keys)
    assert tuple(found["line_items[].quantity"]) == (2, 2, 0)
    assert tuple(found["line_items[].sku"]) == (1, 1, 1)
    alike = count_fields(SCHEMA, {"line_items": [BOLT]}, {"line_items": [washer]})
    assert tuple(alike["line_items[].unit_price"]) == (1, 1, 1)
    with pytest.raises(ConfigurationError, match=r"item_keys.line_items: 'name' is not one of"):
        invoices(
            task={"type": "extraction", "schema": SCHEMA, "item_keys": {"line_items": ["name"]}}
        )


def test_micro_and_macro_differ_and_what_is_made_up_is_counted():
    """A case of many values weighs more in one, every case the same in the other."""
    many = [{**BOLT, "description": f"Bolt {n}"} for n in range(9)]
    cases = [
        count_fields(
            SCHEMA, {"vendor": "A", "line_items": many}, {"vendor": "A", "line_items": many}
        ),
        count_fields(
            SCHEMA, {"vendor": "B", "line_items": [NUT]}, {"vendor": "B", "po_number": "P1"}
        ),
        count_fields(SCHEMA, {"vendor": "C"}, {"vendor": "X", "po_number": None}),
    ]
    scores = score_fields(cases)
    names = scores["line_items[].description"]
    assert (names.recall, names.macro.recall) == (0.9, 0.5)
    assert (names.absent, names.hallucinated) == (1, 0)
    order = scores["po_number"]
    assert (order.absent, order.hallucinated, order.precision, order.recall) == (3, 1, 0.0, None)
    averages = average_fields(scores)
    assert averages is not None
    # Vendors: 2 of 3; items: 27 of 31 values of their fields; one order number made up.
    assert averages.micro.recall == pytest.approx(29 / 34)
    assert averages.micro.precision == pytest.approx(29 / 31)
    assert averages.macro.recall == pytest.approx((2 / 3 + 3 * 0.9 + 0) / 5)
    assert average_fields({}) is None
