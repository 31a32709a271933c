import random

from flywheel.review.sampling.label_errors import doubtful_labels

_WORDS = {f"label-{n}": [f"w{n}{letter}" for letter in "abcdefgh"] for n in range(8)}
_COMMON = ["the", "my", "a", "please", "now", "it", "was", "not"]


def planted(count=400, share=0.05, seed=1):
    """Return texts, labels of which a share is wrong, and the positions of the wrong ones."""
    rng = random.Random(seed)  # noqa: S311 - simulation
    names = sorted(_WORDS)
    truth = [names[n % len(names)] for n in range(count)]
    texts = [" ".join(rng.sample(_WORDS[name], 3) + rng.sample(_COMMON, 4)) for name in truth]
    wrong = set(rng.sample(range(count), round(count * share)))
    labels = [
        rng.choice([other for other in names if other != name]) if n in wrong else name
        for n, name in enumerate(truth)
    ]
    return texts, labels, wrong


def test_planted_errors_are_the_least_credible_labels():
    """Of 5 % planted errors nine of ten are within a budget of 5 % of the labels."""
    texts, labels, wrong = planted()
    worst = [one.position for one in doubtful_labels(texts, labels, seed=3)[: len(wrong)]]
    assert len(wrong & set(worst)) >= 0.9 * len(wrong)  # by chance 0.05 of them


def test_alternative_is_the_label_that_the_text_deserves():
    """The label that others give to such texts is named."""
    texts, labels, wrong = planted()
    names = sorted(_WORDS)
    for one in doubtful_labels(texts, labels, seed=3)[:10]:
        assert one.position in wrong
        assert one.alternative == names[one.position % len(names)]
        assert 0 <= one.quality < 0.5


def test_clean_labels_are_hardly_doubted():
    """Where nothing is wrong, nearly nothing is asked again."""
    texts, labels, _ = planted(share=0.0)
    assert len(doubtful_labels(texts, labels, seed=3)) <= 4


def test_order_is_that_of_the_seed_alone():
    """The same labels and seed give the same list."""
    texts, labels, _ = planted(120)
    assert doubtful_labels(texts, labels, seed=3) == doubtful_labels(texts, labels, seed=3)


def test_rare_labels_and_single_labels_are_not_judged():
    """A label with four texts is no error because it is rare, and one label contradicts nothing."""
    texts, labels, _ = planted(120, share=0.0)
    rare = doubtful_labels([*texts, *["odd words here"] * 4], [*labels, *["rare"] * 4], seed=3)
    assert all(one.position < 120 for one in rare)
    assert doubtful_labels(texts, ["one"] * 120, seed=3) == []
    assert doubtful_labels([], [], seed=3) == []
