from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firstday.config import SignalConfig
from firstday.data.dataset import Dataset, Entity, Group
from firstday.data.events import ITEM, Events
from firstday.data.ids import Ids
from firstday.features.catalogue import Catalogue
from firstday.features.signals import Signals
from firstday.sparse import SparseRows

SIGNALS = SignalConfig().names


def little(items: list[str], artists: list[str], countries: tuple[str, ...], codes: list[int]) -> Dataset:
    """Make a dataset of three users and no interactions."""
    return Dataset(
        name="little",
        users=Ids.of(["u1", "u2", "u3"]),
        items=Ids.of(items),
        events=Events.empty(),
        entities={"artist": Entity(Ids.of(artists), SparseRows.empty(len(artists), len(items)))},
        groups={"country": Group(countries, np.array(codes, np.int32))},
        ages=np.array([20, -1, 40], np.int16),
        titles=tuple(f"Title of {item}" for item in items),
    )


@pytest.fixture
def model_data() -> Dataset:
    return little(["i1", "i2", "i3"], ["a1", "a2"], ("BR", "FR"), [0, 1, -1])


@pytest.fixture
def catalogue(model_data: Dataset) -> Catalogue:
    return Catalogue.of(model_data, SIGNALS)


def test_what_is_unknown_is_named_and_left_out(catalogue: Catalogue) -> None:
    interactions = [
        ("stream", "item", "i99"),
        ("hum", "item", "i1"),
        ("stream", "album", "x"),
        ("stream", "artist", 7),
        ("stream", "item", "i2"),
    ]
    user = Signals(country="XX", planet="Mars", interactions=interactions, user_id="u2")
    batch, ignored = catalogue.read([Signals(), user])
    assert ignored[0] == ()
    assert ignored[1] == (
        "item 'i99' is unknown",
        "signal 'hum' is unknown",
        "entity 'album' is unknown",
        "artist 7 is unknown",
        "country 'XX' was never seen",
        "profile column 'planet' is unknown",
    )
    assert set(batch.actions) == {("stream", ITEM)}
    assert batch.actions["stream", ITEM].row(1).tolist() == [1]
    assert batch.groups["country"].tolist() == [-1, -1]
    assert batch.user_ids is not None
    assert batch.user_ids.tolist() == [None, "u2"]


def test_age_is_named_where_the_model_has_none(model_data: Dataset) -> None:
    batch, ignored = Catalogue.of(replace(model_data, ages=None), SIGNALS).read([Signals(age=20)])
    assert batch.ages is None
    assert ignored == [("age is not used by this model",)]


def test_whole_number_ids_may_come_as_text(model_data: Dataset) -> None:
    catalogue = Catalogue.of(replace(model_data, items=Ids.of([5, 7, 81])), SIGNALS)
    triples = [("stream", "item", "81"), ("stream", "item", 5), ("stream", "item", "081")]
    batch, ignored = catalogue.read([Signals(interactions=triples)])
    assert batch.actions["stream", ITEM].row(0).tolist() == [0, 2]
    assert ignored == [("item '081' is unknown",)]


def test_a_users_own_dataset_is_taken_as_it_is(catalogue: Catalogue, model_data: Dataset) -> None:
    rows = SparseRows.from_lists([[2, 0], []], 3)
    batch, unknown = catalogue.translate(model_data, np.array([2, 0]), {("stream", ITEM): rows})
    assert batch.actions["stream", ITEM] is rows
    assert batch.groups["country"].tolist() == [-1, 0]
    assert batch.ages is not None
    assert batch.ages.tolist() == [40, 20]
    assert batch.user_ids is not None
    assert batch.user_ids.tolist() == ["u3", "u1"]
    assert unknown == {}


def test_another_dataset_is_translated_by_name(catalogue: Catalogue) -> None:
    theirs = little(["i3", "new", "i1"], ["a9", "a2"], ("AR", "BR", "FR"), [2, 0, 1])
    actions = {
        ("stream", ITEM): SparseRows.from_lists([[0, 1], [2], []], 3),
        ("favorite", "artist"): SparseRows.from_lists([[0, 1], [0], [1]], 2),
        ("hum", ITEM): SparseRows.from_lists([[0], [], []], 3),
    }
    batch, unknown = catalogue.translate(theirs, np.arange(3), actions)
    streams = batch.actions["stream", ITEM]
    favorites = batch.actions["favorite", "artist"]
    assert (streams.n_columns, favorites.n_columns) == (3, 2)
    assert [streams.row(row).tolist() for row in range(3)] == [[2], [0], []]
    assert [favorites.row(row).tolist() for row in range(3)] == [[1], [], [1]]
    assert ("hum", ITEM) not in batch.actions
    assert batch.groups["country"].tolist() == [1, -1, 0]
    assert unknown == {"item": 1, "signal hum": 1, "artist": 2, "country": 1}


def test_an_entity_or_profile_column_of_one_side_only(catalogue: Catalogue, model_data: Dataset) -> None:
    theirs = replace(
        model_data,
        items=Ids.of(["i1", "i2", "i3"]),
        entities={"album": Entity(Ids.of(["x"]), SparseRows.empty(1, 3))},
        groups={"planet": Group(("Mars",), np.zeros(3, np.int32))},
        ages=None,
    )
    actions = {("stream", "album"): SparseRows.from_lists([[0], [0]], 1)}
    batch, unknown = catalogue.translate(theirs, np.array([0, 1]), actions)
    assert batch.actions == {}
    assert batch.groups["country"].tolist() == [-1, -1]
    assert batch.ages is not None
    assert batch.ages.tolist() == [-1, -1]
    assert unknown == {"album": 2, "profile column planet": 2}
