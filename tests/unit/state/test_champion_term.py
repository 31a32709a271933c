from datetime import UTC, datetime, timedelta

from flywheel.clock import ManualClock
from flywheel.state import State
from flywheel.state.champion_term import ChampionTerm, champion_term
from tests.fakes.state_rows import put_champion

FIRST = datetime(2026, 4, 1, tzinfo=UTC)
SECOND = FIRST + timedelta(days=60)
BACK = FIRST + timedelta(days=70)


def test_a_release_that_was_put_back_answers_since_the_rollback(tmp_path):
    """Its reference stays that of its own promotion: what drifted since then has not gone away."""
    clock = ManualClock(FIRST)
    state = State.open(f"sqlite:///{tmp_path / 'state.db'}", clock)
    assert champion_term(state, "w") == ChampionTerm("base", None, None)
    put_champion(state, "w", "r1", promoted_at=FIRST)
    assert champion_term(state, "w") == ChampionTerm("r1", FIRST, FIRST)
    clock.move_to(SECOND)
    put_champion(state, "w", "r2", promoted_at=SECOND)
    assert champion_term(state, "w") == ChampionTerm("r2", SECOND, SECOND)
    clock.move_to(BACK)
    put_champion(state, "w", "r1")
    assert champion_term(state, "w") == ChampionTerm("r1", FIRST, BACK)
    clock.move_to(BACK + timedelta(days=1))
    put_champion(state, "w", "base")
    assert champion_term(state, "w") == ChampionTerm("base", SECOND, BACK + timedelta(days=1))
    state.close()


def test_without_a_route_the_newest_promotion_counts(tmp_path):
    """A simulation dates promotions and switches no route."""
    state = State.open(f"sqlite:///{tmp_path / 'state.db'}", ManualClock(BACK))
    put_champion(state, "w", "r1", promoted_at=FIRST)
    put_champion(state, "w", "base")
    state.releases.change("r1", promoted_at=BACK + timedelta(days=2))
    assert champion_term(state, "w").answering_since == BACK + timedelta(days=2)
    state.close()
