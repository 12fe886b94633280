"""Simulate strategies' scores in classes of users, and compare the rules by which `auto` may choose for each class.

python benchmarks/auto_choice.py

Prints the mean regret of each rule against the best strategy of a class, in percentage points, for classes of 10 to
1,000 users. The rules: the best mean of the class; the best mean of all users; a significance test (the previous rule);
and gains shrunk towards those of all users (`firstday.training.selection.select`), by number of pseudo-users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from firstday.training import selection

NAMES = ("popular", "group", "blend", "segment", "personal", "neighbors", "direct", "soft_segments")
SIZES = (10, 30, 100, 1000)
OVERALL_SPREAD, CLASS_SPREAD = 3.0, 2.0
"""Standard deviations, in points, of a strategy's overall gain over `popular`, and of a class's deviation from it."""
USER_SPREAD, OWN_SPREAD = 18.0, 8.0
"""Standard deviations of users' precision: the part shared by all strategies, and the part specific to each."""
N_WORLDS = 400

Scores = Mapping[str, np.ndarray]
Rule = Callable[[Scores, Scores], str]


def draw_world(rng: np.random.Generator) -> tuple[list[dict[str, np.ndarray]], list[dict[str, float]]]:
    """Return user scores of each class by strategy, and each class's true means."""
    overall = {name: 0.0 if name == "popular" else rng.normal(1.0, OVERALL_SPREAD) for name in NAMES}
    classes = []
    truths = []
    for size in SIZES:
        truth = {name: gain and gain + rng.normal(0, CLASS_SPREAD) for name, gain in overall.items()}
        level = rng.normal(20, USER_SPREAD, size)
        classes.append({name: level + gain + rng.normal(0, OWN_SPREAD, size) for name, gain in truth.items()})
        truths.append(truth)
    return classes, truths


def beyond_chance(of_class: Scores, overall: Scores) -> str:
    """Previous rule: `blend` unless another strategy is significantly better; small classes use everyone's scores."""
    scores = overall if len(of_class["popular"]) < 30 else of_class

    def is_better(name: str, other: str) -> bool:
        gain = scores[name] - scores[other]
        return bool(gain.mean() > 1.645 * gain.std() / np.sqrt(len(gain)))

    fallback = "group" if scores["group"].mean() > scores["popular"].mean() else "popular"
    best = "blend" if is_better("blend", fallback) else fallback
    others = [name for name in NAMES if is_better(name, best)]
    return max(others, key=lambda name: float(scores[name].mean()), default=best)


def best_mean(scores: Scores) -> str:
    """Choose the largest mean."""
    return max(NAMES, key=lambda name: float(scores[name].mean()))


def shrink(pseudo_users: float) -> Rule:
    """Return the rule of `auto` with the given number of pseudo-users."""
    return lambda of_class, overall: selection.select(of_class, overall, pseudo_users)


RULES: dict[str, Rule] = {
    "the best of the class": lambda of_class, _: best_mean(of_class),
    "the best of everybody": lambda _, overall: best_mean(overall),
    "beyond chance (before)": beyond_chance,
    **{f"shrunk, {n} pseudo-users": shrink(n) for n in (5, 10, 20, 50, 100, 200)},
}


def measure_regret(n_worlds: int = N_WORLDS, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the regret of each rule against the best strategy, in points, by class size: shape (n_sizes,)."""
    rng = np.random.default_rng(seed)
    regret = {rule: np.zeros(len(SIZES)) for rule in RULES}
    for _ in range(n_worlds):
        classes, truths = draw_world(rng)
        overall = {name: np.concatenate([of_class[name] for of_class in classes]) for name in NAMES}
        for rule, choose in RULES.items():
            chosen = [choose(of_class, overall) for of_class in classes]
            regret[rule] += [max(truth.values()) - truth[name] for truth, name in zip(truths, chosen, strict=True)]
    return {rule: total / n_worlds for rule, total in regret.items()}


def main() -> None:
    """Print the table."""
    print(f"{'points lost, by users of the class':36}" + "".join(f"{size:>8,}" for size in SIZES))
    for rule, losses in measure_regret().items():
        print(f"{rule:36}" + "".join(f"{loss:8.2f}" for loss in losses))


if __name__ == "__main__":
    main()
