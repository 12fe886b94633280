"""Standings: what the leaderboard's file holds, how it is read, and how another's is added."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from firstday.errors import ConfigError

Ends = tuple[float, float]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Run(_Value):
    """One run of the command on one set, and what `segment` did in it, which every ratio and difference refers to.

    Parameters
    ----------
    versions
        Of firstday, Python, NumPy and PyTorch, and the checksum of the settings.
    machine
        Processor and cores: times are of this machine.
    precision, fit_seconds, ms_per_user
        Of `segment`; both times are above 0, and the second is None where it was not measured well.
    origin
        The file that it was added from; "" for a run of one's own.
    """

    versions: dict[str, str]
    machine: str
    precision: float
    fit_seconds: float = Field(gt=0)
    ms_per_user: float | None = Field(default=None, gt=0)
    origin: str = ""


class Row(_Value):
    """What one method reached on one set, in % unless said otherwise.

    Parameters
    ----------
    strategy, kind, about
        Name, whose method it is, and what it does.
    run
        Which of the set's runs it comes from.
    source
        The first figures of the checksum of the file that has a method from outside, so that a changed method is run
        again.
    precision, recall, ndcg, user_coverage, catalogue_coverage, novelty_bits, by_day_one_size, precision_by_seed
        See `firstday.evaluation.results.Figure`.
    minus_segment
        Difference of precision to `segment` in the same run, user by user; None for itself.
    fit_seconds, ms_per_user
        Time to fit with the options as they are, and to answer; None where that was not measured well.
    options, options_from
        Of a baseline, and where they come from: on record, or chosen on the validation users of the first seed.
    """

    strategy: str
    kind: Literal["firstday", "baseline", "plug-in"]
    about: str
    run: int
    source: str = ""
    precision: float
    precision_ci: Ends
    minus_segment: float | None = None
    minus_segment_ci: Ends | None = None
    recall: float
    ndcg: float
    by_day_one_size: dict[str, float | None]
    precision_by_seed: list[float]
    user_coverage: float
    catalogue_coverage: float
    novelty_bits: float
    fit_seconds: float
    ms_per_user: float | None = None
    options: dict[str, Any] | None = None
    options_from: Literal["record", "first seed"] | None = None


class Standings(_Value):
    """The methods on one set.

    Parameters
    ----------
    split
        SHA-256 of who is warm, who is cold, what was known of them and what they used afterwards, of all seeds.
    seeds, k, protocol, n_users, n_items, n_warm, n_cold
        How it was judged; warm and cold users of one seed.
    precomputed
        Whether vectors were brought along, of which nobody here knows what they were learned from.
    runs, rows
        What was run, and one row for each method.
    """

    split: str
    seeds: tuple[int, ...]
    k: int
    protocol: str
    n_users: int
    n_items: int
    n_warm: int
    n_cold: int
    precomputed: bool = False
    runs: tuple[Run, ...]
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _check_runs(self) -> Standings:
        if any(not 0 <= row.run < len(self.runs) for row in self.rows):
            raise ValueError("a row names a run that is not there")
        return self

    @property
    def best_first(self) -> tuple[Row, ...]:
        """The rows, best precision first."""
        return tuple(sorted(self.rows, key=lambda row: -row.precision))

    @property
    def sizes(self) -> tuple[str, ...]:
        """The classes of day-one size that have users."""
        return tuple(size for size, mean in self.rows[0].by_day_one_size.items() if mean is not None)

    def compare_times(self, row: Row) -> tuple[float, float | None]:
        """Return the times to fit and to answer as multiples of those of `segment` in the same run."""
        run = self.runs[row.run]
        answer = None if row.ms_per_user is None or run.ms_per_user is None else row.ms_per_user / run.ms_per_user
        return row.fit_seconds / run.fit_seconds, answer

    def with_rows(self, run: Run, rows: Iterable[Row]) -> Standings:
        """Return the standings with the rows of a run in place of those of the same methods; unused runs go."""
        added = {row.strategy: row.model_copy(update={"run": len(self.runs)}) for row in rows}
        kept = [row for row in self.rows if row.strategy not in added]
        runs, every = (*self.runs, run), (*kept, *added.values())
        used = sorted({row.run for row in every})
        numbers = {old: new for new, old in enumerate(used)}
        renumbered = (row.model_copy(update={"run": numbers[row.run]}) for row in every)
        return self.model_copy(update={"runs": tuple(runs[old] for old in used), "rows": tuple(renumbered)})


class Leaderboard(_Value):
    """Standings by the name of the set."""

    sets: dict[str, Standings] = {}

    def with_set(self, name: str, standings: Standings) -> Leaderboard:
        """Return the leaderboard with the standings of a set."""
        return Leaderboard(sets={**self.sets, name: standings})

    def only(self, names: Sequence[str]) -> Leaderboard:
        """Return the leaderboard with these of its sets; with all of them where none is named."""
        return Leaderboard(sets={name: self.sets[name] for name in names or self.sets if name in self.sets})


def read_leaderboard(path: Path) -> Leaderboard:
    """Read a leaderboard's file.

    Raises
    ------
    ConfigError
        It cannot be read, or is none.
    """
    try:
        board = Leaderboard.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a file that leaderboard wrote.") from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise ConfigError(
            f"{path}: is no leaderboard ({place}: {fault['msg'][:1].lower()}{fault['msg'][1:]}); give a file that "
            "firstday leaderboard --json wrote."
        ) from None
    if not board.sets:
        raise ConfigError(f"{path}: is no leaderboard (it has no sets); give a file that leaderboard wrote.")
    return board


def read_published() -> Leaderboard:
    """Return the standings that firstday publishes, which come with it."""
    return Leaderboard.model_validate_json((resources.files("firstday.leaderboard") / "published.json").read_bytes())


def write_multiple(multiple: float | None) -> str:
    """Write a multiple of a time with two digits that count; a dash where there is none."""
    if multiple is None:
        return "\N{EN DASH}"
    return "<0.01" if multiple < 0.01 else f"{float(f'{multiple:.2g}'):g}"


def write_split(split: str) -> str:
    """Write the checksum of a split short."""
    return split[:12]


def check_split(name: str, ours: Standings, theirs: Standings | str, seeds: tuple[int, ...], where: str) -> None:
    """Refuse standings of other users than ours.

    Raises
    ------
    ConfigError
        The checksums of the splits differ.
    """
    split = theirs if isinstance(theirs, str) else theirs.split
    if split != ours.split:
        raise ConfigError(
            f"{where}: {name}: the users are others (split {write_split(split)} of {len(seeds)} seeds, in the "
            f"leaderboard {write_split(ours.split)} of {len(ours.seeds)}); take the same data, --seeds "
            f"{len(ours.seeds)} and -k {ours.k}, or write another file."
        )


def add_leaderboard(board: Leaderboard, theirs: Leaderboard, origin: str) -> tuple[Leaderboard, tuple[str, ...]]:
    """Add another's standings: methods that ours lacks, on sets whose users are the same, and sets that ours lacks.

    Parameters
    ----------
    board, theirs
        Ours, and what is added.
    origin
        Where theirs comes from, for the record and for messages.

    Returns
    -------
    board : Leaderboard
        With their rows; of a method that both have, ours stays.
    notes : tuple of str
        What was added, and how far `segment` differs between the two.

    Raises
    ------
    ConfigError
        A set of both was judged on other users.
    """
    notes = []
    for name, standings in theirs.sets.items():
        ours = board.sets.get(name)
        if ours is not None:
            check_split(name, ours, standings, standings.seeds, origin)
        present = set() if ours is None else {row.strategy for row in ours.rows}
        for number, run in enumerate(standings.runs):
            rows = [row for row in standings.rows if row.run == number and row.strategy not in present]
            if not rows:
                continue
            named = run.model_copy(update={"origin": run.origin or origin})
            empty = standings.model_copy(update={"runs": (), "rows": ()})
            ours = (ours or empty).with_rows(named, rows)
            reference = ours.runs[0].precision
            notes.append(
                f"{name}: {', '.join(row.strategy for row in rows)} added of {origin}; there segment has "
                f"{run.precision:.2f} %, in the first run here {reference:.2f} %."
            )
        if ours is not None:
            board = board.with_set(name, ours)
    return board, tuple(notes) or (f"{origin}: has no method that the leaderboard lacks; nothing was added.",)
