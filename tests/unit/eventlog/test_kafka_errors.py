"""Every error of the Kafka client has a meaning in our words."""

import inspect

import pytest

from flywheel.errors import (
    ConcurrencyError,
    ConfigurationError,
    DataError,
    FlywheelError,
    LogGapError,
    NotFoundError,
    StorageError,
    TransientError,
    UnavailableError,
)
from flywheel.eventlog.kafka_errors import translate, translated

errors = pytest.importorskip("kafka.errors")


def _classes() -> list[type[Exception]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.KafkaError)
    ]


def _made(kind: type[Exception]) -> Exception:
    return kind({}) if kind is errors.LogTruncationError else kind("why")


@pytest.mark.parametrize("kind", _classes(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_client_is_translated(kind):
    """None escapes, each says what was tried and what to do, and what may pass is transient."""
    with pytest.raises(FlywheelError) as caught, translated("reading a topic"):
        raise _made(kind)
    error = caught.value
    assert "reading a topic" in error.message
    assert error.next_step
    unless = (NotFoundError, LogGapError)
    if issubclass(kind, errors.RetriableError) and not isinstance(error, unless):
        assert isinstance(error, TransientError)


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        (errors.KafkaTimeoutError, UnavailableError),
        (errors.KafkaConnectionError, UnavailableError),
        (errors.NodeNotReadyError, UnavailableError),
        (errors.NotEnoughReplicasError, UnavailableError),
        (errors.UnknownError, UnavailableError),
        (errors.UnknownTopicOrPartitionError, NotFoundError),
        (errors.UnknownTopicIdError, NotFoundError),
        (errors.OffsetOutOfRangeError, LogGapError),
        (errors.CommitFailedError, ConcurrencyError),
        (errors.RebalanceInProgressError, ConcurrencyError),
        (errors.IllegalGenerationError, ConcurrencyError),
        (errors.UnknownMemberIdError, ConcurrencyError),
        (errors.MessageSizeTooLargeError, DataError),
        (errors.CorruptRecordError, StorageError),
        (errors.TopicAuthorizationFailedError, ConfigurationError),
        (errors.SaslAuthenticationFailedError, ConfigurationError),
        (errors.FencedInstanceIdError, ConfigurationError),
        (errors.KafkaConfigurationError, ConfigurationError),
        (errors.for_code(9_999), UnavailableError),
    ],
    ids=lambda kind: kind.__name__,
)
def test_errors_mean_what_a_caller_does_about_them(kind, ours):
    """Retry, rejoin, stop for an operator, or correct a setting."""
    assert type(translate(kind("why"), "reading")) is ours


def test_an_error_that_a_newer_client_brings_takes_its_parents_meaning():
    """A class is known by its ancestors."""

    class NewError(errors.AuthorizationError):
        pass

    assert isinstance(translate(NewError("why"), "reading"), ConfigurationError)


def test_what_the_network_raises_is_unavailable():
    """A socket's own error is no bug of ours, and our own errors pass as they are."""
    with pytest.raises(UnavailableError), translated("reading"):
        raise ConnectionResetError
    with pytest.raises(DataError, match=r"^mine"), translated("reading"):
        raise DataError("mine")
