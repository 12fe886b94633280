"""Start and memory of several workers of one model; needs Linux.

    python benchmarks/serve_start.py MODEL [--workers 4]        renews docs/results/serve-start.json

MODEL is made by benchmarks/paper_size.py. Workers start one after another. Their private memory is what each needs in
addition to the mapped arrays, which all share.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack
from pathlib import Path

import typer
from result_files import RESULTS, write_results
from serve_process import ServerProcess

from firstday.model.folder import read_manifest


def main(model: Path, workers: int = 4, out: Path = RESULTS / "serve-start.json") -> None:
    """Start the workers, and write when each was ready and its memory."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        started = [stack.enter_context(ServerProcess(model, Path(name) / str(number))) for number in range(workers)]
        results = {
            "items": read_manifest(model)["data"]["items"],
            "files_mib": sum(path.stat().st_size for path in model.glob("*/*")) / 2**20,
            "ready_s": [round(worker.ready_s, 1) for worker in started],
            "private_mib": [round(read_memory(worker.process.pid, "Private_Dirty")) for worker in started],
            "proportional_mib": [round(read_memory(worker.process.pid, "Pss")) for worker in started],
        }
    write_results(results, out)


def read_memory(pid: int, name: str) -> float:
    """Return a value of a process's ``smaps_rollup``, in MiB."""
    found = re.search(rf"{name}: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    typer.run(main)
