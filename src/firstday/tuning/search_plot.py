"""Plot of a search: precision of trials by the value of each setting."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from firstday.tuning.search import Search

RC_PARAMS: Any = {
    "figure.figsize": (3.2, 3.2),
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "svg.fonttype": "none",
}


def plot_search(search: Search, path: Path) -> None:
    """Write Optuna's slice plot as SVG: precision by the value of each setting, with later trials darker."""
    from matplotlib import pyplot, rc_context
    from optuna.visualization.matplotlib import plot_slice

    values = {choice.name: choice.values for choice in search.choices}
    with rc_context(RC_PARAMS), warnings.catch_warnings(action="ignore"):
        plots: Any = plot_slice(search.study, target_name=f"validation P@{search.start.recommend.k}, %")
        for axes in np.ravel(plots):
            name = axes.get_xlabel()
            labels = [write_value(value) for value in values[name]]
            axes.set_xticks(range(len(labels)), labels, rotation=90)
            axes.set_xlabel(name.replace(".", "\n"))
        pyplot.savefig(path, format="svg", metadata={"Date": None})
        pyplot.close()


def write_value(value: Any) -> str:
    """Format the value of a setting."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
