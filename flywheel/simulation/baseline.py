"""The plain alternative to compare with: TF-IDF and logistic regression on the same labels."""

from collections.abc import Sequence

__all__ = ["tfidf_accuracy"]


def tfidf_accuracy(
    train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str]], *, seed: int
) -> float:
    """Fit on (text, label) pairs and return the accuracy on the test pairs, in [0, 1]."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=20.0, max_iter=2000, random_state=seed),
    )
    texts, labels = zip(*train, strict=True)
    model.fit(texts, labels)
    test_texts, test_labels = zip(*test, strict=True)
    return float(model.score(test_texts, test_labels))
