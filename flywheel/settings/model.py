"""`Settings`, frozen, from ``FLYWHEEL_*`` variables and ``flywheel.toml``; nothing is read at import."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from flywheel.errors import ConfigurationError
from flywheel.settings.adapters import AdapterSettings
from flywheel.settings.programs import ProgramSettings

__all__ = ["CONNECTIONS", "Settings", "load_settings"]

# The file, in the folder of the services, that says how to reach what was started there.
CONNECTIONS = "connections.toml"
_LAKE_URL = re.compile(r"s3://[A-Za-z0-9][\w.-]*(/[\w.=+-]+)+/?")


class Settings(AdapterSettings, ProgramSettings, BaseSettings):
    """Where things are and which adapters are used."""

    model_config = SettingsConfigDict(
        env_prefix="FLYWHEEL_", toml_file="flywheel.toml", frozen=True, extra="forbid"
    )

    home: Path = Field(
        default=Path(".flywheel/home"), description="folder of state, lake, models and runs"
    )
    lake: str | None = Field(
        default=None,
        description="URL of the Delta tables in an S3 with conditional writes (`s3://bucket/folder`), "
        "reached by the usual AWS variables; default: `lake` in home",
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
    group_access: bool = Field(
        default=False,
        description="let the group read what is written (files 0640 in 0750, not 0600 in 0700)",
    )
    base_origins: str | None = Field(
        default=None,
        description="base models that may be used: names as in base_model, separated by commas, * for "
        "any text (`tiny, smollm2, Qwen/*`); default: all",
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
        values = file() | env_settings() | init_settings()
        sources = [init_settings, env_settings, file]
        if values.get("profile") == "services":
            folder = Path(values.get("services") or _place("services", values.get("home")))
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
    def _belong_to_the_home(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: _place(name, values.get("home")) for name in ("cache", "services")} | values

    @field_validator("lake")
    @classmethod
    def _is_a_place_alone(cls, url: str | None) -> str | None:
        # Credentials in a URL would stand in manifests, logs and errors.
        if url is not None and _LAKE_URL.fullmatch(url) is None:
            msg = (
                "give s3://bucket/folder, and credentials by the usual variables "
                "(AWS_ACCESS_KEY_ID and the like), never in the URL"
            )
            raise ValueError(msg)
        return url

    @model_validator(mode="after")
    def _spark_reads_folders(self) -> "Settings":
        if self.lake_engine == "spark" and self.lake is not None:
            raise ValueError(
                "lake_engine = spark reads a lake in a folder, and FLYWHEEL_LAKE is the URL of an "
                "object store: use duckdb there"
            )
        return self

    @property
    def workload_folder(self) -> Path:
        """Folder of the workload files."""
        return self.workloads or self.home / "workloads"

    @property
    def lake_folder(self) -> Path:
        """Folder of the Delta tables; of a lake elsewhere, of what this machine keeps beside it."""
        return self.home / "lake"

    @property
    def train_exchange_url(self) -> str:
        """URL under which launcher and Ray's workers hand each other files."""
        if self.train_exchange is not None:
            return self.train_exchange
        if self.lake is not None:
            return f"{self.lake.rstrip('/')}/_exchange"
        return (self.home / "exchange").absolute().as_uri()

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
