"""Which releases answer now, by the route table."""

from sqlalchemy import insert

from flywheel.state.schema import routes


def test_base_answers_before_the_first_promotion(state):
    """Without a row in the table the base model is asked."""
    assert state.routes.answering("w") == {"base"}


def test_champion_and_canary_answer_and_a_shadow_does_not(state):
    """A canary without weight answers nobody."""
    with state.leases.hold("w") as lease:
        state.routes.switch_champion("w", expected="base", release="r1", reason="", lease=lease)
    for route, release, weight in (("canary", "r2", 0.1), ("shadow", "r3", 1.0)):
        with state._database.write() as connection:
            connection.execute(
                insert(routes).values(
                    workload_id="w",
                    route=route,
                    release=release,
                    weight=weight,
                    changed_at=state.clock.now(),
                    reason="",
                )
            )
    assert state.routes.answering("w") == {"r1", "r2"}
