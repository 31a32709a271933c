"""`AdapterSettings`: which adapter stands behind each port, and where its service is."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from flywheel.settings.comma_list import comma_list

__all__ = ["AdapterSettings", "ChosenPrecision"]

ChosenPrecision = Literal["own", "float32", "bfloat16", "int8", "nf4"]

# What an adapter cannot be without.
_ADDRESSES = {
    ("event_log", "kafka"): ("kafka_servers",),
    ("review_queue", "label_studio"): ("label_studio_url", "label_studio_token"),
    ("train_launcher", "ray"): ("ray_address",),
    ("model_server", "vllm"): ("vllm_url",),
    ("lake_engine", "spark"): ("spark_url",),
}
_SPARK_URL = re.compile(r"sc://[A-Za-z0-9.-]+(:\d+)?")


class AdapterSettings(BaseModel):
    """Adapters, and addresses and secrets of what they call."""

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
    lake_engine: Literal["duckdb", "spark"] = Field(
        default="duckdb",
        description="what runs the heavy reads and the upkeep of the lake: this process, or Spark",
    )
    served_precision: ChosenPrecision = Field(
        default="own",
        description="bits of the weights that answer and are judged: own (16, of a small base 32), "
        "float32, bfloat16, int8 or nf4; with vLLM, what your own vLLM runs",
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
        default=0,
        ge=0,
        description="GPUs that one training reserves of a Ray worker, for each of its training.workers",
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
        description="how long a training on Ray continues when no process waits for it any more",
    )
    train_exchange: str | None = Field(
        default=None,
        description="URL (fsspec) that Ray's workers share; default: `_exchange` beside a lake in an "
        "object store, else a folder in home",
    )
    vllm_url: str | None = Field(
        default=None,
        description="address of vLLM: http://host:port, without /v1; several, of one base model or "
        "of different ones, are separated by commas",
    )
    vllm_token: SecretStr | None = Field(default=None, description="vLLM's --api-key")
    vllm_max_loras: int | None = Field(
        default=None,
        ge=1,
        description="adapters that each vLLM holds, its --max-loras (or --max-cpu-loras, where that "
        "is more): a release that does not fit is refused; default: not checked; `flywheel services` "
        "sets it for its own",
    )

    spark_url: str | None = Field(
        default=None, description="address of Spark Connect: sc://host:port"
    )
    spark_token: SecretStr | None = Field(
        default=None, description="token of a Spark Connect that asks for one"
    )

    @field_validator("spark_url")
    @classmethod
    def _is_spark_connect(cls, url: str | None) -> str | None:
        if url is not None and _SPARK_URL.fullmatch(url) is None:
            raise ValueError("give sc://host:port; a token goes into FLYWHEEL_SPARK_TOKEN")
        return url

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
        return self

    @property
    def vllm_urls(self) -> tuple[str, ...]:
        """Addresses of vLLM, each once."""
        return tuple(dict.fromkeys(url.rstrip("/") for url in comma_list(self.vllm_url)))
