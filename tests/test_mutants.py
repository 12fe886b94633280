"""The mutants of benchmarks/mutants.py still fit the sources."""

from __future__ import annotations

import ast

import mutants


def test_every_mutant_applies() -> None:
    kinds = set()
    for mutant in mutants.make_mutants():  # which raises if the code that a mutant replaces is not there once
        kinds.add(mutant.kind)
        assert mutant.text != (mutants.SOURCES / mutant.file).read_text(encoding="utf-8"), mutant.name
        ast.parse(mutant.text)
        assert all((mutants.ROOT / path).exists() for path in mutant.tests), mutant.name
    assert kinds == {"rules", "stores", "tokens", "leakage"}
