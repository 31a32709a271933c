"""Frozen settings from ``FLYWHEEL_*`` variables and ``flywheel.toml``; nothing is read at import.

Which adapter stands behind a port is decided here and nowhere else.
"""

import os
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from flywheel.errors import ConfigurationError

__all__ = [
    "CONNECTIONS",
    "Settings",
    "connection",
    "load_settings",
    "make_private",
    "restrict_files",
]

# The file, in the folder of the services, that says how to reach what was started there.
CONNECTIONS = "connections.toml"
# What an adapter cannot be without.
_ADDRESSES = {
    ("event_log", "kafka"): ("kafka_servers",),
    ("review_queue", "label_studio"): ("label_studio_url", "label_studio_token"),
    ("train_launcher", "ray"): ("ray_address",),
    ("model_server", "vllm"): ("vllm_url",),
}


class Settings(BaseSettings):
    """Where things are and which adapters are used."""

    model_config = SettingsConfigDict(
        env_prefix="FLYWHEEL_", toml_file="flywheel.toml", frozen=True, extra="forbid"
    )

    home: Path = Field(
        default=Path(".flywheel/home"), description="folder of state, lake, models and runs"
    )
    workloads: Path | None = Field(
        default=None, description="folder of the workload files; default: `workloads` in home"
    )
    cache: Path = Field(
        default=Path(".flywheel/cache"),
        description="downloads and built base models, shared; default: in home, where home is set",
    )
    profile: Literal["embedded", "services"] = Field(
        default="embedded",
        description="services: what `flywheel services up` started is the default of each setting",
    )
    services: Path = Field(
        default=Path(".flywheel/services"),
        description="folder of the services that `flywheel services` starts; default: in home, where home is set",
    )
    event_log: Literal["sqlite", "kafka"] = Field(
        default="sqlite", description="where events come from"
    )
    review_queue: Literal["local", "label_studio"] = Field(
        default="local", description="where people answer: files and the terminal, or Label Studio"
    )
    train_launcher: Literal["subprocess", "ray"] = Field(
        default="subprocess", description="where adapters are trained: on this machine, or on Ray"
    )
    model_server: Literal["local", "vllm"] = Field(
        default="local", description="what answers: transformers in this process, or vLLM"
    )
    kafka_servers: str | None = Field(
        default=None, description="brokers: host:port, separated by commas"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how the connection to the broker is secured"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="how the broker authenticates"
    )
    kafka_username: str | None = Field(default=None, description="user of the broker, with SASL")
    kafka_password: SecretStr | None = Field(default=None, description="password of that user")
    kafka_ca_file: Path | None = Field(
        default=None, description="PEM file of the authority that signed the broker's certificate"
    )
    kafka_member: str | None = Field(
        default=None, description="static group member id of one ingest process"
    )
    state_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL of the state; default: SQLite in home"
    )
    mlflow_url: SecretStr | None = Field(
        default=None, description="tracking and registry URI of MLflow; default: SQLite in home"
    )
    dagster_url: SecretStr | None = Field(
        default=None, description="PostgreSQL of Dagster's storage; default: SQLite in home"
    )
    label_studio_url: str | None = Field(
        default=None, description="address of Label Studio: http://host:port"
    )
    label_studio_token: SecretStr | None = Field(
        default=None, description="personal access token of Flywheel's own account"
    )
    webhook_url: str | None = Field(
        default=None, description="where Label Studio finds `flywheel webhooks`; default: none"
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="header that Label Studio's webhooks carry"
    )
    ray_address: str | None = Field(default=None, description="http://host:port of Ray's dashboard")
    ray_token: SecretStr | None = Field(
        default=None, description="token of a Ray that asks for one"
    )
    train_gpus: float = Field(
        default=0, ge=0, description="GPUs that one training reserves of a Ray worker"
    )
    train_resource: str | None = Field(
        default="trainer", description="Ray resource that one training reserves one of"
    )
    train_memory_gb: float | None = Field(
        default=None,
        gt=0,
        description="memory at which a training on Ray is stopped; default: none",
    )
    train_lease_seconds: float = Field(
        default=900,
        gt=0,
        description="how long a training on Ray goes on when nobody waits for it any more",
    )
    train_exchange: str | None = Field(
        default=None, description="URL (fsspec) that Ray's workers share; default: a folder in home"
    )
    vllm_url: str | None = Field(
        default=None, description="address of vLLM: http://host:port, without /v1"
    )
    vllm_token: SecretStr | None = Field(default=None, description="vLLM's --api-key")
    kafka_port: int = Field(
        default=9092, description="port of the broker that `flywheel services` starts"
    )
    kafka_memory_mb: int = Field(default=512, ge=256, description="heap of that broker, in MB")
    postgres_port: int = Field(
        default=5433, description="port of the PostgreSQL that `flywheel services` starts"
    )
    mlflow_port: int = Field(
        default=5000,
        description="port of the MLflow that `flywheel services` or `flywheel up` starts",
    )
    dagster_port: int = Field(
        default=3000,
        description="port of the Dagster webserver that `flywheel services` or `flywheel up` starts",
    )
    label_studio_port: int = Field(
        default=8080, description="port of the Label Studio that `flywheel services` starts"
    )
    webhook_port: int = Field(default=9109, description="port of `flywheel webhooks`")
    ray_port: int = Field(
        default=8265, description="port of the dashboard of the Ray that `flywheel services` starts"
    )
    vllm_port: int = Field(
        default=8000, description="port of the vLLM that `flywheel services` starts"
    )
    vllm_cache_gb: float = Field(
        default=1.0, gt=0, description="memory of vLLM's key-value cache on a CPU, in GB"
    )
    drain_seconds: float = Field(
        default=5.0, ge=0, description="how long vLLM keeps a replaced release after the switch"
    )
    sensor_seconds: int = Field(
        default=30, ge=1, description="how often Dagster's sensors look at log, queue and state"
    )
    metrics_port: int = Field(
        default=9108,
        description="port of /healthz and /metrics of `flywheel ingest --follow`; 0: any free one",
    )
    ingest_linger_seconds: float = Field(
        default=3.0,
        gt=0,
        le=300,
        description="how long `flywheel ingest --follow` gathers a slow stream into one commit",
    )
    alert_url: SecretStr | None = Field(
        default=None, description="webhook that gets what waits for a person and failed runs"
    )
    alert_format: Literal["json", "slack"] = Field(
        default="json", description="what the webhook takes: the alert's fields, or Slack's blocks"
    )
    alert_emails: str | None = Field(
        default=None, description="addresses that get the same by e-mail, separated by commas"
    )
    alert_smtp_url: SecretStr | None = Field(
        default=None, description="smtp://USER:PASSWORD@HOST:PORT, or smtps://"
    )
    group_access: bool = Field(
        default=False,
        description="let the group read what is written (files 0640 in 0750, not 0600 in 0700)",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="where /healthz and /metrics listen: an address that the scraper reaches; "
        "they show counts and names of workloads, no texts",
    )
    hash_key: SecretStr = Field(
        default=SecretStr("flywheel-embedded"),
        description="key of the hash under which ids of persons are stored; keep it with your backups",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let arguments win over variables, these over the file, and it over what services say."""
        file = TomlConfigSettingsSource(settings_cls)
        given = file() | env_settings() | init_settings()
        sources = [init_settings, env_settings, file]
        if given.get("profile") == "services":
            folder = Path(given.get("services") or _place("services", given.get("home")))
            connections = folder / CONNECTIONS
            if not connections.is_file():
                raise ConfigurationError(
                    f"FLYWHEEL_PROFILE is services, but nothing was started in {folder}.",
                    next_step="run `flywheel services up`, or set the profile to embedded",
                )
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=connections))
        return tuple(sources)

    @model_validator(mode="before")
    @classmethod
    def _belong_to_the_home(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: _place(name, given.get("home")) for name in ("cache", "services")} | given

    @model_validator(mode="after")
    def _adapters_have_addresses(self) -> Self:
        for adapter, needed in _ADDRESSES.items():
            setting, value = adapter
            missing = [key for key in needed if not getattr(self, key)]
            if getattr(self, setting) == value and missing:
                names = " and ".join(f"FLYWHEEL_{key.upper()}" for key in missing)
                raise ValueError(
                    f"{setting} = {value} needs {names}, or FLYWHEEL_PROFILE=services after "
                    "`flywheel services up`"
                )
        if self.alert_emails and self.alert_smtp_url is None:
            raise ValueError("alert_emails needs FLYWHEEL_ALERT_SMTP_URL=smtp://HOST:PORT")
        return self

    @property
    def workload_folder(self) -> Path:
        """Folder of the workload files."""
        return self.workloads or self.home / "workloads"

    @property
    def lake(self) -> Path:
        """Folder of the Delta tables."""
        return self.home / "lake"

    @property
    def train_exchange_url(self) -> str:
        """URL under which launcher and Ray's workers hand each other files."""
        return self.train_exchange or (self.home / "exchange").absolute().as_uri()

    @property
    def state_database(self) -> str:
        """SQLAlchemy URL of the state."""
        if self.state_url is not None:
            return self.state_url.get_secret_value()
        return self.embedded_state

    @property
    def embedded_state(self) -> str:
        """SQLAlchemy URL of the state that needs no server."""
        return f"sqlite:///{(self.home / 'state.db').absolute()}"

    @property
    def mlflow_database(self) -> str:
        """Tracking and registry URI of MLflow."""
        if self.mlflow_url is not None:
            return self.mlflow_url.get_secret_value()
        return self.embedded_mlflow

    @property
    def embedded_mlflow(self) -> str:
        """Tracking and registry URI of the MLflow that needs no server."""
        return f"sqlite:///{(self.home / 'mlflow' / 'mlflow.db').absolute()}"

    @property
    def mlflow_page(self) -> str:
        """Address of MLflow's pages: of the server, or of the one that `flywheel up` starts."""
        address = self.mlflow_database
        if address.startswith(("http://", "https://")):
            return address.rstrip("/")
        return f"http://127.0.0.1:{self.mlflow_port}"


def _place(name: str, home: Any) -> Path:
    # A home that was set takes what belongs to it along. What an earlier version put into the
    # current folder is used on, and homes below .flywheel share what lies beside them.
    beside = Path(".flywheel") / name
    if home is None or beside.exists():
        return beside
    shared = Path(home).absolute().is_relative_to(beside.parent.absolute())
    return beside if shared else Path(home) / name


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; a wrong one fails here with the allowed values."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = "\n".join(
            "  " + ": ".join([*(f"FLYWHEEL_{str(p).upper()}" for p in item["loc"]), item["msg"]])
            for item in error.errors(include_url=False)
        )
        raise ConfigurationError(
            f"The settings are not valid:\n{lines}",
            next_step="correct the variable or the key in flywheel.toml",
        ) from error


def restrict_files(settings: Settings) -> None:
    """Let this process make files for its user alone (0600 in 0700), or for the group as well.

    Nearly every file of a deployment holds people's texts, whatever library makes it. It changes
    the whole process, so only a program of Flywheel's own calls it, when it starts.
    """
    os.umask(0o027 if settings.group_access else 0o077)


def make_private(folder: Path, settings: Settings) -> None:
    """Make a folder that nobody else can enter, whatever the process's umask; one that is there stays.

    A program that uses Flywheel as a library keeps its own umask: its files are hidden by the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o750 if settings.group_access else 0o700, exist_ok=True)


def connection(settings: Settings, key: str) -> str | None:
    """Return what services say now, for a setting that they renew; None where nobody asked them."""
    file = settings.services / CONNECTIONS
    if settings.profile != "services" or not file.is_file():
        return None
    value = tomllib.loads(file.read_text()).get(key)
    return None if value is None else str(value)
