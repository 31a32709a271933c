import logging

import numpy as np

from flywheel.similarity.sentence_vectors import (
    encode_sentences,
    nearest_similarity,
    similarity_to,
)


def test_meaning_is_closer_than_words_apart():
    """Two reports of one fault are closer than two of different ones."""
    oil, leak, bill = encode_sentences(
        ["oil leaks from the press", "the press is leaking oil", "my invoice was not paid"]
    )
    assert oil @ leak > 0.7 > oil @ bill


def test_vectors_have_unit_length_and_no_words_give_zero():
    """An empty text gives a zero vector, not a warning or a NaN."""
    vectors = encode_sentences(["oil leaks", ""])
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0], atol=1e-5)
    assert encode_sentences([]).shape == (0, 256)


def test_nearest_similarity_takes_the_best_of_the_known():
    """Each text is as near as its nearest known text; with nothing known it is at -1."""
    known = encode_sentences(["oil leaks", "loud noise"])
    assert nearest_similarity(known, known).tolist() == [1, 1]
    assert nearest_similarity(known, known[:0]).tolist() == [-1, -1]


def test_similarity_to_one_vector_equals_the_plain_product():
    """Working in blocks changes nothing."""
    vectors = encode_sentences([f"machine {number} leaks" for number in range(2500)])
    assert np.allclose(similarity_to(vectors, vectors[7]), vectors @ vectors[7], atol=1e-6)
    assert similarity_to(vectors[:0], vectors[7]).shape == (0,)


def test_loading_leaves_the_root_logger_alone():
    """The vendor configures logging when imported; the application keeps its own setting."""
    encode_sentences(["oil"])
    assert logging.getLogger().level == logging.WARNING
