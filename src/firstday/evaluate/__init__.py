"""Cold users x strategies x seeds. The folder can be called: `firstday.evaluate(...)` is `evaluate_strategies`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Evaluate(ModuleType):
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from firstday import evaluate_strategies

        return evaluate_strategies(*arguments, **named)


evaluate = sys.modules[__name__]  # where `firstday` looks for it
evaluate.__class__ = _Evaluate
