"""The process that each Python process of an executor is forked from, after the imports that all of them need."""

from __future__ import annotations

from pyspark import daemon, worker

from firstday.engine.spark import work

IMPORTED = (worker, work)

if __name__ == "__main__":
    daemon.manager()
