"""What each dependency is for, and how much it takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from table_makers.measured import make_table, read_results

PURPOSES = {
    "backports.zstd": "reads zstd-compressed tables; only before Python 3.14",
    "fastapi": "the service: routes, checked requests, OpenAPI",
    "httptools": "parses HTTP for the service",
    "narwhals": "accepts data frames of pandas, PyArrow, DuckDB and others",
    "numpy": "all arithmetic",
    "platformdirs": "system folders for caches and user data",
    "polars": "reads and writes tables and models, without loading them whole",
    "prometheus-client": "the service's metrics",
    "pydantic": "checks settings and requests",
    "pydantic-settings": "the service's settings from the environment",
    "rich": "tables and progress bars of the command line",
    "typer": "the command line",
    "uvicorn": "the HTTP server",
    "uvloop": "the server's event loop, where available",
    "faiss-cpu": "k-means: the segments",
    "filelock": "prevents concurrent refreshes of a model",
    "implicit": "ALS vectors of users and items",
    "jinja2": "HTML reports",
    "matplotlib": "plots in reports",
    "scikit-learn": "calibration of probabilities",
    "scipy": "sparse matrices, statistics",
    "threadpoolctl": "limits the threads of libraries",
    "torch": "trains the networks",
    "gensim": "word2vec vectors",
    "tea-tasting": "intervals and tests of experiments",
    "redis": "a store shared by several processes",
    "psycopg": "the same, in Postgres",
    "pyarrow": "rows between Spark and Python",
    "pyspark": "the Spark engine",
}


def dependencies(part: str) -> list[str]:
    """Return the direct dependencies of the base install or an extra with purpose and size, and the indirect ones."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = project["dependencies"] if part == "base" else project["optional-dependencies"][part]
    measured = {name: package["mb"] for name, package in read_results("install-sizes")["parts"][part].items()}
    total = sum(measured.values())
    sizes = {}
    for name in (Requirement(text).name for text in direct):
        sizes[name] = measured.pop(name.replace(".", "-"), 0.0)
        sizes[name] += measured.pop(f"{name}-runtime-32", 0.0)  # of Polars, in a package of its own
    largest_first = sorted(sizes.items(), key=lambda size: -size[1])
    rows = [(f"`{name}`", PURPOSES[name], f"{mb:.0f}") for name, mb in largest_first]
    indirect = ", ".join(f"`{name}`" for name in list(measured)[:3])
    rows.append((f"{len(measured)} indirect dependencies", f"{indirect} ...", f"{sum(measured.values()):.0f}"))
    rows.append(("total", "", f"{total:.0f}"))
    return make_table(("package", "what for", "MB"), rows)


def first_lists() -> list[str]:
    """Return what the first list takes from nothing: MB to download, and seconds."""
    rows = []
    for measured in read_results("install-sizes")["first_lists"]:
        seconds = measured["seconds"]
        parts = [f"{seconds[step]:.0f}" for step in ("download", "install", "list")]
        total = f"{sum(seconds.values()):.0f}"
        commands = ", ".join(f"`{command}`" for command in measured["commands"])
        rows.append((f"`{measured['install']}`", commands, f"{measured['mb']:.0f}", *parts, total))
    return make_table(("install", "list by", "download, MB", "seconds: download", "install", "list", "in all"), rows)


def total_sizes() -> list[str]:
    """Return what each extra adds to the base install."""
    results = read_results("install-sizes")
    rows = []
    for part, packages in results["parts"].items():
        mb = sum(package["mb"] for package in packages.values())
        rows.append(("`firstday`", f"{mb:,.0f}") if part == "base" else (f"`firstday[{part}]`", f"+ {mb:,.0f}"))
    return [
        f"On Python {results['python']}, {results['system']}, {results['machine']}, in MB on disk; an extra's size is "
        "what it adds to the base install:",
        "",
        *make_table(("install", "MB"), rows),
    ]
