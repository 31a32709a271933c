"""`flywheel gateway`: answer applications over OpenAI's protocol, and record what was answered."""

import typer

from flywheel.cli.console import echo
from flywheel.wiring import open_platform

__all__ = ["app"]

app = typer.Typer()


@app.command()
def gateway(
    host: str | None = typer.Option(
        None, help="address to listen on; default: FLYWHEEL_GATEWAY_HOST, this machine alone"
    ),
    port: int | None = typer.Option(None, help="default: FLYWHEEL_GATEWAY_PORT"),
    timeout: float = typer.Option(30.0, min=0.1, help="seconds that a client waits for an answer"),
) -> None:
    """Serve the workloads over OpenAI's HTTP interface, until SIGTERM or Ctrl-C.

    A request names a workload as its model and is answered by the champion of that moment. Every
    answer is recorded before it leaves. Keys are made with `flywheel keys create`.
    """
    from flywheel.deployment.gateway_program import serve_gateway

    serve_gateway(
        open_platform(existing=True), host=host, port=port, timeout_seconds=timeout, on_line=echo
    )
