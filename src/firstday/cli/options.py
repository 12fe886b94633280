"""Options of several commands, and shared functions for tables, notes and files."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from firstday.config import Config, DeviceName, load_config, suit_config
from firstday.data.dataset import Dataset
from firstday.data.left_out import left_out_path, write_left_out
from firstday.data.load import load
from firstday.data.splits.histories import Protocol
from firstday.engine.engines import explain_protocol, find_engine
from firstday.engine.protocol import Engine
from firstday.errors import ConfigError, DataError, needs_extra
from firstday.features.signals import Signals
from firstday.files import write_file
from firstday.recommend.registry import load_plugin
from firstday.recommend.rules.list_rules import Rules
from firstday.recommend.support import optional_names
from firstday.training.learn import check_device

TablesArgument = Annotated[str, typer.Argument(help="Folder of tables, or a dataset name (see docs/tables.md).")]
ModelArgument = Annotated[Path, typer.Argument(help="Model folder.")]
PathOption = Annotated[Path | None, typer.Option(help="With a dataset name: local copy, a zip or a folder.")]
ConfigOption = Annotated[
    Path | None, typer.Option(help="TOML file of settings (default: the preset of the dataset name, else defaults).")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "--column",
        metavar="SECTION.KEY=VALUE",
        help="Override any setting of --config; repeatable. --column WineID=item_id stands for --set "
        "columns.WineID=item_id: the column WineID of the tables is read as item_id.",
    ),
]
KOption = Annotated[int | None, typer.Option("-k", min=1, help="List length (default: the setting, 50).")]
PluginOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Python module with your own methods (strategies, cold models), repeatable; see docs/add-a-method.md. Not "
        "needed for installed packages with entry points."
    ),
]


def parse_share(text: str | float) -> float:
    """Parse a share of rows, such as ``1%`` or ``0.01``; 1 without % is ambiguous and rejected."""
    words = str(text).strip()
    try:
        share = float(words.removesuffix("%")) / (100 if words.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1 or (share == 1 and not words.endswith("%")):
        raise typer.BadParameter(f"{words!r} is not a share of rows; give one such as 1% or 0.01")
    return share


DropOption = Annotated[
    float,
    typer.Option(
        "--drop-bad-rows",
        parser=parse_share,
        metavar="SHARE",
        show_default=False,
        help="Drop bad rows, up to this share of each table, such as 1% or 0.01 (default: none).",
    ),
]
KeepOption = Annotated[
    int,
    typer.Option(min=1, help="Number of versions to keep for firstday rollback, including this one."),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json", help="Write the results as JSON to this file; alone or with -, print them instead of the table."
    ),
]
ReportOption = Annotated[Path | None, typer.Option(help="Write a self-contained HTML report to this file.")]
StrategiesOption = Annotated[
    list[str] | None,
    typer.Option("--strategy", help="Strategy, repeatable (default: all that apply). Names are listed below."),
]
SeedsOption = Annotated[int, typer.Option(min=1, max=1000, help="Number of times to split, train and evaluate.")]

ProtocolOption = Annotated[
    Protocol | None,
    typer.Option(
        help="How to choose cold users and day ones (default: the setting, auto: registration if the log has a clock)."
    ),
]
DeviceOption = Annotated[
    DeviceName | None,
    typer.Option(
        help="Device to train networks on (default: the setting, auto: the first of cuda, mps and cpu available)."
    ),
]
FilterOption = Annotated[
    str | None, typer.Option(help="Rule: condition on the columns of items, such as 'in_stock and year >= 2020'.")
]
AllowOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Rule: ids of items that may be listed, one per line.")
]
DenyOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Rule: ids of items that may not be listed, one per line.")
]
CapOption = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=NUMBER", help="Rule: maximum items per value of a column; repeatable."),
]
PinOption = Annotated[list[str] | None, typer.Option(metavar="RANK=ITEM_ID", help="Item at a rank; repeatable.")]
BoostOption = Annotated[
    list[str] | None,
    typer.Option(metavar="FILTER=FACTOR", help="Multiply the scores of items that meet FILTER by FACTOR; repeatable."),
]
UserOption = Annotated[str | None, typer.Option(help="Data of one user, as JSON; - reads from standard input.")]
KeepUsedOption = Annotated[bool, typer.Option(help="Allow items that the user has used, banned or passed over.")]
EngineOption = Annotated[
    str | None,
    typer.Option(
        help="Process users on this machine, or on a Spark cluster that can read the tables (hdfs://, s3a://, file://; "
        "needs the extra spark). Default: local."
    ),
]
SparkMasterOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="With --engine spark: cluster URL, such as spark://host:7077 (default: spark-submit's)."
    ),
]
SparkConfOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="With --engine spark: Spark setting, repeatable."),
]


def split_pairs(option: str, texts: Iterable[str] | None, example: str) -> dict[str, str]:
    """Split texts of the form ``NAME=VALUE``; raise ConfigError for another form or a repeated name."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, _, value = map(str.strip, text.partition("="))
        if not (name and value) or name in pairs:
            raise ConfigError(f"{option}: is {text!r}; write each once, such as {example}.")
        pairs[name] = value
    return pairs


def start_engine(engine: str | None, master: str | None, conf: Sequence[str] | None) -> Engine:
    """Start an engine and return it."""
    chosen = find_engine(engine)
    chosen.start(master, split_pairs("--spark-conf", conf, "spark.executor.memory=2g"))
    return chosen


class Command(TyperCommand):
    """A command with short forms: ``--column NAME=COLUMN``, and ``--json`` for standard output."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write ``--column NAME=COLUMN`` as ``--set columns.NAME=COLUMN``, and `-` for the file of ``--json`` alone."""
        is_file = any("--json" in option.opts and not getattr(option, "is_flag", True) for option in self.params)
        full: list[str] = []
        for argument, next_argument in zip_longest(args, args[1:], fillvalue="--"):
            full.append(f"columns.{argument}" if full[-1:] == ["--column"] else argument)
            if is_file and argument == "--json" and next_argument.startswith("-") and next_argument != "-":
                full.append("-")
        return super().parse_args(ctx, full)


def require_libraries(feature: str, extra: str, *modules: str) -> None:
    """Raise MissingExtraError if libraries of an extra are missing, before tables are read."""
    with needs_extra(feature, extra):
        for module in modules:
            import_module(module)


def load_plugins(modules: Sequence[str] | None) -> tuple[str, ...]:
    """Register the methods of modules; return the names of those that are trained."""
    names = [name for module in modules or () for name in load_plugin(module)]
    return tuple(name for name in names if name in optional_names())


def read_settings(
    tables: str,
    config: Path | None,
    overrides: Sequence[str] | None = None,
    protocol: Protocol | None = None,
    device: DeviceName | None = None,
) -> Config:
    """Return the settings for some tables: those of a file or of the preset, overridden by the command line."""
    values: dict[str, Any] = {}
    for name, text in split_pairs("--set", overrides, "--set cold_model.epochs=5").items():
        try:
            values[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = text
    options = {"protocol": protocol, "device": device}
    values |= {name: value for name, value in options.items() if value is not None}
    settings = (suit_config(tables) if config is None else load_config(config)).override(values)
    check_device(settings)
    return settings


def open_tables(
    tables: str,
    path: Path | None,
    config: Path | None,
    overrides: Sequence[str] | None = None,
    protocol: Protocol | None = None,
    drop_bad_rows: float = 0.0,
    device: DeviceName | None = None,
) -> tuple[Dataset, Config]:
    """Load a dataset on this machine, print its notes and protocol, and return it with its settings."""
    settings = read_settings(tables, config, overrides, protocol, device)
    dataset = load(tables, path=path, config=settings, drop_bad_rows=drop_bad_rows)
    print_notes([*dataset.notes, explain_protocol(dataset, settings)])
    return dataset, settings


def print_notes(notes: Iterable[str]) -> None:
    """Print notes on standard error."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def check_output(target: Path | None, ending: str = "") -> None:
    """Raise ConfigError if a file cannot be written or has another ending; `-`, without one, is standard output."""
    if target is None or (str(target) == "-" and not ending):
        return
    if target.is_dir():
        raise ConfigError(f"{target}: is a folder; give the name of a file.")
    if ending and target.suffix.lower() != ending:
        raise ConfigError(f"{target}: give a name that ends in {ending}.")
    if not os.access(target.resolve().parent, os.W_OK):
        raise ConfigError(f"{target}: its folder does not exist or is not writable; give another path.")


def command_line() -> str:
    """Return the current command line, for reports."""
    return shlex.join(["firstday", *sys.argv[1:]])


def program_name() -> str:
    """Return the command that runs this program in the user's shell, for commands to copy."""
    return "firstday" if shutil.which("firstday") else str(Path(sys.executable).with_name("firstday"))


def print_json(values: Any) -> None:
    """Print JSON on standard output."""
    typer.echo(json.dumps(values, indent=1, ensure_ascii=False))


def write_json(values: Any, target: Path | None, left_out: Sequence[str] | None = None) -> bool:
    """Write JSON to a file, with dropped rows next to it, or print it (`-`); return whether it was printed."""
    is_printed = str(target) == "-"
    if is_printed:
        print_json(values)
    elif target is not None:
        write_file(target, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
        if left_out is not None:
            write_left_out(left_out_path(target), left_out)
    return is_printed


def read_user(text: str) -> Signals:
    """Read the data of one user, as JSON; `-` reads it from standard input."""
    return Signals.from_json(typer.get_binary_stream("stdin").read() if text == "-" else text)


def read_rules(condition: str | None, allow: str | None, deny: str | None, **rules: Any) -> Rules:
    """Return the rules that options define; `allow` and `deny` are files of ids."""
    if condition is not None and not condition.strip():
        raise ConfigError("--filter: is empty; give a condition, or omit the option.")
    given = {name: value for name, value in {"filter": condition, **rules}.items() if value is not None}
    ids = {name: _read_ids(file) for name, file in (("allow", allow), ("deny", deny)) if file is not None}
    return Rules.of({**given, **ids})


def _read_ids(file: str) -> list[str]:
    """Read ids from a file, one per line; skip blank lines."""
    try:
        return list(filter(None, map(str.strip, Path(file).read_text("utf-8-sig").splitlines())))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); give a text file with one id per line.") from None
