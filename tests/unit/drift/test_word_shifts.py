from flywheel.drift.cause import word_shifts
from flywheel.drift.merged import Histogram, Profile


def profile(texts, **words):
    """Return a profile of so many texts and of the texts that hold each word."""
    return Profile(texts, texts, {"vocabulary": Histogram("term", words)})


def test_all_new_words_are_named():
    """Six words that nobody wrote before, each in one of sixty texts."""
    new = {f"new{letter}": 23 for letter in "abcdef"}
    rising, falling = word_shifts(profile(5_600, usual=4_000), profile(1_400, usual=1_000, **new))
    assert {shift.word for shift in rising} == set(new)
    assert falling == ()
