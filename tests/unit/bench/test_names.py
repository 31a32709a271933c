"""The names that `python -m bench` takes."""

import pytest

from bench.__main__ import main


def test_a_name_that_is_no_benchmark_is_answered_with_those_there_are(capsys):
    """Before anything is measured, and without a traceback."""
    with pytest.raises(SystemExit) as ended:
        main(["gateway", "unheard-of"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "no such benchmark: unheard-of" in said
    assert "decisions" in said
    assert "orchestration" in said
