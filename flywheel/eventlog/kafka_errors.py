"""Kafka's errors in our words: the one place that knows them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flywheel.errors import (
    ConcurrencyError,
    ConfigurationError,
    DataError,
    FlywheelError,
    LogGapError,
    NotFoundError,
    StorageError,
    UnavailableError,
)

__all__ = ["translate", "translated"]

# Names of kafka.errors, looked up along a class's ancestors, so that a subclass which a newer
# client brings finds its parent's meaning. Names, since the library is imported where it is used.
_MEANINGS: Sequence[tuple[type[FlywheelError], str, frozenset[str]]] = (
    (
        NotFoundError,
        "make it with `flywheel topics apply`, or correct the name",
        frozenset({"UnknownTopicOrPartitionError", "UnknownTopicIdError"})
        | {"InconsistentTopicIdError", "GroupIdNotFoundError", "ResourceNotFoundError"},
    ),
    (
        LogGapError,
        "see `flywheel verify`, and declare a loss with `flywheel dlq gap`",
        frozenset({"OffsetOutOfRangeError", "LogTruncationError", "NoOffsetForPartitionError"})
        | {"PositionOutOfRangeError"},
    ),
    (
        ConcurrencyError,
        "poll again to join the group; what was read lands once, whichever process lands it",
        frozenset({"CommitFailedError", "RebalanceInProgressError", "IllegalGenerationError"})
        | {"UnknownMemberIdError", "FencedMemberEpochError", "StaleMemberEpochError"}
        | {"MemberIdRequiredError", "TopicAlreadyExistsError"},
    ),
    (
        DataError,
        "send less in one record, or raise max.message.bytes of the topic",
        frozenset({"MessageSizeTooLargeError", "RecordListTooLargeError", "InvalidRecordError"})
        | {"RecordTooLargeError", "InvalidTimestampError"},
    ),
    (
        StorageError,
        "look at the broker's disk; the records from there on cannot be trusted",
        frozenset({"CorruptRecordError", "InvalidReceiveError", "LogDirNotFoundError"}),
    ),
    (
        ConfigurationError,
        "correct FLYWHEEL_KAFKA_* (user, password, mechanism), or give the user its rights",
        frozenset({"AuthorizationError", "SaslAuthenticationFailedError"})
        | {"UnsupportedSaslMechanismError", "IllegalSaslStateError", "SecurityDisabledError"}
        | {"UnacceptableCredentialError", "DelegationTokenExpiredError"},
    ),
    (
        ConfigurationError,
        "give every ingest process a FLYWHEEL_KAFKA_MEMBER of its own: another one has taken this",
        frozenset({"FencedInstanceIdError", "UnreleasedInstanceIdError"}),
    ),
    (
        UnavailableError,
        "try again; if it persists, look at the broker's log",
        frozenset({"RetriableError", "BrokerNotAvailableError", "UnknownBrokerIdError"})
        | {"UnknownError", "KafkaProtocolError", "QuotaViolationError"}
        # What a producer may lose with its broker; the records are sent again by a new one.
        | {"OutOfOrderSequenceNumberError", "InvalidProducerEpochError", "UnknownProducerIdError"}
        | {"DuplicateSequenceNumberError", "InvalidProducerIdMappingError"},
    ),
)
_OTHERWISE = (ConfigurationError, "correct the setting, or see what the broker's log says")


def translate(error: Exception, operation: str) -> FlywheelError:
    """Return our error for one of Kafka's.

    Args:
        error: what the client raised.
        operation: what was tried, as in "reading flywheel.feedback".
    """
    ancestors = {kind.__name__ for kind in type(error).__mro__}
    meaning = next(
        ((kind, step) for kind, step, names in _MEANINGS if names & ancestors), _OTHERWISE
    )
    return meaning[0](f"Kafka, {operation}: {error}", next_step=meaning[1])


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Raise our errors for Kafka's in the block."""
    from kafka.errors import KafkaError

    try:
        yield
    except KafkaError as error:
        raise translate(error, operation) from error
    except OSError as error:
        raise UnavailableError(
            f"Kafka, {operation}: {error}", next_step="look whether the broker can be reached"
        ) from error
    except RuntimeError as error:
        # The client's loop ends so when it is closed meanwhile, or finds no controller.
        raise UnavailableError(f"Kafka, {operation}: {error}", next_step="try again") from error
