"""Plot of a search: precision of trials by the value of each setting."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from firstday.errors import needs_extra
from firstday.tuning.search import Search

STYLE: Any = {
    "figure.figsize": (3.2, 3.2),
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "svg.fonttype": "none",
}


def plot_search(search: Search, path: Path) -> None:
    """Write Optuna's slice plot as SVG: precision by the value of each setting, with later trials darker."""
    with needs_extra("tuning", "tune"):
        import optuna
        from matplotlib import pyplot, rc_context
        from optuna.visualization.matplotlib import plot_slice
    titles = {choice.name: choice.name.replace(".", "\n") for choice in search.choices}
    distributions: dict[str, Any] = {
        titles[choice.name]: optuna.distributions.CategoricalDistribution([*map(_to_scalar, choice.values)])
        for choice in search.choices
    }
    study = optuna.create_study()
    for trial in search.trials:
        values = {
            titles[choice.name]: _to_scalar(trial.settings.get(choice.name, choice.values[choice.start]))
            for choice in search.choices
        }
        study.add_trial(optuna.create_trial(value=trial.precision, params=values, distributions=distributions))
    with rc_context(STYLE), warnings.catch_warnings(action="ignore"):
        axes: Any = plot_slice(study, target_name=f"validation P@{search.start.recommend.k}, %")
        figure = np.ravel(axes)[0].figure
        figure.savefig(path, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def _to_scalar(value: Any) -> Any:
    return write_value(value) if isinstance(value, tuple) else value


def write_value(value: Any) -> str:
    """Format the value of a setting."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
