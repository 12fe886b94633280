"""What each dependency is for, and how much it takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from table_makers.measured import read_results

PURPOSES = {
    "backports.zstd": "reads tables packed with zstd; part of Python from 3.14 on, and then not installed",
    "fastapi": "the service: routes, checked requests, OpenAPI",
    "httptools": "parses HTTP for the service",
    "narwhals": "takes frames of pandas, PyArrow, DuckDB and others as tables",
    "numpy": "all arithmetic",
    "platformdirs": "where the system keeps caches and data of users",
    "polars": "reads and writes tables and a model's columns, without loading them whole",
    "prometheus-client": "the service's metrics",
    "pydantic": "checks settings and requests",
    "pydantic-settings": "the service's settings from the environment",
    "rich": "tables and progress bars of the command line",
    "typer": "the command line",
    "uvicorn": "the HTTP server",
    "uvloop": "the server's event loop, where it exists",
    "faiss-cpu": "k-means: the segments",
    "filelock": "lets no two refreshes of a model work at once; torch brings it, too",
    "implicit": "ALS: vectors of users and items",
    "jinja2": "reports as HTML",
    "matplotlib": "pictures in reports",
    "onnx": "writes trained networks for other runtimes",
    "scikit-learn": "calibration of probabilities",
    "scipy": "sparse matrices, statistics",
    "threadpoolctl": "holds libraries to the threads that are asked for",
    "torch": "trains the networks",
    "gensim": "vectors by word2vec",
    "optuna": "`firstday tune`: which settings to try",
    "tomli-w": "writes the settings that were found",
    "tea-tasting": "intervals and tests of experiments",
    "redis": "a store that many processes share",
    "pyarrow": "rows between Spark and Python",
    "pyspark": "the engine Spark",
}


def dependencies(part: str) -> list[str]:
    """Return the packages that the base install or an extra asks for, with purpose and size, and what these bring."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = project["dependencies"] if part == "base" else project["optional-dependencies"][part]
    measured = {name: package["mb"] for name, package in read_results("install-sizes")["parts"][part].items()}
    total = sum(measured.values())
    rows = ["| package | what for | MB |", "|---|---|---|"]
    sizes = []
    for name in (Requirement(text).name for text in direct):
        own = measured.pop(name.replace(".", "-"), 0.0)
        own += measured.pop(f"{name}-runtime-32", 0.0)  # of Polars, in a package of its own
        sizes.append((own, name))
    rows += [f"| `{name}` | {PURPOSES[name]} | {own:.0f} |" for own, name in sorted(sizes, key=lambda size: -size[0])]
    largest = ", ".join(f"`{name}`" for name in list(measured)[:3])
    rows += (
        [f"| {len(measured)} more that these bring | {largest} ... | {sum(measured.values()):.0f} |"]
        if measured
        else []
    )
    return [*rows, f"| in all | | {total:.0f} |"]


def total_sizes() -> list[str]:
    """Return what each extra adds to the base install."""
    results = read_results("install-sizes")
    lines = [
        f"On Python {results['python']}, {results['system']}, {results['machine']}, in MB on disk; an extra's size is "
        "what it adds to the base install:",
        "",
        "| install | MB |",
        "|---|---|",
    ]
    for part, packages in results["parts"].items():
        name = "`firstday`" if part == "base" else f"`firstday[{part}]`"
        lines.append(
            f"| {name} | {'' if part == 'base' else '+ '}{sum(each['mb'] for each in packages.values()):,.0f} |"
        )
    return lines
