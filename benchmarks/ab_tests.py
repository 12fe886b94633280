"""Validate experiment reports: simulated A/A tests, a planted effect, broken assignments, guests.

python benchmarks/ab_tests.py [--experiments 1000] [--only aa|planted|broken|guests]

Users are simulated as heavy-tailed counts. Their activity is lognormal; the share of shown items that they use is drawn
from a beta distribution whose mean depends on the profile. They arrive over 30 days and are assigned by the product's
own `Experiment.assign`. Each experiment has its own random generator. Guests are evaluated from tables, as a service
exports them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
import typer
from result_files import RESULTS, read_results, write_results
from scipy.stats import binom

from firstday.config import ExperimentConfig
from firstday.data.load import load
from firstday.experiment.analyse import analyse
from firstday.experiment.compare import Comparison, compare
from firstday.experiment.covariate import N_FOLDS, encode_known, predict_outcome
from firstday.experiment.experiment_tables import take_experiment
from firstday.experiment.outcomes import Outcome
from firstday.experiment.sample_ratio import check_sample_ratio
from firstday.recommend.variants import Experiment

DAYS = 30
SLATE = 12
N_USERS = 6_000
N_USERS_PLANTED = 20_000
N_USERS_BROKEN = 20_000
EFFECT = 0.03
N_USERS_GUESTS = 3_000
EFFECT_GUESTS = 0.3
"""Effect on the later use of those who begin as guests."""
GUEST_ACTIVITY = 4.0
"""How much more those who began as guests use: only the most interested log in."""
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
COUNTRIES = np.array(["FR", "DE", "BR", "JP"])
VARIANTS = np.array(["control", "treatment"])
CONFIG = ExperimentConfig()


def draw_people(rng: np.random.Generator, treated: np.ndarray, gain: float = 1.0) -> pl.DataFrame:
    """Draw users in order of arrival; treated users use `gain` times as much of what is shown."""
    n = len(treated)
    country = rng.integers(len(COUNTRIES), size=n)
    activity = rng.lognormal(0.0, 1.0, n)
    shown = SLATE * (1 + rng.poisson(activity))
    rate = rng.beta(3.0, 12.0, n) * (0.8 + 0.4 * country / (len(COUNTRIES) - 1)) * np.where(treated, gain, 1.0)
    used = rng.binomial(shown, np.minimum(rate, 1.0))
    elsewhere = rng.poisson(5 * activity * rng.gamma(1.0, 1.0, n))
    outcomes = {
        "shown": shown.astype(float),
        "used": used.astype(float),
        "items_used": (used + elsewhere).astype(float),
    }
    return pl.DataFrame({"variant": VARIANTS[treated.astype(int)], **outcomes, "country": COUNTRIES[country]})


def assign(experiment: Experiment, first: int, n: int) -> np.ndarray:
    """Assign users by the product's rule; return a mask of the treatment, bool, shape (n,)."""
    variants = [experiment.assign(user) for user in range(first, first + n)]
    return np.array([variant is not None and variant.name == "treatment" for variant in variants])


OUTCOMES = {"used_of_shown": Outcome("used", "", DAYS, "shown"), "items_used": Outcome("items_used", "", DAYS)}
"""Outcomes to compare, by columns of `draw_people`."""


def score(people: pl.DataFrame, outcome: str, config: ExperimentConfig = CONFIG) -> Comparison:
    """Compare one outcome of both variants."""
    found = compare(people, "control", "treatment", OUTCOMES[outcome], config)
    assert found is not None
    return found


def is_clear(found: Comparison) -> bool:
    """Whether the fixed-horizon interval excludes zero."""
    return found.p_value is not None and found.p_value < 1 - CONFIG.level


def add_covariates(people: pl.DataFrame) -> pl.DataFrame:
    """Add covariates predicted from the country."""
    known = encode_known(people.select("country"))
    folds = np.arange(people.height) % N_FOLDS
    predicted = {name: predict_outcome(known, people[name].to_numpy(), folds) for name in ("used", "shown")}
    return people.with_columns(pl.Series(f"{name}_covariate", of) for name, of in predicted.items())


def run_aa(seed: int, number: int) -> dict[str, bool]:
    """Run one A/A test; return which intervals excluded zero."""
    rng = np.random.default_rng([seed, 1, number])
    experiment = Experiment.parse(f"aa-{number}: control=segment*50, treatment=segment*50")
    treated = assign(experiment, number * N_USERS, N_USERS)
    people = draw_people(rng, treated)
    alarms: dict[str, bool] = {}
    for name in OUTCOMES:
        by_day = [score(people.head(N_USERS * day // DAYS), name) for day in range(1, DAYS + 1)]
        alarms[f"{name}: fixed, on the last day"] = is_clear(by_day[-1])
        alarms[f"{name}: fixed, on any of {DAYS} days"] = any(map(is_clear, by_day))
        alarms[f"{name}: always valid, on any of {DAYS} days"] = any(found.is_always_clear for found in by_day)
    found = score(add_covariates(people), "used_of_shown")
    alarms["used_of_shown with a covariate: fixed, on the last day"] = is_clear(found)
    return alarms


def run_planted(seed: int, number: int) -> tuple[bool, bool, float]:
    """Run one test with a true effect; return whether each interval found it on the last day, and the stated power."""
    rng = np.random.default_rng([seed, 2, number])
    experiment = Experiment.parse(f"planted-{number}: control=segment*50, treatment=auto*50")
    treated = assign(experiment, number * N_USERS_PLANTED, N_USERS_PLANTED)
    people = draw_people(rng, treated, 1 + EFFECT)
    found = score(people, "used_of_shown", ExperimentConfig(planned_users=N_USERS_PLANTED, effect=EFFECT))
    assert found.power is not None
    assert found.difference_ci is not None
    return found.difference_ci[0] > 0, found.is_always_clear and found.difference > 0, found.power


def run_broken(seed: int, number: int) -> dict[str, bool]:
    """Assign users correctly and incorrectly; return which assignments the check rejects."""
    rng = np.random.default_rng([seed, 3, number])
    experiment = Experiment.parse(f"broken-{number}: control=segment*50, treatment=auto*50")
    treated = assign(experiment, number * N_USERS_BROKEN, N_USERS_BROKEN)
    shifted = rng.random(N_USERS_BROKEN) < 0.53
    lost = treated & (rng.random(N_USERS_BROKEN) < 0.1)
    ways = {
        "working": (int((~treated).sum()), int(treated.sum())),
        "47 to 53 instead of 50 to 50": (int((~shifted).sum()), int(shifted.sum())),
        "a tenth of the treatment's users lost": (int((~treated).sum()), int((treated & ~lost).sum())),
    }
    weights = {"control": 50.0, "treatment": 50.0}
    return {
        way: check_sample_ratio(
            dict(zip(("control", "treatment"), counts, strict=True)), weights, CONFIG.least_p
        ).broken
        for way, counts in ways.items()
    }


def draw_guests(seed: int, number: int) -> dict[str, pl.DataFrame]:
    """Draw the tables of an experiment in which a third of the users began as guests and logged in after an hour.

    Users are assigned at their first list, guests by the guest's id. A fifth of the guests had got a list under their
    own id on another device shortly before they logged in. A guest's first list determines the use in the week.
    """
    rng = np.random.default_rng([seed, 4, number])
    experiment = Experiment.parse(f"guests-{number}: control=segment*50, treatment=auto*50")
    n = N_USERS_GUESTS
    is_guest = np.arange(n) % 3 == 0
    had_list = is_guest & (np.arange(n) % 5 == 0)
    users = pl.Series([f"u{number}-{user}" for user in range(n)])
    first_ids = pl.Series([f"g{name}" if guest else name for name, guest in zip(users, is_guest, strict=True)])
    first_h = 24 * 14 * rng.random(n)
    treated = np.array([_is_treated(experiment, name) for name in first_ids])
    activity = rng.gamma(2.0, 0.5, n) * np.where(is_guest, GUEST_ACTIVITY, 1.0)
    gain = np.where(treated & is_guest, 1 + EFFECT_GUESTS, 1.0)
    n_uses = np.stack([rng.poisson(0.5, n), rng.poisson(gain * activity)])
    owner = np.tile(np.arange(n), 2).repeat(n_uses.ravel())
    is_late = np.repeat([False, True], n_uses.sum(axis=1))
    after_h = np.where(is_late, rng.uniform(1, 24 * 6, len(owner)), rng.uniform(0, 0.9, len(owner)))
    names = pl.DataFrame({"first": first_ids, "later": users})[owner]
    interactions = names.select(
        user_id=pl.when(pl.Series(is_late)).then("later").otherwise("first"),
        item_id=pl.Series(rng.integers(5_000, size=len(owner))),
        timestamp=_at(first_h[owner] + after_h),
    )
    end = pl.DataFrame({"user_id": users[:1], "item_id": [0], "timestamp": _at(np.array([24 * 30.0]))})
    guests = pl.Series([[name] if guest else [] for name, guest in zip(first_ids, is_guest, strict=True)])
    of_users = pl.DataFrame({"user_id": users, "registered_at": _at(first_h + is_guest), "guest_ids": guests})
    of_guests = pl.DataFrame({"user_id": first_ids, "registered_at": _at(first_h)}).filter(pl.Series(is_guest))
    own = users.filter(pl.Series(had_list))
    assigned = pl.DataFrame(
        {
            "user_id": pl.concat([first_ids, own]),
            "experiment": experiment.name,
            "variant": VARIANTS[[*treated.astype(int), *(int(_is_treated(experiment, name)) for name in own)]],
            "assigned_at": pl.concat([_at(first_h), _at((first_h + 0.9)[had_list])]),
        }
    )
    return {
        "interactions": pl.concat([interactions, end]),
        "users": pl.concat([of_users, of_guests], how="diagonal"),
        "assignments": assigned,
    }


def _is_treated(experiment: Experiment, user: str) -> bool:
    variant = experiment.assign(user)
    return variant is not None and variant.name == "treatment"


def _at(hours: np.ndarray) -> pl.Series:
    """Return times, given in hours after the begin."""
    return pl.Series(BEGIN.timestamp() * 1e6 + hours * 3.6e9).cast(pl.Int64).cast(pl.Datetime("us", "UTC"))


def run_guests(seed: int, number: int) -> dict[str, tuple[bool, float, int]]:
    """Analyse one experiment with and without merging guests.

    Returns whether the interval shows that the treatment is better, the estimated effect, and the number of units.
    """
    tables = draw_guests(seed, number)
    found = {}
    for name, users in (("merged", tables["users"]), ("not merged", tables["users"].drop("guest_ids"))):
        taken = take_experiment(
            load({**tables, "users": users}), f"guests-{number}", use=("stream",), like=("favorite",)
        )
        rows = analyse(taken).everyone
        (row,) = [row for row in rows if (row.outcome.name, row.outcome.days) == ("items_used", 7)]
        assert row.difference_ci is not None
        assert row.ratio is not None
        found[name] = row.difference_ci[0] > 0, row.ratio - 1, taken.assigned.height
    return found


def binomial_interval(n: int, p: float) -> list[float]:
    """Return the central 95 % interval of the share of n experiments, each with probability p, in %."""
    low, high = binom.interval(0.95, n, p)
    return [100 * float(low) / n, 100 * float(high) / n]


def main(experiments: int = 1000, seed: int = 0, only: str | None = None) -> None:
    """Run all parts or one, and write the results."""
    path = RESULTS / "ab-tests.json"
    for name, score in {
        "aa": evaluate_aa,
        "planted": evaluate_planted,
        "broken": evaluate_broken,
        "guests": evaluate_guests,
    }.items():
        if only in (None, name):
            found = {"experiments": experiments, "seed": seed, **score(seed, experiments)}
            write_results({**read_results(path), name: found, "tea_tasting": version("tea-tasting")}, path)


def evaluate_aa(seed: int, n: int) -> dict[str, Any]:
    """Return the false positive rates of intervals, in %."""
    alarms = [run_aa(seed, number) for number in range(n)]
    return {
        "users": N_USERS,
        "false_alarms": {name: 100 * float(np.mean([found[name] for found in alarms])) for name in alarms[0]},
        "expected": binomial_interval(n, 1 - CONFIG.level),
    }


def evaluate_planted(seed: int, n: int) -> dict[str, Any]:
    """Return how often a true effect was found, and the stated power, in %."""
    planted = [run_planted(seed, number) for number in range(n)]
    power = float(np.mean([stated for _, _, stated in planted]))
    return {
        "users": N_USERS_PLANTED,
        "effect": 100 * EFFECT,
        "found": 100 * float(np.mean([found for found, _, _ in planted])),
        "power": 100 * power,
        "expected": binomial_interval(n, power),
        "found_always_valid": 100 * float(np.mean([found for _, found, _ in planted])),
    }


def evaluate_guests(seed: int, n: int) -> dict[str, Any]:
    """Return how often a true effect was found, and its mean estimate, in %, with and without merging guests."""
    runs = [run_guests(seed, number) for number in range(n)]
    return {
        "users": N_USERS_GUESTS,
        "effect": 100 * EFFECT_GUESTS,
        **{
            name: {
                "found": 100 * float(np.mean([run[name][0] for run in runs])),
                "estimate": round(100 * float(np.mean([run[name][1] for run in runs])), 1),
            }
            for name in runs[0]
        },
    }


def evaluate_broken(seed: int, n: int) -> dict[str, Any]:
    """Return how often the sample ratio check rejected each assignment, in %."""
    broken = [run_broken(seed, number) for number in range(n)]
    return {
        "users": N_USERS_BROKEN,
        "stopped": {way: 100 * float(np.mean([found[way] for found in broken])) for way in broken[0]},
    }


if __name__ == "__main__":
    typer.run(main)
