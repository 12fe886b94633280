"""Do something to a model's folder in a process that is killed before its first change, its second, and so on.

    python -m tests.model.kill_each publish|rollback FOLDER

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

from firstday.model.folder import (
    STAGING_PREFIX,
    check_files,
    list_versions,
    load_model,
    read_manifest,
    rollback,
    save_model,
)
from firstday.model.trained_model import TrainedModel
from firstday.recommend.support import value_type
from tests.tiny import make_model

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime", "os.link", "os.symlink", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def label(name: str) -> TrainedModel:
    """Make the model of `tests.tiny`, of few files, with another fact in it, and so another version."""
    model = make_model()
    facts = {"data": {"dataset": name}, "metrics": {}}
    catalogue = replace(model.catalogue, columns={})
    return replace(model, learned={}, profile_groups={}, warm=None, catalogue=catalogue, facts=facts)


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


def is_change(event: str, arguments: Any) -> bool:
    """Whether an audit event comes before a change of the folder; what only reads leaves it as it was."""
    return event in CHANGES or (event == "open" and bool(arguments[2] & WRITING))


def kill_at(number: int, work: Callable[[], Any]) -> bool:
    """Do some work in a process that is killed at one of its changes; return whether it came so far."""

    def count_events() -> None:
        n_events = 0

        def hook(event: str, arguments: Any) -> None:
            nonlocal n_events
            if is_change(event, arguments):
                n_events += 1
                if n_events == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()

    ended = fork(count_events)
    assert ended in (0, signal.SIGKILL), ended
    return ended == signal.SIGKILL


def main() -> None:
    """Kill at each change in turn."""
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
            check_files(model / version, read_manifest(model / version)["files"])
        sys.stdout.write(json.dumps({"dataset": opened.facts["data"]["dataset"], "others": len(others)}) + "\n")
        sys.stdout.flush()

    staged = source / f"{STAGING_PREFIX}by-another"  # as a killed process leaves it
    (staged / "version").mkdir(parents=True)
    (staged / "version" / "file.npy").touch()
    number = 0
    came_so_far = True
    while came_so_far:
        number += 1
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(source, model, copy_function=os.link)
        came_so_far = kill_at(number, work)
        assert fork(look) == 0, f"after a kill at change {number}"
    assert not list(model.glob(f"{STAGING_PREFIX}*"))


if __name__ == "__main__":
    main()
