import random

from flywheel.similarity.near_duplicates import Match, NearDuplicates, closest_matches, shingles

LONG = "the hydraulic press on line four leaks oil onto the floor near the emergency exit"


def jaccard(one, other):
    """Compute the similarity the slow way."""
    left, right = shingles(one), shingles(other)
    return len(left & right) / len(left | right)


def test_equal_text_is_found_whatever_its_spelling():
    """An exact repetition in other case and punctuation is found with similarity 1."""
    known = NearDuplicates(0.85, [("a", LONG)])
    assert known.find(LONG.upper() + "!!") == Match("a", 1.0)


def test_typo_is_a_near_duplicate_and_another_text_is_not():
    """One changed letter is found, another report is not."""
    known = NearDuplicates(0.8, [("a", LONG)])
    assert known.find(LONG.replace("floor", "flour")).key == "a"
    assert known.find("the motor of the conveyor belt is too hot") is None


def test_closest_of_several_is_returned():
    """Of two near-duplicates the more similar one is named."""
    known = NearDuplicates(
        0.5, [("far", LONG.replace("oil onto the floor", "gas")), ("near", LONG + " now")]
    )
    assert known.find(LONG).key == "near"


def test_short_and_empty_texts_are_compared_too():
    """Texts shorter than a shingle have a normal form and no error."""
    known = NearDuplicates(0.85, [("a", "ok"), ("b", "")])
    assert known.find("OK").key == "a"
    assert known.find("").key == "b"
    assert known.find("no") is None


def test_index_agrees_with_the_full_comparison():
    """Hashing misses none of the near-duplicates that comparing every pair finds."""
    rng = random.Random(5)  # noqa: S311 - test texts
    words = [
        *LONG.split(),
        "motor",
        "belt",
        "hot",
        "noise",
        "crack",
        "paint",
        "weld",
        "bolt",
        "loose",
        "seal",
        "pump",
        "gear",
    ]
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(150)]
    altered = []
    for text in texts:
        parts = text.split()
        parts[rng.randrange(12)] = rng.choice(words)
        altered.append(" ".join(parts))
    known = [(str(number), text) for number, text in enumerate(texts)]
    index = NearDuplicates(0.6, known)
    full = closest_matches(altered, known, 0.6)
    found = [index.find(text) for text in altered]
    assert [m is None for m in found] == [m is None for m in full]
    assert sum(m is not None for m in full) > 100
    for text, match in zip(altered, full, strict=True):
        if match is not None:
            assert abs(match.similarity - jaccard(text, texts[int(match.key)])) < 1e-9


def test_full_comparison_of_nothing_finds_nothing():
    """No texts or nothing known is no error."""
    assert closest_matches([], [("a", "x")], 0.5) == []
    assert closest_matches(["x"], [], 0.5) == [None]
