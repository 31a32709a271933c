"""A name in the traffic runs no script in Evidently's page, also when it is opened as a file."""

import re
from base64 import b64encode
from datetime import date
from hashlib import sha256

import pytest

from flywheel.drift.evidently_report import write_evidently_report
from flywheel.drift.page_policy import guarded_page
from flywheel.drift.window import Window
from flywheel.errors import MeasurementError

_SCRIPT = "</script><script>document.title='PWNED'</script>"
_COMMENT = "<!--<script>"


@pytest.fixture
def page(tmp_path, lake, land, defect_reports, drifting_calls):
    """Return the page over traffic whose clients have hostile names."""
    names = [_SCRIPT, _COMMENT, "line-1"]
    clients = [names[number % 3] for number in range(len(drifting_calls))]
    land(lake, drifting_calls, client_id=clients)
    path = write_evidently_report(
        lake,
        defect_reports,
        reference=Window(date(2026, 3, 30), date(2026, 4, 27)),
        current=Window(date(2026, 5, 11), date(2026, 5, 18)),
        path=tmp_path / "drift.html",
    )
    return path.read_text(encoding="utf-8")


def test_a_name_runs_no_script_and_only_the_scripts_of_the_page_itself_may(page):
    """The name stays text of the page's data; the policy names each script by its digest."""
    assert "PWNED" in page
    assert _SCRIPT not in page
    assert _COMMENT not in page
    assert not re.search(r"<script>\s*document\.title", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    allowed = re.search(r"script-src ([^;]+)", policy)[1]
    assert "'unsafe-inline'" not in allowed
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == allowed.count("sha256-")
    for script in scripts:
        assert b64encode(sha256(script.encode()).digest()).decode() in allowed
    assert page.index("Content-Security-Policy") < page.index("<script")


@pytest.mark.parametrize("html", ["<html></html>", "<script>var a = {</script>"])
def test_a_page_of_another_make_is_refused(html):
    """What cannot be made safe is not written."""
    with pytest.raises(MeasurementError, match="another way"):
        guarded_page(html)
