"""Reasons in the table of cycles."""

from flywheel.cli.cycles import _short_reason


def test_long_reason_is_cut_between_words():
    """Ids are whole or not there; the first statements stay; a short reason stays as it is."""
    release = "tickets.2026Q4-1.0123456789"
    assert _short_reason(f"{release} is champion") == f"{release} is champion"
    reason = (
        f"{'golden set is worse than the champion by 0.05 ' * 2}; {release} {release} lost again"
    )
    short = _short_reason(reason)
    assert short.endswith(" …")
    assert len(short) <= 122
    assert reason.startswith(short.removesuffix(" …"))
    assert short.removesuffix(" …").split()[-1] in reason.replace(";", "").split()
    assert "x" * 300 in _short_reason("x" * 300)
