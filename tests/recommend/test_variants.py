"""Which variant a user is in: shares, stability, weights that grow, and what is refused."""

from __future__ import annotations

from collections import Counter

import pytest

from firstday.errors import ConfigError
from firstday.recommend.variants import N_SLOTS, Experiment, Variant, slot_of

TEXT = "onboarding-2026: control=segment*50, treatment=auto*50"


def name_of(variant: Variant | None) -> str | None:
    return None if variant is None else variant.name


def make(weights: list[float], name: str = "trial") -> Experiment:
    return Experiment(name, tuple(Variant(f"v{place}", "popular", weight) for place, weight in enumerate(weights)))


def test_parse_reads_what_str_writes() -> None:
    experiment = Experiment.parse(TEXT)
    assert experiment == Experiment(
        "onboarding-2026", (Variant("control", "segment", 50), Variant("treatment", "auto", 50))
    )
    assert str(experiment) == TEXT
    assert Experiment.parse(" onboarding-2026 :control = segment * 50%,treatment=auto*50") == experiment


def test_assign_is_pinned() -> None:
    """A change of the hash would move users of experiments that run: these slots must stay as they are."""
    assert [slot_of("onboarding-2026", user) for user in ("u1", "u2", 7, "7")] == [982693, 191304, 178228, 178228]
    assert [name_of(Experiment.parse(TEXT).assign(f"u{n}")) for n in range(8)] == [
        "treatment",
        "treatment",
        "control",
        "control",
        "control",
        "treatment",
        "treatment",
        "control",
    ]


@pytest.mark.parametrize("weights", [[50, 50], [10, 60.5], [0, 33.3], [20, 33.3, 5], [25, 25, 25, 25]])
def test_each_variant_has_exactly_its_share_of_slots(weights: list[float]) -> None:
    experiment = make(weights)
    step = N_SLOTS // 1000
    variants = (name_of(experiment._variant_at(slot)) for slot in range(0, N_SLOTS, step))
    counts = Counter(name for name in variants if name is not None)
    for number, weight in enumerate(weights):
        assert counts[f"v{number}"] == pytest.approx(10 * weight, abs=1)


@pytest.mark.parametrize(
    ("before", "later"),
    [([50, 50], [50, 50]), ([10, 0], [10, 90]), ([0, 40], [60, 40]), ([5, 20, 1], [30, 20, 33]), ([9] * 5, [20] * 5)],
)
def test_weights_that_grow_move_no_slot(before: list[float], later: list[float]) -> None:
    for slot in range(0, N_SLOTS, 997):
        earlier = make(before)._variant_at(slot)
        assert earlier is None or name_of(make(later)._variant_at(slot)) == earlier.name


def test_the_order_of_variants_does_not_matter() -> None:
    variants = (Variant("a", "popular", 10), Variant("b", "segment", 30), Variant("c", "auto", 20))
    one, other = Experiment("e", variants), Experiment("e", variants[::-1])
    assert [one.assign(user) for user in range(100)] == [other.assign(user) for user in range(100)]


def test_two_experiments_divide_users_independently() -> None:
    first = make([50, 50], "first")
    second = make([50, 50], "second")
    users = range(20_000)
    both = sum(name_of(first.assign(user)) == name_of(second.assign(user)) == "v0" for user in users)
    assert abs(both - 5_000) < 5 * (20_000 * 0.25 * 0.75) ** 0.5  # five standard deviations; the hash is fixed


MALFORMED = (
    "c=segment*50, t=auto*50",
    "e: ",
    "e: c=segment, t=auto*50",
    "e: c=segment*half, t=auto*50",
    "e: c=a*-1, t=a*5",
)
MISNAMED = (
    "a b: c=segment*50, t=auto*50",
    ": c=segment*50, t=auto*50",
    "e: c=segment*50",
    "e: c=segment*20, c=auto*50",
    "e: c/d=segment*20, c=auto*50",
)
OVERWEIGHT = ("e: c=segment*60, t=auto*50", "e: c=segment*101, t=auto*0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "is not an experiment; write it as") for text in MALFORMED),
        *((text, "give at least two with different names, and use only letters") for text in MISNAMED),
        *((text, "2 variants must be percentages from 0 to 100 and sum to at most 100") for text in OVERWEIGHT),
        ("e: c=segmnt*20, t=auto*50", "strategy: 'segmnt' is unknown (did you mean 'segment'?); choose"),
        (
            "e: a=auto*50, b=popular*25, c=segment*25",
            "weights of 3 variants must be percentages from 0 to 33.3333 and sum to at most",
        ),
    ],
)
def test_bad_text_is_told_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Experiment.parse(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("weight", [float("nan"), -1.0])
def test_a_weight_that_is_no_share_is_refused(weight: float) -> None:
    with pytest.raises(ConfigError, match="weights of 2 variants must be percentages from 0 to 100"):
        make([weight, 10])
