"""A FastAPI application with one route that always returns the same bytes: the reference of serve_load.py.

python benchmarks/serve_bare.py FILE
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response


def main() -> None:
    """Listen on a free port, print the address and serve until stopped, with the service's event loop and parser."""
    content = Path(sys.argv[1]).read_bytes()
    app = FastAPI(openapi_url=None)

    @app.get("/v1/users/{user_id}/recommendations")
    async def answer() -> Response:
        return Response(content, media_type="application/json")

    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app, http="httptools", loop="auto", ws="none", log_config=None, access_log=False, server_header=False
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
