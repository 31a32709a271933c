"""The audit chain: whole as it grows, broken by any change."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from flywheel.errors import IntegrityError


def tamper(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def unlocked(url: str, statement: str) -> None:
    drops = ["DROP TRIGGER audit_append_only ON audit"]
    if url.startswith("sqlite"):
        drops = ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
    tamper(url, *drops, statement)


@pytest.fixture
def chain(state):
    """Return a state with five audit rows."""
    for number in range(5):
        state.audit.append("promotion.done", f"w/{number}", "bob", {"größe": number, "ok": True})
    return state


def test_whole_chain_verifies(chain):
    """Length and newest hash are told, rows come back as they went in."""
    count, newest = chain.audit.verify()
    rows = chain.audit.of()
    assert (count, newest) == (5, rows[-1].hash)
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert chain.audit.of("w/3")[0].details == {"größe": 3, "ok": True}


def test_empty_chain_verifies(state):
    """Nothing happened yet, and nothing is wrong."""
    assert state.audit.verify() == (0, "0" * 64)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'eve' WHERE seq = 3",
        "UPDATE audit SET details = '{}' WHERE seq = 3",
        "UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE seq = 3",
        "UPDATE audit SET seq = 9 WHERE seq = 5",
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 1",
    ],
)
def test_tampering_is_found(chain, url, statement):
    """A changed, removed or moved row breaks the chain."""
    unlocked(url, statement)
    with pytest.raises(IntegrityError, match="audit is broken"):
        chain.audit.verify()


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit"])
def test_database_refuses_changes_to_the_audit(chain, url, statement):
    """Rows can only be added."""
    with pytest.raises(DBAPIError, match="append-only"):
        tamper(url, statement)


def test_cut_off_end_shows_in_length_and_hash(chain, url):
    """Newest rows cut off leave a whole chain: length and hash kept elsewhere tell it."""
    before = chain.audit.verify()
    unlocked(url, "DELETE FROM audit WHERE seq = 5")
    assert chain.audit.verify() != before
