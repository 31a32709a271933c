"""What keys used is added up by day, whoever adds it."""

from datetime import date, timedelta

from flywheel.state.key_use import Used

DAY = date(2026, 3, 1)


def test_uses_are_added_up_by_day_and_key(state):
    """Two processes add to the same row; another key and another day are not concerned."""
    state.key_use.add({(DAY, "k1"): Used(1, 10), (DAY, "k2"): Used(2, 0)})
    state.key_use.add({(DAY, "k1"): Used(3, 5), (DAY + timedelta(days=1), "k1"): Used(1, 1)})
    assert state.key_use.of(DAY) == {"k1": Used(4, 15), "k2": Used(2, 0)}
    assert state.key_use.of(DAY + timedelta(days=1)) == {"k1": Used(1, 1)}


def test_days_that_nobody_asks_for_go(state):
    """Midnight differs by a clock's error at most: yesterday stays, the day before goes."""
    for days in range(3):
        state.key_use.add({(DAY + timedelta(days=days), "k1"): Used(1, 1)})
    kept = [len(state.key_use.of(DAY + timedelta(days=days))) for days in range(3)]
    assert kept == [0, 1, 1]
