"""Text with separators, however it is written, is read as Python's csv module reads it, and each row knows its line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstday.data.dataset import Dataset
from firstday.engine.engines import check as check_tables
from firstday.tables.faults import ROW, Findings
from firstday.tables.find import Packing, TableFile
from firstday.tables.separated import find_header, scan_text
from firstday.tables.text import UnreadableError, open_text
from firstday.tables.zstd import compress
from tests.data.dirty_files import CASES

COLUMNS = ["user_id", "item_id", "signal"]
Row = tuple[str, tuple[str, ...]]
"""A row's place and its values."""


def read(content: str, findings: Findings, packing: Packing = "", chunk: int = 2**22) -> list[Row] | None:
    """Read a text as firstday does; None where it has a fault."""
    packs: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        "gzip": gzip.compress,
        "zstd": lambda part: compress(part[:9]) + compress(part[9:]),
    }
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("firstday.tables.text.CHUNK_BYTES", chunk)
        path = Path(folder) / "part"
        path.write_bytes(packs[packing](content.encode()))
        try:
            text = open_text(path, TableFile("part", "CSV", packing), "interactions")
            scan, source = scan_text(text, findings)
        except UnreadableError as error:
            if error.args:
                findings.fault(*error.args)
            return None
        return [
            (str(source(row)), tuple(value or "" for value in values))
            for row, *values in scan.select(ROW, *COLUMNS).collect().rows()
        ]


def read_with_csv_module(text: str, separator: str) -> list[Row] | None:
    """Read a text with the csv module; None where a row is not whole."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    begins = 1
    try:
        for values in reader:
            if any(value.strip() for value in values):
                rows.append((f"part line {begins:,}", tuple(values)))
            begins = reader.line_num + 1
    except csv.Error:
        return None
    return rows[1:] if all(len(values) == len(COLUMNS) for _, values in rows) else None


@given(
    rows=st.lists(st.tuples(*[st.text("ab,;é \"'\n#", max_size=5)] * 3), max_size=15),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    blank=st.integers(0, 3),
    mark=st.sampled_from(["", "\ufeff"]),
    packing=st.sampled_from(get_args(Packing)),
    chunk=st.sampled_from([64, 2**22]),
)
@settings(max_examples=120)
def test_what_programs_write_is_read(
    rows: list[tuple[str, ...]], separator: str, end: str, blank: int, mark: str, packing: Packing, chunk: int
) -> None:
    place = io.StringIO(newline="")
    writer = csv.writer(place, delimiter=separator, lineterminator=end)
    writer.writerow(COLUMNS)
    for number, row in enumerate(rows):
        writer.writerow(row)
        place.write(end * (blank if number % 3 == 0 else 0))
    findings = Findings()
    result = read(mark + end * blank + place.getvalue(), findings, packing, chunk)
    assert findings.faults == ()
    expected = read_with_csv_module(end * blank + place.getvalue(), separator)
    assert result is not None
    assert expected is not None
    assert [row for row in result if any(value.strip() for value in row[1])] == expected


@given(
    body=st.text('ab,"\n\x07 ', max_size=40),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    drop=st.booleans(),
    chunk=st.sampled_from([64, 2**22]),
)
@settings(max_examples=200)
def test_whatever_is_written_is_read_rightly_or_refused(body: str, end: str, drop: bool, chunk: int) -> None:
    outside = body.split('"')
    outside[::2] = [part.replace("\n", end) for part in outside[::2]]
    text = ",".join(COLUMNS) + end + '"'.join(outside)
    findings = Findings(drop=drop)
    result = read(text, findings, chunk=chunk)
    expected = read_with_csv_module(text, ",")
    if findings.left_out:
        assert drop
        assert result is not None
        assert all(len(values) == len(COLUMNS) for _, values in result)
    elif expected is None or re.search("\x07", text):
        assert result is None
        assert findings.faults
    else:
        assert result is not None
        assert [row for row in result if any(value.strip() for value in row[1])] == expected


@pytest.mark.parametrize(
    ("line", "separator", "columns"),
    [
        ("user_id,item_id", ",", ["user_id", "item_id"]),
        ("user_id;a,b,c;item_id", ";", ["user_id", "a,b,c", "item_id"]),
        ('"user_id"\t"item,id"', "\t", ["user_id", "item,id"]),
        ("User ID|item", "|", ["User ID", "item"]),
        ("user_id", ",", ["user_id"]),
        ("age;a,b;c", ";", ["age", "a,b", "c"]),
        ('"user\n_id",x', ",", ["user\n_id", "x"]),
    ],
)
def test_the_header_shows_the_separator(line: str, separator: str, columns: list[str]) -> None:
    header = find_header(f"\n{line}\n1,2\n".encode(), "users", Findings())
    assert (header.separator, header.columns) == (separator, columns)


@pytest.mark.parametrize(
    ("name", "lines"), [("fields too many and too few", [2, 11]), ("a fault in the second file", [2])]
)
def test_rows_that_cannot_be_read_may_be_left_out(name: str, lines: list[int], tmp_path: Path) -> None:
    next(case for case in CASES if case.name == name).write(tmp_path)
    checked = check_tables(tmp_path, drop_bad_rows=0.05)
    assert checked.faults == ()
    assert isinstance(checked.dataset, Dataset)
    assert len(checked.dataset.events) == 300 - len(lines)
    rows = [json.loads(record) for record in checked.left_out]
    assert [row["place"].rpartition(" ")[2] for row in rows] == list(map(str, lines))
    assert all(row["row"].count(",") != 4 for row in rows)
    faults = check_tables(tmp_path, drop_bad_rows=0.001).faults
    assert [fault.code for fault in faults] == ["field_count", "too_many_bad_rows"]
    assert f"{len(lines)} of 300 rows are bad" in faults[1].text


def test_lines_that_an_open_quote_runs_over_are_kept() -> None:
    findings = Findings(drop=True)
    header = ",".join(COLUMNS)
    rows = read(f'{header}\n1,"a,b\n2,c,d\n3,"e,f\n4,"g\nh",i\n5,j"j,k\n6,"l"l,m\n', findings)
    assert rows == [
        ("part line 3", ("2", "c", "d")),
        ("part line 5", ("4", "g\nh", "i")),
        ("part line 7", ("5", 'j"j', "k")),
    ]
    assert len(findings.left_out) == 3


def test_control_characters_in_a_header_are_told() -> None:
    findings = Findings()
    assert read("user_id,item_id,sig\x01nal\n1,2,3\n", findings) is None
    assert "is not a header of interactions ('user_id,item_id,sig\\x01nal')" in findings.faults[0].text
