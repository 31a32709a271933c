"""The whole review policy, quarter by quarter, with everything it costs and everything it gives back.

`PolicyQuarters` plays what the product does with a plain learner in the model's place. Every month
has a batch. Second judgments, drawn and chosen, and checks of labels are paid for and teach nothing
here, since nobody errs; adjudications that were held back and not needed come back to the next
batch. Control items do not train while a figure rests on them: one promotion a quarter is judged and
calibrated on them, after which they are released.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bench.decisions.text_learner import TextLearner
from flywheel.dataset.control_windows import control_windows, released
from flywheel.dataset.examples import Example
from flywheel.ports.review_queue import ReviewItem
from flywheel.review.sampling.budget import CHOICE_COST, JudgedTwice
from flywheel.review.sampling.candidates import Candidate
from flywheel.review.sampling.doubt import GivenAnswer, error_rates, most_doubtful
from flywheel.review.sampling.draws import choose_items
from flywheel.review.sampling.label_checks import allowed_checks
from flywheel.simulation.labeled import LabeledRow
from flywheel.workload.model import Workload

__all__ = ["PolicyQuarters"]

_BEGIN, _QUARTER = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=91)
_BATCHES = 3  # a quarter


@dataclass
class PolicyQuarters:
    """Ask within the budget of each quarter and say what can be trained on after it.

    ``asked`` are the texts that people judged or were asked about, the seed's at first.
    """

    workload: Workload
    asked: list[str]
    quarter: int = 0
    judgments: list[int] = field(default_factory=list)
    _learned: list[LabeledRow] = field(default_factory=list)
    _control: list[tuple[Example, LabeledRow]] = field(default_factory=list)

    def play(self, learner: TextLearner, rows: list[LabeledRow]) -> list[LabeledRow]:
        """Let people judge a quarter's answers; return all that is trained on at its end."""
        budget, spent = self.workload.review.budget, 0
        counts = JudgedTwice()
        checked = 0
        for batch in range(_BATCHES):
            part = rows[batch::_BATCHES]
            items = self._draw(learner, part, (budget - spent) // (_BATCHES - batch), batch)
            spent += sum(item.judgments for item in items)
            drawn = sum(item.judgments > 1 for item in items)
            counts = JudgedTwice(
                items=counts.items + len(items),
                answered=counts.items + len(items),
                drawn_twice=counts.drawn_twice + drawn,
                drawn_twice_answered=counts.drawn_twice + drawn,
                chosen=counts.chosen,
            )
            most = min(counts.now(self.workload.review.overlap), (budget - spent) // CHOICE_COST)
            again = _judged_again(items, part, most)
            counts = JudgedTwice(
                counts.items,
                counts.answered,
                counts.drawn_twice,
                counts.drawn_twice_answered,
                counts.chosen + again,
            )
            spent += again
            share = self.workload.review.label_checks
            checks = allowed_checks(share, budget=budget, sent=spent, held_back=0, checked=checked)
            checked, spent = checked + checks, spent + checks
        self.judgments.append(spent)
        self.quarter += 1
        return [*self._learned, *self._released()]

    def _draw(
        self, learner: TextLearner, rows: list[LabeledRow], budget: int, batch: int
    ) -> list[ReviewItem]:
        items = choose_items(
            self.workload,
            self._candidates(learner, rows, batch),
            budget=budget,
            batch_id=f"{self.quarter}-{batch}",
            period=str(self.quarter),
            seed=self.workload.seed,
            now=self._moment(batch),
            known_texts=self.asked,
        )
        for item in items:
            row = rows[_place(item)]
            self.asked.append(row.text)
            if item.slice == "control":
                self._control.append((_example(item, self._moment(batch)), row))
            else:
                self._learned.append(row)
        return items

    def _candidates(
        self, learner: TextLearner, rows: list[LabeledRow], batch: int
    ) -> list[Candidate]:
        outputs, confidence, margin = learner.answer(rows)
        return [
            Candidate(
                inference_id=f"{self.quarter}-{batch}-{place:06d}",
                input=row.text,
                output=outputs[place],
                confidence=float(confidence[place]),
                release="base",
                subject_id=None,
                event_time=self._moment(batch),
                margin=float(margin[place]),
            )
            for place, row in enumerate(rows)
        ]

    def _moment(self, batch: int) -> datetime:
        return _BEGIN + self.quarter * _QUARTER + (batch + 0.5) * _QUARTER / _BATCHES

    def _released(self) -> list[LabeledRow]:
        # At the end of a quarter: the last promotion was at its start, on the quarter before's items.
        promoted = _BEGIN + (self.quarter - 1) * _QUARTER
        first = self.quarter == 1
        windows = control_windows(
            holdout_since=None if first else promoted,
            champion=None if first else "champion",
            calibrated_on={
                str(example.inference_id)
                for example, _ in self._control
                if promoted - _QUARTER <= (example.event_time or promoted) < promoted
            },
        )
        return [row for example, row in self._control if released(example, windows)]


def _place(item: ReviewItem) -> int:
    return int(item.inference_id.rpartition("-")[2])


def _example(item: ReviewItem, moment: datetime) -> Example:
    name = item.inference_id
    return Example(name, name, name, name, None, name, name, "control", event_time=moment)


def _judged_again(items: list[ReviewItem], rows: list[LabeledRow], most: int) -> int:
    single = [item for item in items if item.judgments == 1 and item.slice != "control"]
    given = [
        GivenAnswer(
            name=item.item_id,
            annotator="anybody",
            label_id=None,
            with_model=item.model_output == rows[_place(item)].label,
            confidence=item.confidence,
        )
        for item in single
    ]
    return len(most_doubtful(given, error_rates([], []), most)) if given else 0
