"""A saved model comes back as it was, or is refused by the name of the file that is wrong."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstday.artifact import folder
from firstday.artifact.folder import MANIFEST, _alone_in, _sealed, _sha256, load_model, read_manifest, save_model
from firstday.errors import ArtifactError, ConfigError
from firstday.features.signals import Signals
from firstday.recommend.recommender import Recommender, open_model
from firstday.recommend.registry import baseline_names, strategy_names, value_type

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
    return sorted(path for path in model.rglob("*") if path.is_file())


@pytest.mark.parametrize("strategy", strategy_names())
def test_an_opened_model_answers_as_the_trained_one(recommender: Recommender, saved: Path, strategy: str) -> None:
    opened = open_model(saved)
    for user in USERS:
        assert opened.recommend(user, 20, strategy) == recommender.recommend(user, 20, strategy)


def test_everything_of_the_model_comes_back(recommender: Recommender, saved: Path) -> None:
    opened, trained = load_model(saved, types=value_type), recommender.model
    assert opened.config == trained.config
    assert opened.cold.history == trained.cold.history
    assert list(opened.learned) == list(trained.learned) == ["dropoutnet", "melu", *baseline_names()]
    for name in ("dropoutnet", "melu"):
        assert opened.learned[name].history == trained.learned[name].history
    assert opened.encoder.blocks() == trained.encoder.blocks()
    assert opened.catalogue.titles == trained.catalogue.titles
    assert {name: ids.values.to_list() for name, ids in opened.catalogue.entities.items()} == {
        name: ids.values.to_list() for name, ids in trained.catalogue.entities.items()
    }
    assert opened.facts == json.loads(json.dumps(trained.facts))


def test_a_model_may_have_learned_no_other_method_or_one(recommender: Recommender, tmp_path: Path) -> None:
    choices: tuple[tuple[str, ...], ...] = ((), ("melu",))
    for names in choices:
        learned = {name: recommender.model.learned[name] for name in names}
        path = save_model(replace(recommender.model, learned=learned), tmp_path / "model")
        assert {file.name for file in path.rglob("learned.*.npy") if ".layers." not in file.name} == {
            f"learned.{name}.{part}.npy" for name in names for part in ("weights", "bias", "gram")
        }
        first = {file.name for file in path.rglob("*.layers.0.weights.npy")}
        assert first == {
            f"{part}.layers.0.weights.npy"
            for part in ("cold", "ranker.body", *(f"learned.{name}.body" for name in names))
        }
        opened = open_model(path)
        assert tuple(opened.model.learned) == names
        assert opened.recommend(USERS[1], 20) == recommender.recommend(USERS[1], 20)
        with pytest.raises(ConfigError, match="dropoutnet_segment needs a model trained with"):
            opened.recommend(USERS[1], 20, "dropoutnet_segment")


def test_what_the_parts_of_a_model_share_is_kept_once(recommender: Recommender, saved: Path) -> None:
    opened = load_model(saved, types=value_type)
    assert opened.warm is not None
    for model in (opened, recommender.model):
        assert model.warm is not None
        assert model.catalogue.people is model.warm.ids
        assert model.encoder.friend_vectors is model.warm.vectors
    uses = opened.warm.uses
    assert uses.weights.strides == (0,)
    assert (uses.weights == 1).all()
    assert {file.name for file in saved.rglob("*warm*")} == {"warm.uses.starts.npy", "warm.uses.columns.npy"}
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
    assert manifest["model"]["blending"]["weights"] == list(model.blending.weights)
    assert manifest["model"]["facts"] == {}


def test_an_opened_model_saved_again_is_the_same_version(saved: Path, tmp_path: Path) -> None:
    again = save_model(load_model(saved, types=value_type), tmp_path / "again")
    assert read_manifest(again)["version"] == read_manifest(saved)["version"]


def test_facts_of_any_name_come_back(recommender: Recommender, tmp_path: Path) -> None:
    for facts in ({}, {"data": {}, "files": [1], "version": "mine"}):
        path = save_model(replace(recommender.model, facts=facts), tmp_path / "model")
        assert load_model(path, types=value_type).facts == facts


def test_arrays_are_memory_mapped_and_nothing_is_pickled(saved: Path) -> None:
    opened = load_model(saved, types=value_type)
    for array in (opened.encoder.fold_in.item_vectors, opened.segments.centroids):
        assert type(array) is np.ndarray  # quick to slice
        assert isinstance(array.base, np.memmap)
    assert {path.suffix for path in files_of(saved)} == {".json", ".npy", ".parquet"}
    for path in saved.rglob("*.npy"):
        np.load(path, allow_pickle=False)


def test_saving_twice_gives_the_same_bytes_but_for_the_time(recommender: Recommender, tmp_path: Path) -> None:
    one, other = (recommender.save(tmp_path / name) for name in ("one", "other"))
    names = [path.relative_to(one) for path in files_of(one)]
    assert names == [path.relative_to(other) for path in files_of(other)]
    for name in names:
        if name.name != MANIFEST:
            assert (one / name).read_bytes() == (other / name).read_bytes()
    kept = [
        {k: v for k, v in read_manifest(path).items() if k not in ("created_at", "sha256")} for path in (one, other)
    ]
    assert kept[0] == kept[1]


def test_a_changed_byte_in_any_file_is_refused_by_name(copy: Path) -> None:
    for path in files_of(copy):
        intact = path.read_bytes()
        for position in sorted({0, len(intact) // 3, len(intact) // 2, len(intact) - 1}):
            changed = bytearray(intact)
            changed[position] ^= 1
            path.write_bytes(changed)
            with pytest.raises(ArtifactError, match=path.name):
                load_model(copy, types=value_type)
        path.write_bytes(intact)
    load_model(copy, types=value_type)


def test_every_byte_of_the_manifest_counts(copy: Path) -> None:
    path = copy / MANIFEST
    intact = path.read_bytes()
    for position in range(0, len(intact), 7):
        changed = bytearray(intact)
        changed[position] ^= 2
        path.write_bytes(changed)
        with pytest.raises(ArtifactError, match=r"manifest\.json: was changed after it was written"):
            read_manifest(copy)


def test_a_missing_or_cut_file_is_refused_by_name(copy: Path) -> None:
    for path in files_of(copy):
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(ArtifactError, match=path.name):
            load_model(copy, types=value_type)
        path.unlink()
        with pytest.raises(ArtifactError, match=path.name):
            load_model(copy, types=value_type)
        path.write_bytes(content)


def test_another_format_is_refused(copy: Path) -> None:
    manifest = read_manifest(copy)
    del manifest["sha256"]
    (copy / MANIFEST).write_bytes(_sealed({**manifest, "format": 99}))
    with pytest.raises(ArtifactError) as caught:
        load_model(copy, types=value_type)
    assert str(caught.value) == (
        f"{copy / MANIFEST}: is of format 99, this firstday reads 8; train the model again with: "
        f"firstday train TABLES --out {copy}."
    )


CHANGES: tuple[tuple[tuple[str, ...], Any, str], ...] = (
    (("firstday",), None, "firstday is no text"),
    (("version",), "../other", "version is no version"),
    (("files",), [], "files is no JSON object"),
    (("files", "../../etc/passwd"), {"sha256": "", "bytes": 0}, "'../../etc/passwd' is no name of a file"),
    (("files", "a.npy"), "abc", "files.a.npy has no checksum"),
    (("data",), [], "facts are no JSON object"),
    (("model", "facts"), 1, "facts are no JSON object"),
    (("config", "seed"), -1, "config.seed: input should be greater than or equal to 0"),
    (("model", "similarity"), "euclid", "similarity: is 'euclid', which is no Literal['dot', 'cosine']"),
    (("model", "segments"), 7, "segments: is 7, which is no Segments"),
    (
        ("model", "segments", "spread"),
        {"$file": "warm.ids.values.parquet"},
        "segments.spread: is {'$file': 'warm.ids.values.parquet'}, which is no",
    ),
    (("model", "segments", "extra"), 7, "segments.extra: is no part of a Segments"),
    (("model", "mixing", "temperature"), "warm", "mixing.temperature: is 'warm', which is no float"),
    (("model", "learned", "mood"), {}, "learned.mood"),
)


@pytest.mark.parametrize(("place", "value", "sentence"), CHANGES)
def test_a_made_up_manifest_is_refused_in_one_sentence(
    copy: Path, place: tuple[str, ...], value: Any, sentence: str
) -> None:
    manifest = read_manifest(copy)
    del manifest["sha256"]
    part: Any = manifest
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    (copy / MANIFEST).write_bytes(_sealed(manifest))
    with pytest.raises(ArtifactError) as caught:
        load_model(copy, types=value_type)
    assert str(caught.value).startswith(f"{copy / MANIFEST}: {sentence}")
    assert str(caught.value).endswith("train the model again.") or str(caught.value).endswith("copy the model again.")
    assert "\n" not in str(caught.value)


def test_a_file_of_the_wrong_kind_is_refused_by_name(copy: Path) -> None:
    manifest = read_manifest(copy)
    del manifest["sha256"]
    for suffix in (".npy", ".parquet"):
        name = next(name for name in manifest["files"] if name.endswith(suffix))
        file = copy / manifest["version"] / name
        intact = file.read_bytes()
        file.write_bytes(b"something else")
        files = {**manifest["files"], name: {"sha256": _sha256(file), "bytes": file.stat().st_size}}
        (copy / MANIFEST).write_bytes(_sealed({**manifest, "files": files}))
        with pytest.raises(ArtifactError, match=f"{name}: cannot be read"):
            load_model(copy, types=value_type)
        file.write_bytes(intact)


@pytest.mark.parametrize("kind", ["nothing", "empty", "other"])
def test_a_folder_without_a_model_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "place"
    if kind != "nothing":
        path.mkdir()
    if kind == "other":
        (path / "notes.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"place: holds no model"):
        load_model(path, types=value_type)


def test_saving_never_touches_what_is_no_model(recommender: Recommender, tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    file.write_text("mine")
    with pytest.raises(ArtifactError, match="is not empty and holds no model"):
        recommender.save(folder)
    with pytest.raises(ArtifactError, match="is a file"):
        recommender.save(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (folder / "notes.txt").read_text() == "mine"


def test_saving_into_an_empty_folder_works(recommender: Recommender, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    recommender.save(tmp_path / "model")
    load_model(tmp_path / "model", types=value_type)


def test_a_manifest_of_something_else_protects_its_folder(recommender: Recommender, tmp_path: Path) -> None:
    (tmp_path / "web" / "src").mkdir(parents=True)
    (tmp_path / "web" / MANIFEST).write_text('{"name": "app", "version": "1.0"}')
    with pytest.raises(ArtifactError, match="is not empty and holds no model"):
        recommender.save(tmp_path / "web")
    assert (tmp_path / "web" / "src").is_dir()


def test_replacing_a_model_leaves_what_else_is_in_its_folder(recommender: Recommender, copy: Path) -> None:
    (copy / "notes").mkdir()
    other = Recommender(replace(recommender.model, facts={"data": {"dataset": "other"}, "metrics": {}}))
    other.save(copy)
    assert (copy / "notes").is_dir()


def test_saving_again_mends_a_damaged_model(recommender: Recommender, copy: Path) -> None:
    for path in {path.suffix: path for path in files_of(copy)}.values():  # one of each kind
        content = path.read_bytes()
        path.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
        with pytest.raises(ArtifactError):
            load_model(copy, types=value_type)
        recommender.save(copy)
        load_model(copy, types=value_type)


def test_replacing_a_model_removes_the_old_files_where_one_version_is_kept(
    recommender: Recommender, tmp_path: Path
) -> None:
    path = recommender.save(tmp_path / "model")
    old = read_manifest(path)["version"]
    other = Recommender(replace(recommender.model, facts={"data": {"dataset": "other"}, "metrics": {}}))
    other.save(path, keep=1)
    assert read_manifest(path)["version"] != old
    assert sorted(entry.name for entry in path.iterdir()) == sorted([read_manifest(path)["version"], MANIFEST])
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_reader_sees_the_old_model_or_the_new_one(tiny: Recommender, tmp_path: Path) -> None:
    models = [replace(tiny.model, facts={"data": {"dataset": str(n)}, "metrics": {}}) for n in range(2)]
    path = save_model(models[0], tmp_path / "model")
    done = threading.Event()
    trouble: list[BaseException] = []
    seen: set[str] = set()

    def read() -> None:
        while not done.is_set():
            try:
                seen.add(load_model(path, types=value_type).facts["data"]["dataset"])
            except Exception as error:
                trouble.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 31):
        save_model(models[number % 2], path, keep=1)
    done.set()
    for reader in readers:
        reader.join()
    assert not trouble
    assert seen == {"0", "1"}


def test_a_reader_waits_out_two_replacements_that_end_where_they_began(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [replace(recommender.model, facts={"data": {"dataset": str(n)}, "metrics": {}}) for n in range(2)]
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

    read = folder._read_file
    monkeypatch.setattr(folder, "_read_file", read_late)
    assert load_model(path, types=value_type).facts["data"]["dataset"] == "0"
    assert len(calls) > 1


def test_who_publishes_waits_for_another_who_does(recommender: Recommender, tmp_path: Path) -> None:
    path = recommender.save(tmp_path / "model")
    before = read_manifest(path)["version"]
    other = replace(recommender.model, facts={"data": {"dataset": "other"}, "metrics": {}})
    writer = threading.Thread(target=save_model, args=(other, path))
    with _alone_in(tmp_path):
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
        assert read_manifest(path)["version"] == before
    writer.join()
    assert load_model(path, types=value_type).facts["data"]["dataset"] == "other"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_failed_save_leaves_the_old_model_and_nothing_else(recommender: Recommender, tmp_path: Path) -> None:
    path = recommender.save(tmp_path / "model")
    broken = replace(recommender.model, facts={"data": object(), "metrics": {}})  # no JSON can hold this
    with pytest.raises(TypeError):
        save_model(broken, path)
    with pytest.raises(TypeError):
        save_model(broken, tmp_path / "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]
    load_model(path, types=value_type)
