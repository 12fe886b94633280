"""Do something to a model's folder in a process that is killed at its first file operation, at its second, and so on.

    python -m tests.artifact.kill_each publish|rollback FOLDER

After each kill, a process that comes after it opens the model. Prints a line of JSON for each kill. The process that
forks must start no thread, so nothing is opened in it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstday.artifact.folder import (
    MANIFEST,
    STAGING_PREFIX,
    _check_files,
    list_versions,
    load_model,
    read_manifest,
    rollback,
    save_model,
    version_in,
)
from firstday.artifact.trained_model import TrainedModel
from firstday.recommend.registry import value_type
from tests.tiny import make_model

FILE_EVENTS = ("open", "os.", "shutil.", "tempfile.", "fcntl.")


def label(name: str) -> TrainedModel:
    """Make the model of `tests.tiny`, of fewer files, with another fact in it, and so another version."""
    return replace(make_model(), learned={}, facts={"data": {"dataset": name}, "metrics": {}})


def fork(work: Callable[[], Any]) -> int:
    """Do some work in a process of its own; return the signal that ended it, or minus its exit status."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def kill_at(number: int, work: Callable[[], Any]) -> bool:
    """Do some work in a process that is killed at one of its file operations; return whether it came so far."""

    def count_events() -> None:
        n_events = 0

        def hook(event: str, arguments: Any) -> None:
            nonlocal n_events
            if event.startswith(FILE_EVENTS):
                n_events += 1
                if n_events == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()

    ended = fork(count_events)
    assert ended in (0, signal.SIGKILL), ended
    return ended == signal.SIGKILL


def main() -> None:
    """Kill at each operation in turn."""
    what = sys.argv[1]
    folder = Path(sys.argv[2])
    os.fsync = lambda fd: None  # what a killed process wrote is there without it
    new = label("new")
    source = folder / "source"
    model = folder / "model"
    # Three versions, so that one has to go.
    for name in ("oldest", "older", "old"):
        assert fork(lambda name=name: save_model(label(name), source)) == 0  # type: ignore[misc]
    work = (lambda: save_model(new, model)) if what == "publish" else (lambda: rollback(model))

    def look() -> None:
        opened = load_model(model, types=value_type)
        others = [kept.version for kept in list_versions(model) if not kept.in_place]
        for version in others:
            _check_files(model / version, read_manifest(model / version)["files"])
        sys.stdout.write(json.dumps({"dataset": opened.facts["data"]["dataset"], "others": len(others)}) + "\n")
        sys.stdout.flush()

    number = 0
    came_so_far = True
    while came_so_far:
        number += 1
        if version_in(model) != version_in(source) or names_in(model) != names_in(source):
            shutil.rmtree(model, ignore_errors=True)
            shutil.copytree(source, model)
        came_so_far = kill_at(number, work)
        assert fork(look) == 0, f"after a kill at operation {number}"
    # the last one, which was not killed, swept up after the others
    assert not list(model.glob(f"{STAGING_PREFIX}*"))


def names_in(folder: Path) -> set[str]:
    """Return the paths in a model's folder, and of the manifests of its versions, without what is staged."""
    paths = {str(path.relative_to(folder)) for path in (*folder.glob("*"), *folder.glob(f"*/{MANIFEST}"))}
    return {path for path in paths if not path.startswith(STAGING_PREFIX)}


if __name__ == "__main__":
    main()
