"""How to reach Kafka, and the options that every client of it gets.

The client's defaults are unsafe here (positions committed by themselves, reading from the end,
uncommitted records, silent resets, topics made by asking for them), so that none of them is left.
"""

import socket
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.eventlog.kafka_errors import translated
from flywheel.ports.event_log import RECORD_BYTES

__all__ = ["KafkaConnection"]

_MEBIBYTE = 2**20
_FETCH_BYTES = 32 * _MEBIBYTE
_PARTITION_FETCH_BYTES = 4 * _MEBIBYTE
_FETCH_WAIT_SECONDS = 0.25
_PRODUCE_BATCH_BYTES = 128 * 2**10
_LINGER_SECONDS = 0.01
_CONNECT_SECONDS = 5.0
# A record's own cost beside key and value, in a batch of its own: at most about 100 bytes.
_OVERHEAD_BYTES = 1_024


class _Masked(str):
    """A secret that is written as stars wherever a client logs its options."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


@dataclass(frozen=True)
class KafkaConnection:
    """One cluster as one user sees it.

    ``session_seconds`` is how long a silent member keeps its partitions, ``member`` its fixed name
    (unique among the group's processes), with which it may restart in that time and keep them.
    """

    servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    member: str | None = None
    timeout_seconds: float = 30.0
    session_seconds: float = 15.0
    busy_seconds: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, and warn of what travels in the clear."""
        if self.security_protocol.startswith("SASL") and not (
            self.sasl_mechanism and self.username and self.password
        ):
            raise ConfigurationError(
                f"{self.security_protocol} needs a mechanism, a user and a password.",
                next_step="set FLYWHEEL_KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD",
            )
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ConfigurationError(
                f"There is no file {self.ca_file}.", next_step="correct FLYWHEEL_KAFKA_CA_FILE"
            )
        away = [host for host, _ in _addresses(self.servers) if not _is_loopback(host)]
        if away and not self.security_protocol.endswith("SSL"):
            warnings.warn(
                f"Events{' and password' if self.password else ''} travel unencrypted to "
                f"{', '.join(away)}: set FLYWHEEL_KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL.",
                stacklevel=3,
            )

    def options(self) -> dict[str, Any]:
        """Return the settings that every client shares."""
        password = self.password and _Masked(self.password.get_secret_value())
        wait = int(self.timeout_seconds * 1000)
        return {
            "bootstrap_servers": self.servers.split(","),
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": password,
            "ssl_cafile": str(self.ca_file) if self.ca_file else None,
            "client_id": "flywheel",
            "bootstrap_timeout_ms": wait,
            "request_timeout_ms": wait,
            "reconnect_backoff_max_ms": 2_000,
            # New partitions and new leaders are seen after this long at the latest.
            "metadata_max_age_ms": 10_000,
        }

    def admin(self) -> Any:
        """Open a client for topics and offsets."""
        from kafka import KafkaAdminClient

        return self._opened(KafkaAdminClient, self.options())

    def producer(self) -> Any:
        """Open a producer that has every record on all in-sync replicas, once and in order."""
        from kafka import KafkaProducer

        wait = int(self.timeout_seconds * 1000)
        options = {
            # A request fails a while before the record's own time is over.
            "request_timeout_ms": wait // 2,
            "delivery_timeout_ms": wait,
            "max_block_ms": wait,
            "acks": "all",
            "enable_idempotence": True,
            "max_request_size": RECORD_BYTES + _OVERHEAD_BYTES,
            "batch_size": _PRODUCE_BATCH_BYTES,
            "linger_ms": int(_LINGER_SECONDS * 1000),
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        return self._opened(KafkaProducer, self.options() | options)

    def consumer(self, group: str) -> Any:
        """Open a member of a group that never moves its position by itself."""
        from kafka import KafkaConsumer
        from kafka.coordinator.assignors.range import (
            RangePartitionAssignor,
        )

        options = {
            "group_id": group,
            "group_instance_id": self.member,
            "enable_auto_commit": False,
            # Not "earliest": the client would use it as well where the log lost records.
            "auto_offset_reset": "none",
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
            "partition_assignment_strategy": [RangePartitionAssignor],
            "session_timeout_ms": int(self.session_seconds * 1000),
            "heartbeat_interval_ms": int(self.session_seconds * 1000 / 10),
            "max_poll_interval_ms": int(self.busy_seconds * 1000),
            "fetch_max_bytes": _FETCH_BYTES,
            "max_partition_fetch_bytes": _PARTITION_FETCH_BYTES,
            "fetch_max_wait_ms": int(_FETCH_WAIT_SECONDS * 1000),
            "metrics_enabled": False,
        }
        return self._opened(KafkaConsumer, self.options() | options)

    def _opened(self, kind: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        # A client that cannot connect leaves its thread and sockets behind, and tries for long.
        from kafka.errors import KafkaTimeoutError
        from kafka.net.compat import KafkaNetClient

        self._require_listener()
        made: list[Any] = []

        def client(**told: Any) -> Any:
            made.append(KafkaNetClient(**told))
            return made[-1]

        with translated(f"connecting to {self.servers}"), ExitStack() as after_failure:
            after_failure.callback(lambda: [half.close() for half in made])
            try:
                opened = kind(**options, kafka_client=client)
            except KafkaTimeoutError as error:
                # A wrong password or protocol ends so as well: the broker just hangs up.
                raise UnavailableError(
                    f"Something listens at {self.servers}, but it did not let this client in.",
                    next_step="wait for the broker to be up, or correct FLYWHEEL_KAFKA_* (protocol "
                    f"{self.security_protocol}, user {self.username}, its password)",
                ) from error
            after_failure.pop_all()
            return opened

    def _require_listener(self) -> None:
        errors = []
        for host, port in _addresses(self.servers):
            try:
                seconds = min(self.timeout_seconds, _CONNECT_SECONDS)
                with socket.create_connection((host, port), timeout=seconds):
                    return
            except OSError as error:
                errors.append(f"{host}:{port}: {error}")
        raise UnavailableError(
            f"No Kafka broker can be reached ({'; '.join(errors)}).",
            next_step="start it (`flywheel services up`), or correct FLYWHEEL_KAFKA_SERVERS",
        )


def _addresses(servers: str) -> list[tuple[str, int]]:
    from kafka.cluster import collect_hosts

    try:
        return [(host, port) for host, port, _ in collect_hosts(servers, randomize=False)]
    except ValueError as error:
        raise ConfigurationError(
            f"{servers!r} is not a list of brokers.",
            next_step="set FLYWHEEL_KAFKA_SERVERS to host:port, separated by commas",
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
