"""Compare the size of the repository with its ceilings, `[tool.firstday.size]` in pyproject.toml.

python release/check_size.py                     exits with 1 where a ceiling is exceeded
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def measure(root: Path) -> dict[str, float]:
    """Return sizes by the names of the ceilings; nodes are those of the syntax trees, without docstrings."""
    package = root / "src" / "firstday"
    source = {path: _count_nodes(path) for path in package.rglob("*.py")}
    nodes, statements = (sum(counts) for counts in zip(*source.values(), strict=True))
    pages = [*root.glob("docs/*.md"), root / "README.md", root / "CONTRIBUTING.md"]
    return {
        "src": nodes,
        "core": sum(count for path, (count, _) in source.items() if package / "lab" not in path.parents),
        "tests": sum(_count_nodes(path)[0] for path in root.glob("tests/**/*.py")),
        "benchmarks": sum(_count_nodes(path)[0] for path in root.glob("benchmarks/**/*.py")),
        "words": sum(len(page.read_text(encoding="utf-8").split()) for page in pages),
        "nodes_per_statement": round(nodes / statements, 1),
        "javascript_lines": _count_lines(package.rglob("*.js")),
        "template_lines": _count_lines(package.rglob("templates/**/*.*")),
    }


def find_exceeded(sizes: dict[str, float], ceilings: dict[str, float]) -> list[str]:
    """Return a sentence for each size above its ceiling."""
    return [
        f"{name}: {sizes[name]:,} exceeds the ceiling of {ceiling:,}; remove what users need least."
        for name, ceiling in ceilings.items()
        if sizes[name] > ceiling
    ]


def _count_nodes(path: Path) -> tuple[int, int]:
    """Return the syntax nodes and the statements of a file, without docstrings."""
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    docstrings = sum(
        isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None for node in nodes
    )
    return len(nodes) - 2 * docstrings, sum(isinstance(node, ast.stmt) for node in nodes) - docstrings


def _count_lines(paths: Iterable[Path]) -> int:
    return sum(path.read_text(encoding="utf-8").count("\n") for path in paths)


if __name__ == "__main__":
    ceilings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["firstday"]["size"]
    sizes = measure(ROOT)
    for name, ceiling in ceilings.items():
        print(f"{name:20s} {sizes[name]:10,} of {ceiling:10,}")
    exceeded = find_exceeded(sizes, ceilings)
    sys.exit("\n".join(exceeded) or None)
