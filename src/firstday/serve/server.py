"""The server process: opens model and store, listens, drains on SIGTERM, and reloads the model on SIGHUP."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from firstday.errors import ConfigError
from firstday.serve.app import make_app
from firstday.serve.protocol import Protocol
from firstday.serve.service import Service
from firstday.serve.settings import ServeSettings

_log = logging.getLogger("firstday.serve")


def run_server(model: Path, settings: ServeSettings, on_ready: Callable[[str], object] = lambda _url: None) -> None:
    """Serve until a signal stops the process; call `on_ready` with the URL once the server listens.

    Raises `FirstdayError` if the model, the store or the address is unusable.
    """
    listening = _listen(settings.host, settings.port)
    service = Service(model, settings)
    # While a thread loads a model, requests should not wait 5 ms (the default) for the GIL.
    sys.setswitchinterval(0.0005)
    # Objects created so far live as long as the process, so exempt them from garbage collection.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        make_app(service),
        http=Protocol,
        ws="none",
        loop="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_timeout_s,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )
    host, port = listening.getsockname()[:2]
    facts: dict[str, Any] = {
        "url": f"http://{f'[{host}]' if ':' in host else host}:{port}",
        "model": service.holder.current.version,
        "store": settings.store_url.partition(":")[0],
        "keys": "set" if settings.has_keys else "none: anyone who can reach this address has full access",
        "pid": os.getpid(),
    }

    def announce() -> None:
        _log.info("ready", extra={"fields": facts})
        on_ready(facts["url"])

    DrainingServer(config, service, announce).run([listening])
    _log.info("stopped", extra={"fields": {"pid": os.getpid()}})


def _listen(host: str, port: int) -> socket.socket:
    """Bind the address before the model is loaded, so that a conflict fails fast."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be bound ({error.strerror})"
        raise ConfigError(f"{host}:{port}: {reason}; give another with --port or --host.") from None
    return listening


class DrainingServer(uvicorn.Server):
    """A server that, on SIGTERM, first reports itself unready, then finishes pending requests."""

    def __init__(self, config: uvicorn.Config, service: Service, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self.service, self._announce = service, announce
        self._stop_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, install the SIGHUP handler and report readiness."""
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._begin_reload)
        self._announce()

    def _begin_reload(self) -> None:
        self._reload = asyncio.create_task(self.service.holder.reload())
        self._reload.add_done_callback(lambda task: task.cancelled() or task.exception())  # failures are already logged

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; close the store even if pending requests are abandoned."""
        await super().shutdown(sockets)
        if self.force_exit:
            await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Start draining; a second signal stops the server without waiting for pending requests."""
        if self._stop_at is not None:
            self.should_exit = self.force_exit = True
            return
        self.service.is_draining = True
        self._stop_at = time.monotonic() + self.service.settings.drain_delay_s

    async def on_tick(self, counter: int) -> bool:
        """Stop when the drain delay has passed."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)
