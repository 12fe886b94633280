"""A real standalone Spark cluster on this machine: a master, workers, and the executors they start."""

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
"""Timeout of a start in seconds; it takes 10 seconds, a minute on a busy machine."""
STOP_SECONDS = 20
ROOT = Path(__file__).parents[2]
QUICK_START = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
"""JVM options for a faster start at the price of slower computation; classes of Spark's own jars are not verified."""
DEPLOY = "org.apache.spark.deploy"
EXECUTOR = "CoarseGrainedExecutorBackend"
T = TypeVar("T")


@dataclass(frozen=True)
class SparkCluster:
    """A running cluster.

    Parameters
    ----------
    url
        URL of the master, ``spark://127.0.0.1:PORT``.
    folder
        Logs of the master and the workers; executors log to the subfolder `work`.
    worker_pids
        Process ids of the workers.
    """

    url: str
    folder: str
    worker_pids: tuple[int, ...]

    def executor_pids(self, app_id: str | None = None) -> list[int]:
        """Return the process ids of running executors, of one application or of all (Linux)."""
        work = Path(self.folder).resolve() / "work"
        if app_id is not None:
            work /= app_id
        pids = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                is_executor = EXECUTOR.encode() in (place / "cmdline").read_bytes()
                if is_executor and (place / "cwd").resolve().is_relative_to(work):
                    pids.append(int(place.name))
            except OSError:  # it has ended in the meantime
                continue
        return sorted(pids)

    def kill_executor(self, app_id: str | None = None) -> int:
        """Kill one running executor; return its process id. Its worker starts a replacement."""
        pids = wait_for(lambda: self.executor_pids(app_id), "a running executor", self.folder)
        os.kill(pids[0], signal.SIGKILL)
        return pids[0]


def has_java() -> bool:
    """Whether Spark can start here."""
    return shutil.which("java") is not None or "JAVA_HOME" in os.environ


def spark_environment(folder: Path) -> dict[str, str]:
    """Return the environment of all Spark processes, so that executors import the same firstday and tests."""
    paths = [
        str(Path(firstday.__file__).parents[1]),
        str(ROOT),
        os.environ.get("PYTHONPATH", ""),
    ]
    return {
        **os.environ,
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_CONF_DIR": str(folder),  # ignore this machine's settings
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
        For logs and executor output; created if missing.
    n_workers
        Number of workers.
    cores, worker_memory
        Resources that each worker offers to executors; the master uses them for scheduling, they are not limits.

    Yields
    ------
    SparkCluster
        The cluster, with all workers registered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    environment = spark_environment(folder)
    processes: list[subprocess.Popen[bytes]] = []
    cluster: SparkCluster | None = None

    def start(name: str, *arguments: str) -> Path:
        log = folder / f"{name}.log"
        command = [str(program), *arguments]
        with log.open("wb") as output:  # the shell script replaces itself with the JVM, so the process id stays valid
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
    """Poll `look` until it returns a true value, and return that; raise on a timeout or if a process has ended."""
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
    """Return the match of a pattern in a log, or ""."""
    match = re.search(pattern, log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return match.group(1) if match else ""


def count_workers(web_url: str) -> int:
    """Return the number of workers alive according to the master."""
    with contextlib.suppress(OSError), urllib.request.urlopen(web_url, timeout=10) as answer:
        return int(json.load(answer)["aliveworkers"])
    return 0
