"""A saved model comes back as it was, or is refused by the name of the file that is wrong."""

from __future__ import annotations

import json
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstday.errors import ArtifactError, ConfigError
from firstday.features.signals import Signals
from firstday.model import folder
from firstday.model.folder import (
    MANIFEST,
    STAGING_PREFIX,
    _sealed,
    _staging_in,
    load_model,
    read_manifest,
    save_model,
)
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.registry import strategy_names
from firstday.recommend.support import value_type
from tests.model.kill_each import label
from tests.tiny import without_learned

USERS = (
    Signals(),
    Signals(age=30, country="FR"),
    Signals(age=22, gender="f", interactions=[("stream", "item", "i004"), ("favorite", "artist", "a01")]),
    Signals(interactions=[("ban", "item", "i001"), ("search", "item", "i009")]),
)


@pytest.fixture(scope="module")
def saved(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recommender.save(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def files_of(model: Path) -> list[Path]:
    """Return what is loaded: not the copies of manifests for `rollback`."""
    return [model / MANIFEST, *sorted(path for path in model.glob("*/*") if path.name != MANIFEST)]


def dataset_of(model: Path) -> str:
    return str(load_model(model, types=value_type).facts["data"]["dataset"])


@pytest.mark.parametrize("strategy", strategy_names())
def test_an_opened_model_answers_as_the_trained_one(recommender: Recommender, saved: Path, strategy: str) -> None:
    opened = open_model(saved)
    for user in USERS:
        assert opened.recommend(user, 20, strategy) == recommender.recommend(user, 20, strategy)


def test_a_model_may_have_learned_some_of_the_methods(recommender: Recommender, tmp_path: Path) -> None:
    opened = open_model(save_model(without_learned(recommender.model, "ease"), tmp_path / "model"))
    assert opened.recommend(USERS[1], 20, "edlae") == recommender.recommend(USERS[1], 20, "edlae")
    with pytest.raises(ConfigError, match="ease needs a model trained with"):
        opened.recommend(USERS[1], 20, "ease")


def test_what_the_parts_of_a_model_share_is_kept_once(saved: Path) -> None:
    opened = load_model(saved, types=value_type)
    assert opened.warm is not None
    assert opened.catalogue.people is not None
    assert opened.catalogue.people.values is opened.warm.ids.values
    assert opened.encoder.friend_vectors is opened.warm.vectors
    uses = opened.warm.uses
    assert uses.weights.strides == (0,)
    assert (uses.weights == 1).all()
    assert {file.name for file in saved.rglob("*warm*")} == {
        f"warm.uses.{of}.npy" for of in ("starts", "columns", "weights")
    }
    assert {file.name for file in saved.rglob("*friend*")} == {"signal_encoder.friend_vectors.npy"}


def test_the_manifest_tells_people_what_they_look_for(recommender: Recommender, saved: Path) -> None:
    manifest = read_manifest(saved)
    model = recommender.model
    assert list(manifest)[:9] == [
        "format", "firstday", "created_at", "version", "config", "data", "metrics", "features", "model",
    ]  # fmt: skip
    assert manifest["config"] == model.config.model_dump(mode="json")
    assert {name: manifest[name] for name in ("data", "metrics")} == json.loads(json.dumps(model.facts))
    assert manifest["features"] == {"n_inputs": model.encoder.n_inputs, "blocks": list(model.encoder.blocks())}
    assert manifest["model"]["cold"]["history"] == [asdict(epoch) for epoch in model.cold.history]
    assert manifest["model"]["learned"]["blend"]["weights"] == list(model.learned["blend"].weights)


def test_the_same_model_is_the_same_version(recommender: Recommender, saved: Path, tmp_path: Path) -> None:
    """A version is a hash of all files and values; the time is no part of it."""
    again = recommender.save(tmp_path / "again")
    reopened = save_model(load_model(saved, types=value_type), tmp_path / "reopened")
    assert {read_manifest(path)["version"] for path in (again, reopened)} == {read_manifest(saved)["version"]}


def test_arrays_are_memory_mapped_and_nothing_is_pickled(saved: Path) -> None:
    opened = load_model(saved, types=value_type)
    for array in (opened.encoder.fold_in.item_vectors, opened.segments.centroids):
        assert type(array) is np.ndarray  # quick to slice
        assert isinstance(array.base, np.memmap)
    assert {path.suffix for path in files_of(saved)} == {".json", ".npy", ".parquet"}
    for path in saved.rglob("*.npy"):
        np.load(path, allow_pickle=False)


def test_a_changed_cut_or_missing_file_is_refused_by_name(copy: Path) -> None:
    for path in files_of(copy)[::5]:
        intact = path.read_bytes()
        middle = path.stat().st_size // 2
        changed = intact[:middle] + bytes([intact[middle] ^ 1]) + intact[middle + 1 :]
        for content in (changed, intact[:-1], None):
            path.write_bytes(content) if content else path.unlink()
            with pytest.raises(ArtifactError, match=path.name):
                load_model(copy, types=value_type)
        path.write_bytes(intact)
    load_model(copy, types=value_type)


def test_every_byte_of_the_manifest_counts(copy: Path) -> None:
    path = copy / MANIFEST
    intact = path.read_bytes()
    for position in range(0, len(intact), len(intact) // 40):
        changed = bytearray(intact)
        changed[position] ^= 2
        path.write_bytes(changed)
        with pytest.raises(ArtifactError, match=r"manifest\.json: was changed after it was written"):
            read_manifest(copy)


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("config.seed", -1, "config.seed"),
        ("model.similarity", "euclid", "similarity"),
        ("model.segments.spread", {"$file": "warm.ids.values.parquet"}, "segments.spread"),
        ("model.segments.extra", 7, "segments.extra"),
        ("model.learned.segment", {"smoothing": "much"}, "smoothing"),
    ],
)
def test_values_of_another_kind_are_refused_in_one_sentence(copy: Path, place: str, value: Any, sentence: str) -> None:
    manifest = read_manifest(copy)
    *names, last = place.split(".")
    reduce(getitem, names, manifest)[last] = value
    (copy / MANIFEST).write_bytes(_sealed(manifest))
    with pytest.raises(ArtifactError) as caught:
        load_model(copy, types=value_type)
    assert re.fullmatch(rf"{copy / MANIFEST}: {sentence}: .*; train the model again\.", str(caught.value))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArtifactError, match=f"^{path}: contains no model"):
            load_model(path, types=value_type)


@pytest.mark.parametrize("name", ["notes.txt", MANIFEST])
def test_saving_never_touches_what_is_no_model(tmp_path: Path, name: str) -> None:
    stranger = tmp_path / name
    stranger.write_text('{"name": "app", "version": "1.0"}')
    with pytest.raises(ArtifactError, match="is not empty and contains no model"):
        save_model(label("mine"), tmp_path)
    with pytest.raises(ArtifactError, match="is a file"):
        save_model(label("mine"), stranger)
    assert list(tmp_path.iterdir()) == [stranger]
    assert stranger.read_text() == '{"name": "app", "version": "1.0"}'


def test_saving_leaves_what_else_is_in_a_models_folder(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    save_model(label("one"), tmp_path / "model")
    (tmp_path / "model" / "notes").mkdir()
    save_model(label("other"), tmp_path / "model")
    assert (tmp_path / "model" / "notes").is_dir()
    assert dataset_of(tmp_path / "model") == "other"


def test_saving_again_mends_a_damaged_model(recommender: Recommender, copy: Path) -> None:
    for path in {path.suffix: path for path in files_of(copy)}.values():  # one of each kind
        content = path.read_bytes()
        path.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
        with pytest.raises(ArtifactError):
            load_model(copy, types=value_type)
        recommender.save(copy)
        load_model(copy, types=value_type)


def test_a_reader_sees_the_old_model_or_the_new_one(tmp_path: Path) -> None:
    models = [label(str(n)) for n in range(2)]
    path = save_model(models[0], tmp_path / "model")
    done = threading.Event()
    seen = set[str]()

    def read() -> None:
        while not done.is_set():
            seen.add(dataset_of(path))

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        number = 0
        while (number < 30 or seen < {"0", "1"}) and not reader.done():
            number += 1
            save_model(models[number % 2], path, keep=1)
        done.set()
        reader.result()
    assert seen == {"0", "1"}


def test_a_reader_waits_out_two_replacements_that_end_where_they_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [label(str(n)) for n in range(2)]
    path = save_model(models[0], tmp_path / "model")
    calls: list[Path] = []

    def read_late(file: Path) -> Any:
        calls.append(file)
        if len(calls) == 1:
            save_model(models[1], path, keep=1)
            assert not file.exists()
            try:
                return read(file)
            finally:
                save_model(models[0], path, keep=1)
        return read(file)

    read = folder.read_content
    monkeypatch.setattr(folder, "read_content", read_late)
    assert dataset_of(path) == "0"
    assert len(calls) > 1


def test_who_publishes_waits_for_another_who_does(tmp_path: Path) -> None:
    path = save_model(label("one"), tmp_path / "model")
    writer = threading.Thread(target=save_model, args=(label("other"), path))
    with _staging_in(path):
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
        assert dataset_of(path) == "one"
    writer.join()
    assert dataset_of(path) == "other"
    assert not list(path.glob(f"{STAGING_PREFIX}*"))


def test_a_failed_save_leaves_the_old_model_and_nothing_else(tmp_path: Path) -> None:
    path = save_model(label("one"), tmp_path / "model")
    broken = replace(label("other"), facts={"data": object(), "metrics": {}})  # no JSON can hold this
    with pytest.raises(TypeError):
        save_model(broken, path)
    assert sorted(entry.name for entry in path.iterdir()) == sorted([read_manifest(path)["version"], MANIFEST])
    assert dataset_of(path) == "one"


def test_without_checksums_nothing_is_computed_from_all_vectors(copy: Path, recommender: Recommender) -> None:
    vectors = next(copy.glob("*/*fold_in.item_vectors.npy"))
    content = vectors.read_bytes()
    vectors.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=vectors.name):
        load_model(copy, types=value_type)
    model = load_model(copy, types=value_type, verify=False)
    assert model.signal_encoder is not None
    assert model.fold_in is model.signal_encoder.fold_in
    assert model.fold_in.gram.tobytes() == recommender.model.fold_in.gram.tobytes()
    assert model.vector_covariance.tobytes() == recommender.model.vector_covariance.tobytes()
