"""A real Spark cluster on this machine: a master and workers, each a process, and executors, which they start."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyspark

import firstday

HOST = "127.0.0.1"
START_SECONDS = 300
"""A start takes 10 seconds, a minute on a busy machine."""
STOP_SECONDS = 20
ROOT = Path(__file__).parents[1]
QUICK_START = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""Options of a JVM that starts sooner and computes more slowly."""
DEPLOY = "org.apache.spark.deploy"
EXECUTOR = "CoarseGrainedExecutorBackend"
T = TypeVar("T")


@dataclass(frozen=True)
class SparkCluster:
    """A running cluster.

    Parameters
    ----------
    url
        The master, ``spark://127.0.0.1:PORT``.
    folder
        Logs of the master and the workers; `work` in it has those of executors.
    worker_pids
        The processes of the workers.
    """

    url: str
    folder: str
    worker_pids: tuple[int, ...]

    def executor_pids(self, app_id: str | None = None) -> list[int]:
        """Return the running executors, of one application or of all (Linux)."""
        work = Path(self.folder).resolve() / "work"
        if app_id is not None:
            work /= app_id
        pids = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                is_executor = EXECUTOR.encode() in (place / "cmdline").read_bytes()
                if is_executor and (place / "cwd").resolve().is_relative_to(work):
                    pids.append(int(place.name))
            except OSError:  # it has ended meanwhile
                continue
        return sorted(pids)

    def kill_executor(self, app_id: str | None = None) -> int:
        """Kill one running executor at once; return its process id. Its worker starts another."""
        pids = wait_for(lambda: self.executor_pids(app_id), "a running executor", self.folder)
        os.kill(pids[0], signal.SIGKILL)
        return pids[0]


def has_java() -> bool:
    """Tell whether Spark can start here."""
    return shutil.which("java") is not None or "JAVA_HOME" in os.environ


def spark_environment(folder: Path) -> dict[str, str]:
    """Return the environment of every process of Spark, so that executors import the same firstday and tests."""
    paths = [
        str(Path(firstday.__file__).parents[1]),
        str(ROOT),
        str(ROOT / "benchmarks"),
        os.environ.get("PYTHONPATH", ""),
    ]
    return {
        **os.environ,
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_CONF_DIR": str(folder),  # no settings of this machine
        "SPARK_LOCAL_IP": HOST,
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": QUICK_START,
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",  # it would take a fixed port
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


@contextlib.contextmanager
def spark_cluster(
    folder: Path, n_workers: int = 2, cores: int = 1, worker_memory: str = "2g"
) -> Iterator[SparkCluster]:
    """Start a master and workers, and stop them at the end, also after an error.

    Parameters
    ----------
    folder
        For logs and what executors write; made if it is not there.
    n_workers
        How many workers.
    cores, worker_memory
        What each worker lends to executors; these are numbers that the master counts with, not limits.

    Yields
    ------
    SparkCluster
        The cluster, whose workers are all registered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    environment = spark_environment(folder)
    processes: list[subprocess.Popen[bytes]] = []
    cluster: SparkCluster | None = None

    def start(name: str, *arguments: str) -> Path:
        log = folder / f"{name}.log"
        command = [str(program), *arguments]
        with log.open("wb") as output:  # the shell script becomes the JVM, in the same process
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        processes.append(process)
        return log

    def wait(look: Callable[[], T], what: str) -> T:
        return wait_for(look, what, folder, are_alive=lambda: all(process.poll() is None for process in processes))

    try:
        log = start("master", f"{DEPLOY}.master.Master", "--host", HOST, "--port", "0", "--webui-port", "0")
        url = wait(lambda: read_log(log, rf"(spark://{HOST}:\d+)"), "the master's port")
        web_port = wait(lambda: read_log(log, r"MasterWebUI.*:(\d+)$"), "the master's web port")
        web_url = f"http://{HOST}:{web_port}/json/"
        lent = ("--cores", str(cores), "--memory", worker_memory, "--work-dir", str(folder / "work"))
        ports = ("--host", HOST, "--port", "0", "--webui-port", "0")
        for number in range(n_workers):
            start(f"worker-{number}", f"{DEPLOY}.worker.Worker", *ports, *lent, url)
        _, *workers = (process.pid for process in processes)
        cluster = SparkCluster(url, str(folder), tuple(workers))
        wait(lambda: count_workers(web_url) >= n_workers, f"{n_workers} workers")
        yield cluster
    finally:
        executors = cluster.executor_pids() if cluster else []
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in executors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_for(look: Callable[[], T], what: str, folder: Path | str, are_alive: Callable[[], bool] = lambda: True) -> T:
    """Return what `look` returns as soon as that is true; raise where it takes too long or a process has ended."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        alive = are_alive()
        if result := look():
            return result
        if not alive:
            raise RuntimeError(f"{what}: a process of the cluster ended; the logs are in {folder}.")
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not there after {START_SECONDS} s; the logs are in {folder}.")


def read_log(log: Path, pattern: str) -> str:
    """Return what a pattern finds in a log, "" where there is nothing yet."""
    match = re.search(pattern, log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return match.group(1) if match else ""


def count_workers(web_url: str) -> int:
    """Return how many workers the master knows to be alive."""
    with contextlib.suppress(OSError), urllib.request.urlopen(web_url, timeout=10) as answer:  # noqa: S310  loopback
        return int(json.load(answer)["aliveworkers"])
    return 0
