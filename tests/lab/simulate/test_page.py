"""The parameters in docs/simulator.md are those of the code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from firstday.lab.simulate import behavior, music, people, series, world
from firstday.lab.simulate.simulation_settings import SimulationSettings

PAGE = " ".join((Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8").split())
S = SimulationSettings(20_000, 10_000)


@pytest.mark.parametrize(
    "phrase",
    [
        f"{len(world.make_world(10_000, np.random.default_rng(0)).family)} for 10,000 items",
        f"one of {len(world.COUNTRIES)} countries",
        f"multiplied by e^{world.AT_HOME} there, by e^{world.SAME_LANGUAGE} where the language is the same, and by "
        f"e^{world.ABROAD} elsewhere",
        f"with popularity ({music.ARTIST_SHIFT:.0f} + rank)^-{music.ARTIST_TAIL} within it",
        f"{100 * music.BRIDGE_SHARE:.0f} % of the artists also belong to a second scene",
        f"at {music.BRIDGE_WEIGHT} of their popularity",
        f"rank^-{music.ITEM_TAIL}, with noise of {music.NOISE}",
        f"to the power of {music.CHART_POWER}",
        f"then {people.TASTE_SCENES} scenes",
        f"probability {people.FAMILY_SHARE} from the first one's family",
        f"a lognormal factor ({people.DRIFT}), then raised to the power of {people.SHARPENING}",
        f"1 - exp(-t / {behavior.DRIFT_DAYS:.0f} days)",
        f"{people.BEFORE_DAYS:.0f} days on average",
        f"{100 * people.FRIENDLESS_SHARE:.0f} % add no friend, the others {people.FRIENDSHIPS} on average",
        f"{100 * behavior.STREAM_SHARE:.0f} % of newcomers stream",
        f"{100 * behavior.NOTHING_SHARE:.0f} % leave only a profile",
        f"a rate of {behavior.SESSIONS_PER_DAY} a day (median; lognormal over users, {behavior.RATE_SPREAD})",
        f"plus {behavior.CURIOSITY} times as many at first, fading over {behavior.CURIOUS_DAYS:.0f} days",
        f"{100 * behavior.SOON_GONE_SHARE:.0f} % of newcomers leave after {behavior.SOON_GONE_DAYS:.0f} days on",
        f"average, the others after {behavior.STAY_DAYS:.0f}",
        f"its mean is {behavior.STREAMS_PER_SESSION:.0f} for the median user (lognormal, {behavior.LENGTH_SPREAD})",
        f"{100 * behavior.STRANGE_SHARE:.0f} % of plays come from a scene drawn at random",
        f"{100 * behavior.CHART_SHARE:.0f} % of the others from the country's charts",
        f"{100 * behavior.FAVORITE_ARTIST_SHARE:.0f} % of the rest from the user's {behavior.FAVORITE_ARTISTS} "
        "favorite artists",
        f"skipped with probability {behavior.SKIP_STRANGE}, one of the taste with {behavior.SKIP_LIKED}",
        f"{100 * behavior.SEARCH_SHARE:.0f} % of sessions open with a search",
        "names {} to {} artists".format(*behavior.ONBOARDING_ARTISTS),
        f"one file for each {S.block_users:,} users",
        f"{music.SHOW_ITEMS:.0f} episodes on average: daily from {series.DAILY_ITEMS} episodes, else weekly",
        f"one in {series.RUNNING:.0f} ends during the log. {100 * series.KEPT_SHARE:.0f} % of the events remain",
        f"{100 * series.FOLLOW_SHARE:.0f} % of streams copy the show",
        f"(the rank has a long tail, exponent {series.LAG_TAIL})",
        f"{100 * series.GUEST_SHARE:.0f} % of users begin as guests, for less than {series.GUEST_HOURS} hours",
    ],
)
def test_the_page_states_the_parameters_of_the_code(phrase: str) -> None:
    assert phrase in PAGE
