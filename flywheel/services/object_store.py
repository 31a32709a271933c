"""An S3 server out of a wheel (SeaweedFS): keys, bucket, start command, health, and its variables.

A lake moves there only by `FLYWHEEL_LAKE`: that a server runs changes no deployment. What a client
needs stands in one file of variables, which its owner alone may read.
"""

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flywheel.errors import ConfigurationError
from flywheel.io.atomic import write_text
from flywheel.services.supervisor.health import status_of
from flywheel.services.supervisor.network import HOST
from flywheel.services.supervisor.passwords import made_once
from flywheel.services.supervisor.program import Program

__all__ = ["BUCKET", "NAME", "PORTS", "VARIABLES", "Server", "environment", "program"]

NAME = "object-store"
BUCKET = "flywheel"
VARIABLES = "object-store.env"
# S3, master, volume and filer, each with the port at which the other parts reach it.
PORTS = 8
_REGION = "us-east-1"
# A volume is a file that grows to this; each bucket takes a few of them.
_VOLUME_MB, _VOLUMES = 256, 200


@dataclass(frozen=True)
class Server:
    """One S3 server on loopback."""

    folder: Path
    secrets: Path
    ports: tuple[int, ...]

    @property
    def url(self) -> str:
        """Address of S3."""
        return f"http://{HOST}:{self.ports[0]}"


def environment(server: Server) -> dict[str, str]:
    """Return the variables of a client, keys included; they are made the first time."""
    return {
        "AWS_ACCESS_KEY_ID": made_once(server.secrets, "object-store-key"),
        "AWS_SECRET_ACCESS_KEY": made_once(server.secrets, "object-store-secret"),
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": _REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "FLYWHEEL_LAKE": f"s3://{BUCKET}/lake",
    }


def program(server: Server) -> Program:
    """Describe the server to the supervisor."""
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Program(
        name=NAME,
        command=(
            str(_binary()), "-logtostderr", "server", f"-dir={server.folder}",
            f"-ip={HOST}", f"-ip.bind={HOST}", "-master.telemetry=false",
            f"-master.volumeSizeLimitMB={_VOLUME_MB}", f"-volume.max={_VOLUMES}",
            "-volume.preStopSeconds=0", "-s3", "-s3.iam=false",
            "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-s3.config={_identities(server)}", *_port_options(server.ports),
        ),
        ports=server.ports,
        ready=partial(_ready, server),
        directory=server.folder,
        after_start=partial(_make_bucket, server),
    )  # fmt: skip


def _binary() -> Path:
    binary = Path(sys.executable).with_name("weed")
    if not binary.is_file():
        raise ConfigurationError(
            "The package that carries the S3 server is not installed.",
            next_step="run `make setup`, or set FLYWHEEL_LAKE to a bucket of your own",
        )
    return binary


def _port_options(ports: tuple[int, ...]) -> list[str]:
    names = [f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer")
             for kind in ("", ".grpc")]  # fmt: skip
    return [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]


def _identities(server: Server) -> Path:
    variables = environment(server)
    keys = {
        "accessKey": variables["AWS_ACCESS_KEY_ID"],
        "secretKey": variables["AWS_SECRET_ACCESS_KEY"],
    }
    identity = {"name": "flywheel", "credentials": [keys], "actions": ["Admin"]}
    file = server.secrets / "object-store-identities.json"
    write_text(file, json.dumps({"identities": [identity]}), private=True)
    return file


def _ready(server: Server) -> bool:
    # It serves when it refuses who brings no key: earlier it answers that it is not ready.
    return status_of(server.url) in {200, 403}


def _make_bucket(server: Server) -> None:
    from pyarrow.fs import S3FileSystem

    variables = environment(server)
    store = S3FileSystem(
        access_key=variables["AWS_ACCESS_KEY_ID"],
        secret_key=variables["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=server.url,
        region=_REGION,
        allow_bucket_creation=True,
    )
    store.create_dir(BUCKET)
    lines = [f"{name}={value}\n" for name, value in variables.items()]
    write_text(server.secrets.parent / VARIABLES, "".join(lines), private=True)
