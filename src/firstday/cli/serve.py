"""firstday serve: recommend over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from firstday.cli.options import ModelArgument, PluginOption, load_plugins

PLACE = 9  # in firstday --help


def serve(
    model: ModelArgument,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; any but loopback requires keys (default: 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on (default: 8000); 0: any free port.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="Strategy for requests that name none (default: the model's, usually auto).")
    ] = None,
    plugin: PluginOption = None,
) -> None:
    """Serve the MODEL over HTTP: recommend to new users and take into account what they do.

    Settings are environment variables with the prefix FIRSTDAY_SERVE_; see docs/operations.md. Stop the service with
    SIGTERM.

    Example: firstday serve model --port 8000
    """
    load_plugins(plugin)  # before the HTTP schema lists the strategies
    from firstday.serve.server import run_server
    from firstday.serve.settings import load_settings
    from firstday.serve.telemetry import set_up_logs

    settings = load_settings({"host": host, "port": port, "strategy": strategy})
    set_up_logs(settings.log_level, settings.log_format)
    run_server(model, settings)
