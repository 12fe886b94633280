"""The card of a model: beside each version, true to the model, and no part of what is loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from firstday.engine.local import save_model
from firstday.methods.auto import ClassEvidence, Guard
from firstday.model.folder import MANIFEST, read_manifest
from firstday.recommend.model_card import CARD, describe_quality, write_card
from firstday.recommend.recommender import Recommender, open_model
from tests.tiny import with_learned


@pytest.fixture
def folder(tiny: Recommender, tmp_path: Path) -> Path:
    save_model(tiny, str(tmp_path / "model"))
    return tmp_path / "model"


def card_in(folder: Path) -> Path:
    return folder / str(json.loads((folder / MANIFEST).read_text())["version"]) / CARD


def test_it_stands_beside_the_version_and_is_not_loaded(tiny: Recommender, folder: Path) -> None:
    card = card_in(folder)
    assert card.read_text(encoding="utf-8") == write_card(tiny.model, read_manifest(folder))
    assert CARD not in read_manifest(folder)["files"]
    card.write_text("somebody's own words")
    assert open_model(folder).model.n_items == 6
    card.unlink()
    assert open_model(folder).model.n_items == 6


def test_it_says_what_of_people_is_in_the_model(tiny: Recommender, folder: Path) -> None:
    manifest = read_manifest(folder)
    text = write_card(tiny.model, manifest)
    assert "The ids, items and vectors of 5 people" in text
    assert "country (2 values with fewer than 10 people), age (3 values with fewer than 10 people)" in text
    nobody = replace(tiny.model, warm=None, profile_groups={})
    assert "No data of individuals: neither ids nor items of any user" in write_card(nobody, manifest)
    assert "these profile columns: none." in write_card(nobody, manifest)


def test_auto_is_described_for_the_classes_of_validation_users(tiny: Recommender) -> None:
    alone = ClassEvidence("blend", 30, {"blend": 10.0, "popular": 7.0}, {"blend": (9.0, 11.0), "popular": (6.0, 8.0)})
    worse = ClassEvidence("popular", 1_200, {"blend": 5.0, "popular": 7.0}, {"blend": (4, 6), "popular": (6.5, 7.5)})
    nobody = ClassEvidence("blend", 0)
    model = with_learned(tiny.model, auto=Guard((nobody, alone, nobody, worse, nobody)))
    of_profile, of_few = (line for line in describe_quality(model) if line.startswith("Known "))
    assert of_profile.startswith("Known profile: auto is blend; ")
    assert "blend 10.0 [9.0, 11.0], popular 7.0 [6.0, 8.0]" in of_profile
    assert of_few.startswith("Known 1-3: auto is popular; ")
    assert "1,200 validation users" in of_few


def test_vectors_that_were_brought_along_are_told(tiny: Recommender, folder: Path) -> None:
    manifest = read_manifest(folder)
    limit = "The vectors are precomputed: if they were trained on later behaviour, results are inflated"
    text = write_card(tiny.model, {**manifest, "data": {**manifest["data"], "vectors": "precomputed"}})
    assert "- Vectors: precomputed\n" in text
    assert limit in text


def test_odd_names_are_words(tiny: Recommender, folder: Path) -> None:
    manifest = read_manifest(folder)
    text = write_card(tiny.model, {**manifest, "data": {**manifest["data"], "dataset": "<script>1</script>|a\nb"}})
    assert r"\<script>1\</script>|a b" in text
