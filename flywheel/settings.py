"""Frozen settings from ``FLYWHEEL_*`` variables and ``flywheel.toml``; nothing is read at import.

Which adapter stands behind a port is decided here and nowhere else.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from flywheel.errors import ConfigurationError

__all__ = ["Settings", "load_settings"]


class Settings(BaseSettings):
    """Where things are and which adapters are used."""

    model_config = SettingsConfigDict(
        env_prefix="FLYWHEEL_", toml_file="flywheel.toml", frozen=True, extra="forbid"
    )

    home: Path = Field(default=Path(".flywheel/home"), description="state, lake, models, runs")
    workloads: Path | None = Field(default=None, description="workload files; default: in home")
    cache: Path = Field(default=Path(".flywheel/cache"), description="base models, shared")
    event_log: Literal["sqlite"] = "sqlite"
    review_queue: Literal["local"] = "local"
    train_launcher: Literal["subprocess"] = "subprocess"
    model_server: Literal["local"] = "local"
    state_url: SecretStr | None = Field(default=None, description="default: SQLite in home")
    mlflow_url: SecretStr | None = Field(default=None, description="default: SQLite in home")
    hash_key: SecretStr = Field(
        default=SecretStr("flywheel-embedded"), description="key of the hash over subjects"
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
        """Let arguments win over variables, and variables over the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def workload_folder(self) -> Path:
        """Folder of the workload files."""
        return self.workloads or self.home / "workloads"

    @property
    def lake(self) -> Path:
        """Folder of the Delta tables."""
        return self.home / "lake"

    @property
    def state_database(self) -> str:
        """SQLAlchemy URL of the state."""
        if self.state_url is not None:
            return self.state_url.get_secret_value()
        return f"sqlite:///{(self.home / 'state.db').absolute()}"

    @property
    def mlflow_database(self) -> str:
        """Tracking and registry URI of MLflow."""
        if self.mlflow_url is not None:
            return self.mlflow_url.get_secret_value()
        return f"sqlite:///{(self.home / 'mlflow' / 'mlflow.db').absolute()}"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; a wrong one fails here with the allowed values."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = "\n".join(
            f"  FLYWHEEL_{'_'.join(str(p) for p in item['loc']).upper()}: {item['msg']}"
            for item in error.errors(include_url=False)
        )
        raise ConfigurationError(
            f"The settings are not valid:\n{lines}",
            next_step="correct the variable or the key in flywheel.toml",
        ) from error
