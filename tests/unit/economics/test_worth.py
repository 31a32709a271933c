"""The arithmetic of a small model against a tier, on the examples that started the project."""

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from flywheel.economics.measurements import Judgments, Measurements, ModelUse, Trainings
from flywheel.economics.prices import Prices
from flywheel.economics.worth import assess
from flywheel.economics.worth_picture import draw_worth
from flywheel.errors import MeasurementError, NotFoundError

END = datetime(2026, 6, 30, tzinfo=UTC)
FREE = {
    "judgments": {"hourly_wage": 0, "minutes": 1},
    "training": {"gpu_hour": 0},
    "engineering": {"monthly_cost": 0, "share": 0, "setup": 0},
}


def facts(answers: int = 30_000, days: float = 30.0, **changes) -> Measurements:
    """Return a month of answers of the small model: a second each, 3,000 and 600 tokens."""
    use = ModelUse("the small model", True, answers, 3_000, 600, answers, 1.0, answers)
    plain = Measurements(
        workload_id="tickets",
        start=datetime(2026, 5, 31, tzinfo=UTC),
        end=END,
        days=days,
        failed=0,
        models=(use,) if answers else (),
        judgments=Judgments(1_200, 1_000, seconds=30.0, timed=1_200),
        trainings=Trainings(2, 1.0),
        cycles_per_year=4,
        planned_judgments_per_year=4_800,
        cycle="2026Q2-1",
        cycle_judgments=Judgments(600, 500, seconds=30.0, timed=600),
        cycle_trainings=Trainings(1, 0.5),
    )
    return replace(plain, **changes)


def prices(**sections) -> Prices:
    """Return prices whose tier costs 3 and 15 a million tokens."""
    tier = {"name": "frontier", "input_per_million": 3, "output_per_million": 15}
    return Prices.model_validate({"tiers": [tier], **FREE, **sections})


def test_eighteen_dollars_against_forty_cents_per_thousand_documents():
    """3,000 and 600 tokens at 3 and 15 a million; a second of a GPU of 1.44 an hour."""
    worth = assess(prices(serving={"gpu_hour": 1.44}), facts())
    assert worth.figure("cost per 1,000 answers on the tier").value == pytest.approx(18.0)
    small = worth.figure("cost per 1,000 answers on the small model, serving alone")
    assert small.value == pytest.approx(0.40)
    assert worth.figure("cost per 1,000 answers now").value == pytest.approx(0.40)
    assert "1.000 s, mean of 30,000 answers" in small.basis


def test_a_reserved_gpu_of_1800_against_2250_a_month():
    """150,000 answers at 0.015 against 720 hours at 2.50: even at 120,000 answers."""
    stated = prices(
        tiers=[{"name": "frontier", "per_answer": 0.015}],
        serving={"gpu_hour": 2.5, "hours_per_month": 720, "answers_at_once": 8},
    )
    worth = assess(stated, facts(150_000, days=365.25 / 12))
    assert worth.figure("the tier a month").value == pytest.approx(2_250)
    assert worth.figure("serving a month").value == pytest.approx(1_800)
    assert worth.figure("break-even volume").value == 120_000
    assert worth.months[0].saved == pytest.approx(450)
    assert worth.months[23].cumulative == pytest.approx(24 * 450)


def test_four_hundred_reports_a_day():
    """10 dollars a day against 8 cents; what it takes to set up is paid back, or never."""
    stated = prices(
        tiers=[{"name": "frontier", "per_answer": 0.025}],
        serving={"per_answer": 0.0002},
        engineering={"monthly_cost": 0, "share": 0, "setup": 1_984},
    )
    worth = assess(stated, facts(400, days=1))
    month = 365.25 / 12
    assert worth.months[0].baseline == pytest.approx(10 * month)
    assert worth.months[0].small == pytest.approx(0.08 * month)
    assert worth.pay_back.at is not None
    assert (worth.pay_back.at - END).total_seconds() / 86_400 == pytest.approx(1_984 / 9.92)
    assert worth.months[5].cumulative < 0 < worth.months[6].cumulative


def test_what_costs_more_every_month_is_never_paid_back():
    """302 saved a month against 1,200 of an engineer, with nothing or with something invested."""
    for wage in (0, 30):
        stated = prices(
            tiers=[{"name": "frontier", "per_answer": 0.025}],
            serving={"per_answer": 0.0002},
            engineering={"monthly_cost": 12_000, "share": 0.1, "setup": 0},
            judgments={"hourly_wage": wage, "minutes": 0.5},
        )
        never = assess(stated, facts(400, days=1)).pay_back
        assert never.at is None
        assert never.reason.startswith("never: the last month costs")


def test_labels_and_cycle():
    """Every judgment is paid, also those that made no label."""
    stated = prices(
        serving={"gpu_hour": 1}, judgments={"hourly_wage": 30}, training={"gpu_hour": 4}
    )
    worth = assess(stated, facts())
    assert worth.figure("cost of a judgment").value == pytest.approx(0.25)
    assert worth.figure("cost per accepted label").value == pytest.approx(0.30)
    assert worth.figure("cost of cycle 2026Q2-1, judgments").value == pytest.approx(150)
    assert worth.figure("cost of cycle 2026Q2-1, training").value == pytest.approx(2)
    assert worth.figure("cost of cycle 2026Q2-1").value == pytest.approx(152)
    assert worth.figure("judgments a month").value == pytest.approx(100)
    assert worth.figure("trainings a month").value == pytest.approx(4 * 0.5 * 4 / 12)
    assert worth.figure("invested so far").value == pytest.approx(300 + 4)


def test_nothing_is_made_up():
    """Without prices and measurements every figure is missing and says what it lacks."""
    empty = facts(
        0, judgments=Judgments(0, 0), trainings=Trainings(0, 0.0), cycle=None, cycle_judgments=None
    )
    worth = assess(Prices(), empty)
    assert [figure.value for figure in worth.figures] == [None] * len(worth.figures)
    assert all(figure.source == "missing" and figure.missing for figure in worth.figures)
    assert worth.months == ()
    assert worth.pay_back.at is None
    text = "\n".join(worth.missing)
    for name in ("answers", "tiers", "serving", "judgments", "engineering", "training", "a cycle"):
        assert name in text
    with pytest.raises(MeasurementError, match="nothing to draw"):
        draw_worth(worth)


def test_one_missing_price_takes_its_figures_alone():
    """A sum with an unknown part is unknown; what stands without it is shown."""
    stated = prices(serving={"gpu_hour": 1.44}).model_copy(update={"engineering": None})
    worth = assess(stated, facts())
    assert worth.figure("cost per 1,000 answers on the tier").value == pytest.approx(18.0)
    assert worth.figure("break-even volume").value is None
    assert worth.figure("invested so far").value is None
    assert worth.missing == ("engineering (monthly_cost, share, setup) in the file of prices",)


def test_now_is_weighed_over_the_models_that_answered():
    """A model without a price is named; tokens of the tier's own models come first."""
    use = ModelUse("big-2", False, 9_000, 2_000, 100, 9_000)
    mixed = facts(1_000, models=(*facts(1_000).models, use))
    tier = {"name": "frontier", "input_per_million": 1, "output_per_million": 10}
    named = prices(tiers=[tier | {"models": ["big-*"]}], serving={"per_answer": 0.001})
    worth = assess(named, mixed)
    assert worth.figure("cost per 1,000 answers on the tier").value == pytest.approx(3.0)
    assert worth.figure("cost per 1,000 answers now").value == pytest.approx(0.9 * 3 + 0.1 * 1)
    unnamed = assess(prices(tiers=[tier], serving={"per_answer": 0.001}), mixed)
    assert unnamed.figure("cost per 1,000 answers now").value is None
    assert "a price of the model big-2: name it in models of a tier" in unnamed.missing


def test_a_small_model_that_is_dearer_has_no_break_even():
    """It is said, and no negative volume is shown."""
    stated = prices(tiers=[{"name": "cheap", "per_answer": 0.0001}], serving={"per_answer": 0.0002})
    figure = assess(stated, facts()).figure("break-even volume")
    assert figure.value is None
    assert "costs no less" in figure.basis


def test_too_few_reserved_hours_are_noted():
    """The seconds of a month's answers do not fit into the hours that are paid."""
    stated = prices(serving={"gpu_hour": 1, "hours_per_month": 5})
    assert "do not suffice" in assess(stated, facts()).notes[0]
    with pytest.raises(NotFoundError, match="no tier"):
        assess(stated, facts(), tier="x")


def test_picture_is_xml_and_escapes():
    """Names of a file cannot become markup."""
    tier = {"name": "<b>&", "per_answer": 0.02}
    stated = prices(
        tiers=[tier],
        serving={"per_answer": 0.001},
        engineering={"monthly_cost": 1_000, "share": 0.1, "setup": 3_000},
    )
    root = ET.fromstring(draw_worth(assess(stated, facts())))  # noqa: S314 - our own
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "tier <b>&" in texts
    assert any(text.startswith("paid back on 2027-01-") for text in texts)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
