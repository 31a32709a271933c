"""The release desk as people use it: read, approve, reject, roll back, ask for another try."""

import json
import re
from datetime import timedelta

import pytest

from flywheel.release.four_eyes import requesters
from flywheel.release.promotion import promotion_lease
from flywheel.usecases.judging.source import standing_digest
from flywheel.workload.prompt import render_prompt
from tests.fakes import release_world
from tests.fakes.desk_world import DeskWorld, fields_of
from tests.fakes.invoices import SCHEMA, invoice
from tests.fakes.judge_world import judge_rules
from tests.fakes.model_server import FakeModelServer
from tests.fakes.release_world import make_workload

REASON = "better on every label"


def test_the_first_page_names_the_cycle_that_waits(desk):
    """It leads to the evidence, and shows where the workload stands."""
    cycle = desk.judged("r1")
    page = desk.signed_in("Mara").get("/").text
    assert f'href="{desk.path(cycle)}"' in page
    assert "Read the evidence and decide" in page
    assert "the base model" in page


def test_an_approval_waits_for_who_may_give_it(desk):
    """For nobody who only reads, and not for the owner, who asked for it."""
    cycle = desk.judged("r1")
    for name in ("Vera", "Ann"):
        page = desk.signed_in(name).get("/").text
        assert "Nothing waits for your verdict" in page
        assert f'href="{desk.path(cycle)}">Read the evidence</a>' in page


def test_the_first_page_names_what_is_wrong(desk):
    """A workload file that does not load, and an audit that was changed."""
    (desk.platform.home / "workloads" / "broken.yaml").write_text("id: broken\n")
    with (desk.platform.home / "audit_heads.jsonl").open("a") as file:
        file.write(f'{{"seq": 1, "hash": "{"0" * 64}"}}\n')
    page = desk.signed_in("Vera").get("/").text
    assert "Wrong right now" in page
    assert "the workload file broken does not load" in page
    assert "row 1 has two hashes" in page


def test_an_approver_approves_what_the_page_showed(desk):
    """The row names the account, its identity as verified, and the digest of what was shown."""
    cycle = desk.judged("r1")
    browser = desk.signed_in("Mara")
    fields = fields_of(browser.get(desk.path(cycle)).text, "/verdict")
    fields |= {"verdict": "approve", "reason": REASON}
    done = browser.post(f"{desk.path(cycle)}/verdict", data=fields)
    assert (done.status_code, done.headers["location"]) == (303, f"{desk.path(cycle)}?done=approve")
    given = desk.world.state.approvals.granted(cycle.ref)
    assert (given.actor, given.identity, given.channel) == ("Mara", "verified", "desk")
    row = desk.world.state.audit.of(str(cycle.ref))[-1]
    assert (row.event, len(row.details["evidence"])) == ("approval.approved", 64)
    assert "Your approval is recorded." in browser.get(done.headers["location"]).text


def test_the_owner_may_reject_her_own(desk):
    """Who asked for a cycle gets the one button, and why the other is not there."""
    cycle = desk.judged("r1")
    browser = desk.signed_in("Ann")
    page = browser.get(desk.path(cycle)).text
    assert "You asked for this cycle, so another person has to approve it." in page
    assert 'value="approve"' not in page
    fields = fields_of(page, "/verdict") | {"verdict": "reject", "reason": "too few labels"}
    assert browser.post(f"{desk.path(cycle)}/verdict", data=fields).status_code == 303
    assert desk.world.state.cycles.get(cycle.ref).status == "rejected"


def test_the_evidence_has_its_parts(desk):
    """Checks, intervals with a picture, counts, cases, latency, card and story are on the page."""
    cycle = desk.judged("r1", wrong=("golden 4 dent",))
    page = desk.signed_in("Vera").get(desk.path(cycle)).text
    for text in (
        "non inferiority",
        "must not lose",
        "Left out",
        "r1",
        "p95 ms",
        "a test asks for it",
    ):
        assert text in page
    assert page.count('<svg class="bar"') >= 4
    row = re.findall(r"<th scope=\"row\">golden</th>(.*?)</tr>", page, re.DOTALL)[-1]
    assert [text.strip() for text in re.findall(r">([\d,]+)</a>", row)] == ["1", "60", "0", "29"]


def test_cases_are_filtered_and_paged(desk):
    """Broken cases stand first; a text narrows them; pages keep the filter."""
    cycle = desk.judged("r1", wrong=("golden 4 dent",))
    browser = desk.signed_in("Vera")
    page = browser.get(f"{desk.path(cycle)}/cases?change=broken").text
    assert page.count("<article") == 1
    assert "golden 4 dent" in page
    page = browser.get(f"{desk.path(cycle)}/cases?change=fixed&suite=golden").text
    assert page.count("<article") == 20
    assert "?change=fixed&amp;suite=golden&amp;page=2" in page
    assert "No case matches" in browser.get(f"{desk.path(cycle)}/cases?text=zebra").text


def test_a_release_is_rolled_back_with_a_reason(desk):
    """The page of the champion has the button; afterwards it says who answers."""
    desk.world.promoted("r1")
    browser = desk.signed_in("Mara")
    path = f"/workloads/{desk.world.workload.id}/releases/r1"
    fields = fields_of(browser.get(path).text, "/rollback") | {"reason": "two plants complain"}
    done = browser.post(f"{path}/rollback", data=fields)
    assert done.status_code == 303
    assert desk.world.state.routes.champion(desk.world.workload.id) == "base"
    row = desk.world.state.audit.of()[-1]
    assert (row.event, row.actor) == ("rollback.done", "Mara")
    assert (row.details["identity"], row.details["channel"]) == ("verified", "desk")
    page = browser.get(done.headers["location"]).text
    assert "The rollback is done" in page
    assert "Nothing to roll back" in page


@pytest.fixture
def taken_back(desk):
    """Return the cycle of r2, which the guards of its canary took back."""
    world = desk.world
    world.promoted("r1")
    path = {"canary": [{"share": 0.5, "days": 1}]}
    world.workload = make_workload(world.workload.id, release=path)
    cycle = world.approved("r2")
    world.promote(cycle)
    world.pass_days(1)
    world.advance("worse")
    return cycle


def test_a_release_that_was_taken_back_is_tried_again(desk, taken_back):
    """The page offers it until it was asked for; who asked cannot approve, another person can."""
    state, path = desk.world.state, f"/workloads/{taken_back.workload_id}/releases/r2"
    browser = desk.signed_in("Mara")
    fields = fields_of(browser.get(path).text, "/retry") | {"reason": "the replica was mended"}
    done = browser.post(f"{path}/retry", data=fields)
    assert done.status_code == 303
    assert state.cycles.get(taken_back.ref).status == "awaiting_approval"
    row = state.audit.of()[-1]
    assert (row.event, row.actor) == ("release.retried", "Mara")
    assert (row.details["identity"], row.details["channel"]) == ("verified", "desk")
    page = browser.get(done.headers["location"]).text
    assert "waits for the approval of somebody else" in page
    assert "Ask for another try" not in page
    again = browser.post(f"{path}/retry", data=fields)
    assert again.status_code == 409
    assert "no release of it was taken back" in again.text
    assert "Mara" in requesters(taken_back, state.cycles.attempt(taken_back.ref))


def test_another_try_is_offered_to_nobody_else(desk, taken_back):
    """Not for the champion, not where another champion answers, and not to a viewer."""
    where = f"/workloads/{taken_back.workload_id}/releases"
    assert "Another try" not in desk.signed_in("Mara").get(f"{where}/r1").text
    viewer = desk.signed_in("Vera")
    assert "takes the role annotator lead" in viewer.get(f"{where}/r2").text
    token = fields_of(desk.signed_in("Mara").get(f"{where}/r2").text, "/retry")
    refused = viewer.post(f"{where}/r2/retry", data=token | {"reason": "please"})
    assert refused.status_code == 403
    desk.world.promoted("r3")
    assert "Another try" not in desk.signed_in("Mara").get(f"{where}/r2").text
    assert desk.world.state.cycles.get(taken_back.ref).status == "rolled_back"


def test_every_page_is_json_too(desk):
    """The facts of a page are its JSON, with moments in ISO 8601."""
    cycle = desk.judged("r1")
    browser = desk.signed_in("Vera")
    facts = browser.get(f"{desk.path(cycle)}?format=json").json()
    assert facts["gate"]["outcome"] == "pass"
    assert facts["opening"]["opened_at"] == "2026-04-01T06:00:00+00:00"
    for path in ("/", f"{desk.path(cycle)}/cases", "/audit"):
        answer = browser.get(path, params={"format": "json"})
        assert answer.headers["content-type"] == "application/json"
        assert json.loads(answer.text)


def test_a_label_that_changed_since_is_on_the_page_of_its_snapshot(desk):
    """People corrected a golden row after the snapshot was built."""
    from flywheel.usecases.desk.cycle_page import read_cycle

    cycle = desk.judged("r1")
    attempt = desk.world.state.cycles.attempt(cycle.ref)
    desk.relabel(attempt.dataset.hash, cycle.name, then="dent", now="stain")
    [changed] = read_cycle(desk.platform, cycle.ref).data.changed
    assert (changed.label_then, changed.label_now, changed.status) == ("dent", "stain", "accepted")


def test_the_audit_is_read_newest_first_and_found(desk):
    """A text narrows the rows to a person's."""
    page = desk.signed_in("Vera").get("/audit?text=person/mara").text
    assert page.count("<summary>") == 1
    assert "person.added" in page


def test_a_stage_shows_its_verdicts_over_time(desk):
    """The newest one with its figures, all of them in a picture and a table, and the way back."""
    cycle = desk.judged("r1")
    state, workload_id = desk.world.state, desk.world.workload.id
    with state.leases.hold(promotion_lease(workload_id)) as lease:
        stage = state.stages.begin(
            workload_id,
            release="r1",
            champion="base",
            number=1,
            kind="canary",
            share=0.1,
            reason="approved by Mara",
            lease=lease,
        )
    figures = {"answers": 40, "errors of the candidate": 0.025}
    state.stages.add_look(stage, outcome="go_on", reason="40 answers", figures=figures)
    desk.world.clock.move_to(desk.world.clock.now() + timedelta(minutes=5))
    state.stages.add_look(stage, outcome="worse", reason="errors rose", figures=figures)
    page = desk.signed_in("Mara").get(f"/workloads/{workload_id}/releases/r1").text
    assert "Canary, 10 % of the subjects" in page
    assert re.findall(r'<circle class="([a-z-]+)" cx="([\d.]+)"', page) == [
        ("go-on", "6.0"),
        ("worse", "634.0"),
    ]
    assert "errors of the candidate" in page
    assert page.index("errors rose") < page.index("40 answers</td>")
    assert ">Roll back</button>" in page
    assert cycle.name in page


def test_pairs_that_disagree_are_side_by_side(desk):
    """Of one release's shadow alone, newest first, with how many agree."""
    desk.judged("r1")
    workload_id, now = desk.world.workload.id, desk.world.clock.now()
    rows = [
        {
            "workload_id": workload_id,
            "day": now.date(),
            "inference_id": f"i{number}",
            "champion": "base",
            "candidate": release,
            "event_time": now + timedelta(seconds=number),
            "input": f"pump {number}",
            "champion_output": '"dent"',
            "candidate_output": answer,
            "same_answer": answer == '"dent"',
            "candidate_error": None if answer else "timeout",
        }
        for number, (release, answer) in enumerate(
            [("r1", '"dent"'), ("r1", '"stain"'), ("r1", None), ("r0", '"stain"')]
        )
    ]
    desk.append("shadow_pairs", *rows)
    page = desk.signed_in("Vera").get(f"/workloads/{workload_id}/releases/r1").text
    assert "2 of 3 requests got another answer" in page
    assert re.findall(r"<blockquote>(.*?)</blockquote>", page) == ["pump 2", "pump 1"]
    assert "timeout" in page


def test_a_judge_shows_how_it_was_compared_with_people(tmp_path, registry):
    """On the first page and as JSON: whether its word counts, and every comparison."""
    desk = DeskWorld(tmp_path, registry, judge=judge_rules("http://127.0.0.1:9/v1"))
    try:
        desk.add_people()
        before = desk.signed_in("Vera").get("/").text
        assert "only orders the review queue" in before
        now, workload = desk.world.clock.now(), desk.world.workload
        row = {
            "workload_id": workload.id,
            "digest": standing_digest(desk.platform, workload),
            "source": "critic",
            "judged": 120,
            "agreement": 0.925,
            "lower": 0.864,
            "upper": 0.96,
            "slope": 0.5,
            "floor": 0.6,
            "calibrated": True,
            "reason": "it agrees <b>well</b>",
            "simulated": True,
            "calibrated_at": now,
            "expires_at": now + timedelta(days=90),
        }
        former = row | {"digest": "f" * 64, "source": "former", "calibrated": False}
        desk.append("judge_calibrations", row, former | {"calibrated_at": now - timedelta(days=9)})
        browser = desk.signed_in("Vera")
        page = browser.get("/").text
        for text in ("counts until 2026-06-30", "Compared with people (2)", "0.925", "former"):
            assert text in page
        assert "it agrees &lt;b&gt;well&lt;/b&gt; (simulated people)" in page
        [line] = browser.get("/?format=json").json()["workloads"]
        assert line["judge"]["standing"]["calibrated"] is True
        sources = [one["source"] for one in line["judge"]["calibrations"]]
        assert sources == ["critic", "former"]
    finally:
        desk.close()


class Extractor(FakeModelServer):
    """The base makes an order number up where there is none; a release reads invoices right."""

    def answer(self, release, codec, inputs, *, shots=()):
        """Answer as the arm does."""
        self.replies[release] = _made_up if release == "base" else _right
        return super().answer(release, codec, inputs, shots=shots)


def _right(text):
    return invoice(int(text.split("INV-")[1][:5]))[1]


def _made_up(text):
    return _right(text) | {"po_number": "PO0", "currency": "EUR"}


def _invoice_rows(workload, split, count):
    first = 100 * len(split)  # other invoices in each split
    return [
        {
            "inference_id": f"{split}-{number}",
            "correction_id": f"c-{split}-{number}",
            "input": text,
            "prompt": render_prompt(workload, text).text,
            "completion": json.dumps(answer),
            "output": answer,
            "label_id": None,
        }
        for number in range(first, first + count)
        for text, answer in [invoice(number)]
    ]


def test_fields_of_an_extraction_have_macro_figures_and_made_up_values(
    tmp_path, registry, monkeypatch
):
    """On the page and as JSON: per field, and of all fields together."""
    monkeypatch.setattr(release_world, "rows_for", _invoice_rows)
    task = {"type": "extraction", "schema": SCHEMA}
    desk = DeskWorld(tmp_path, registry, task=task, taxonomy=None)
    try:
        desk.add_people()
        desk.world.server = Extractor({})
        cycle = desk.judged("r1")
        browser = desk.signed_in("Vera")
        facts = browser.get(f"{desk.path(cycle)}?format=json").json()["gate"]
        [order] = [
            line
            for line in facts["fields"]
            if (line["suite"], line["field"]) == ("golden", "po_number")
        ]
        assert (order["expected"], order["absent"]) == (45, 45)
        assert (order["champion_made_up"], order["candidate_made_up"]) == (45, 0)
        assert (order["champion_macro_f1"], order["candidate_macro_f1"]) == (0.0, 1.0)
        averages = {
            line["arm"]: line for line in facts["field_averages"] if line["suite"] == "golden"
        }
        assert averages["candidate"]["macro_f1"] == averages["candidate"]["micro_f1"] == 1.0
        assert averages["champion"]["macro_f1"] < averages["champion"]["micro_f1"] < 1.0
        page = browser.get(desk.path(cycle)).text
        assert all(text in page for text in ("made up by candidate", "macro recall"))
        row = page.split('<th scope="row">po_number</th>')[1].split("</tr>")[0]
        assert re.findall(r'<td class="n">([^<]*)</td>', row)[-3:] == ["45", "0", "45"]
    finally:
        desk.close()
