"""Fuzz the service with schemathesis, valid and invalid requests: no 5xx, and every response conforms to OpenAPI.

python benchmarks/serve_fuzz.py MODEL [--cases 5000] [--out OUT]
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from result_files import write_results
from serve_process import ServerProcess
from store_servers import store_settings

N_OPERATIONS = 20


def fuzz(
    model: Path, folder: Path, n_cases: int, seed: int | None = None, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Send at least this many requests with all schemathesis checks; return its report.

    Raises
    ------
    RuntimeError
        A check failed; the message is its report.
    """
    server = ServerProcess(model, folder, {"log_requests": "false", **(settings or {})})
    done = 0
    failed = []
    rounds = 0
    try:
        while done < n_cases:
            # Each requested example yields about three cases per operation, over all phases.
            examples = max(5, round((n_cases - done) / N_OPERATIONS / 1.3))
            command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/v1/openapi.json", "--no-color"]
            command += ["--max-examples", str(examples), "--checks", "all"]
            if seed is not None:
                command += ["--seed", str(seed + rounds)]
            hooks = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])}
            short = {"SERVE_FUZZ_EVERY": "4"} if n_cases < 1000 else {}
            environment = {**os.environ, **hooks, **short, "SCHEMATHESIS_HOOKS": "serve_fuzz_hooks"}
            result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
            generated = re.search(r"([\d,]+) generated", result.stdout)
            if generated is None or result.returncode != 0:
                raise RuntimeError(result.stdout + result.stderr)
            done += int(generated[1].replace(",", ""))
            rounds += 1
        failed = [line for line in server.log() if line["event"] == "a request failed"]
    finally:
        server.stop()
    if failed:
        raise RuntimeError(json.dumps(failed[0], indent=1))
    return {"cases": done, "rounds": rounds}


def main(model: Path, cases: int = 5000, store: str = "sqlite", out: Path | None = None) -> None:
    """Fuzz and print the number of cases."""
    with tempfile.TemporaryDirectory() as folder, store_settings(store) as settings:
        write_results(fuzz(model, Path(folder), cases, settings=settings), out)


if __name__ == "__main__":
    typer.run(main)
