"""`ProgramSettings`: ports and manners of what `flywheel services` and `flywheel up` start."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from flywheel.settings.comma_list import comma_list

__all__ = ["ProgramSettings"]


class ProgramSettings(BaseModel):
    """Services on this machine, Dagster, ingest, gateway, release desk and alerts."""

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
    label_studio_port: int = Field(
        default=8080, description="port of the Label Studio that `flywheel services` starts"
    )
    ray_port: int = Field(
        default=8265, description="port of the dashboard of the Ray that `flywheel services` starts"
    )
    object_store_port: int = Field(
        default=8333, description="port of the S3 server that `flywheel services` starts"
    )
    spark_port: int = Field(
        default=15002, description="port of the Spark Connect that `flywheel services` starts"
    )
    spark_memory_mb: int = Field(default=2048, ge=1024, description="heap of that Spark, in MB")
    spark_master: str = Field(
        default="local[*]",
        description="what that Spark runs on: this machine's cores, or a cluster (spark://host:port)",
    )
    vllm_port: int = Field(
        default=8000, description="port of the vLLM that `flywheel services` starts"
    )
    vllm_cache_gb: float = Field(
        default=1.0, gt=0, description="memory of vLLM's key-value cache on a CPU, in GB"
    )
    vllm_bases: str | None = Field(
        default=None,
        description="base models that `flywheel services` serves beside those that workloads need "
        "already, for a cycle that moves one: names or digests, separated by commas",
    )
    dagster_port: int = Field(
        default=3000,
        description="port of the Dagster webserver that `flywheel services` or `flywheel up` starts",
    )
    sensor_seconds: int = Field(
        default=30, ge=1, description="how often Dagster's sensors look at log, queue and state"
    )
    drain_seconds: float = Field(
        default=5.0, ge=0, description="how long vLLM keeps a replaced release after the switch"
    )
    webhook_port: int = Field(default=9109, description="port of `flywheel webhooks`")
    ingest_linger_seconds: float = Field(
        default=3.0,
        gt=0,
        le=300,
        description="how long `flywheel ingest --follow` gathers a slow stream into one commit",
    )
    metrics_port: int = Field(
        default=9108,
        description="port of /healthz and /metrics of `flywheel ingest --follow`; 0: any free one",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="where /healthz and /metrics listen: an address that the scraper reaches; "
        "they show counts and names of workloads, no texts",
    )
    gateway_port: int = Field(default=9110, description="port of `flywheel gateway`")
    gateway_host: str = Field(
        default="127.0.0.1",
        description="where `flywheel gateway` listens; it speaks HTTP: anything but loopback needs "
        "a proxy with TLS in front of it",
    )
    gateway_spool: Path | None = Field(
        default=None,
        description="folder on a disk of this gateway process's own, for what it recorded and has not "
        "sent; for processes on several machines that share a home; default: in home",
    )
    gateway_requests_at_once: int = Field(
        default=256,
        ge=1,
        description="requests that each process of the gateway answers at a time; more get 429",
    )
    gateway_body_bytes: int = Field(
        default=1_000_000, ge=1_000, description="longest body of a request to the gateway"
    )
    desk_port: int = Field(default=9111, description="port of `flywheel desk`")
    desk_url: str | None = Field(
        default=None,
        description="address at which people open the release desk, such as https://desk.example.com;"
        " default: the one that they ask for, without https",
    )
    desk_oidc_issuer: str | None = Field(
        default=None,
        description="OpenID Connect provider at which people may sign in to the desk: its issuer",
    )
    desk_oidc_client_id: str | None = Field(
        default=None, description="client id that the provider gave the desk"
    )
    desk_oidc_client_secret: SecretStr | None = Field(
        default=None, description="secret of that client"
    )
    audit_command: str | None = Field(
        default=None,
        description="command that gets the audit's head, NUMBER:HASH, as its last argument and "
        "publishes it; run by Dagster's audit_head_sensor and `flywheel audit verify --publish`, "
        "without a shell",
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

    @property
    def vllm_base_names(self) -> tuple[str, ...]:
        """Base models to serve beside those that are needed, each once."""
        return comma_list(self.vllm_bases)

    @model_validator(mode="after")
    def _emails_have_a_server(self) -> Self:
        if self.alert_emails and self.alert_smtp_url is None:
            raise ValueError("alert_emails needs FLYWHEEL_ALERT_SMTP_URL=smtp://HOST:PORT")
        return self
