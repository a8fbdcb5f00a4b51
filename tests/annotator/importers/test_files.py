"""What rows lie in: every container gives the same rows; hostile ones are named and harmless."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.errors import InvalidInput
from annotator.importers.base import Source
from annotator.services.rows import open_rows
from config.env import BASE_DIR
from tests.foreign import SAMPLES, as_lines

ROWS = [{"prompt": "Why, äh?", "chosen": 'a "b";\nc', "rejected": "d\te"}]
ROWS += [{"prompt": f"p{n}", "chosen": f"c{n}", "rejected": f"r{n}"} for n in range(450)]


def as_parquet(rows: list[Any], **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, **how)
    return out.getvalue()


def as_csv(rows: list[Any], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    sheet = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    sheet.writeheader()
    sheet.writerows(rows)
    return out.getvalue().encode()


CONTAINERS = {
    "lines": as_lines(ROWS).getvalue(),
    "lines with a mark": b"\xef\xbb\xbf" + as_lines(ROWS).getvalue(),
    "array": json.dumps(ROWS).encode(),
    "array with a mark": b"\xef\xbb\xbf" + json.dumps(ROWS, indent=1).encode(),
    "comma": as_csv(ROWS),
    "tab": as_csv(ROWS, "\t"),
    "semicolon": as_csv(ROWS, ";"),
    "parquet": as_parquet(ROWS, row_group_size=100),
}


def read(blob: bytes) -> list[Source]:
    return list(open_rows(io.BytesIO(blob)).rows)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_rows(name: str, packed: bool) -> None:
    blob = gzip.compress(CONTAINERS[name], mtime=0) if packed else CONTAINERS[name]
    assert [source.value for source in read(blob)] == ROWS


def test_rows_are_counted_as_people_find_them() -> None:
    assert [source.line for source in read(CONTAINERS["lines"])][:3] == [1, 2, 3]
    assert [source.line for source in read(CONTAINERS["comma"])][:3] == [2, 4, 5]  # a cell of two
    assert [source.line for source in read(CONTAINERS["parquet"])][:3] == [1, 2, 3]
    assert open_rows(io.BytesIO(CONTAINERS["array"])).unit == "row"


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "label-studio"])
def test_nested_rows_come_out_of_parquet_as_they_went_in(name: str) -> None:
    def plain(value: Any) -> Any:
        """Parquet gives every object all the keys that its column has."""
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items() if part not in (None, {}, [])}
        return [plain(part) for part in value] if isinstance(value, list) else value

    rows = [{k: v for k, v in row.items() if v not in ({}, [])} for row in SAMPLES[name][:1]]
    rows = json.loads(json.dumps(rows).replace("{}", "null"))
    assert [plain(source.value) for source in read(as_parquet(rows))] == plain(rows)


def test_typed_values_become_text_and_numbers() -> None:
    moment = datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.UTC)
    row = {"at": moment, "d": Decimal("1.50"), "n": Decimal("2"), "nan": float("nan"), "t": (1, 2)}
    (source,) = read(as_parquet([row]))
    assert source.value == {
        "at": "2024-05-01T10:00:00+00:00",
        "d": 1.5,
        "n": 2,
        "nan": None,
        "t": [1, 2],
    }
    (picture,) = read(as_parquet([{"image": {"bytes": b"\x89PNG", "path": "a.png"}}]))
    assert picture.trouble == "holds bytes; expected text, numbers, lists or objects"
    (far,) = read(as_parquet([{"x": float("inf")}]))
    assert far.trouble == "has a number that is too large"


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b'{"a": 1}\n{"a": \n', "line 2: expected a JSON object on one line"),
        (b'{"a": "\\u0000"}\n', "line 1: contains the NUL character"),
        (b'{"a": "\\ud800"}\n', "line 1: contains half of a surrogate pair"),
        (b'{"a": 1e999}\n', "line 1: has a number that is too large"),
        (b'{"a": NaN}\n', "line 1: expected a JSON object on one line; NaN is not JSON"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}\n", "line 1: "),
        (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}\n", "line 1: is nested more than 100 levels"),
        (b'{"a": 1}\n[1, 2]\n', "line 2: expected a JSON object, got a list"),
        (b"[1, 2]", "row 1: expected a JSON object, got a number"),
        (b"[" + b"[" * 150 + b"]" * 150 + b"]", "row 1: expected a JSON object, got a list"),
        (b'[{"a": ' + b"[" * 150 + b"]" * 150 + b"}]", "row 1: is nested more than 100 levels"),
        (b"a,b\n1,2,3\n", "line 2: expected 2 cells, as the first line has, got 3"),
        (b"a,b\n1\n", "line 2: expected 2 cells, as the first line has, got 1"),
        (b"a,b\n1,\0\n", "line 2: contains the NUL character"),
    ],
    ids=range(14),
)
def test_a_row_that_is_none_is_passed_on_with_what_is_wrong(blob: bytes, said: str) -> None:
    rows = open_rows(io.BytesIO(blob))
    bad = [source for source in rows.rows if source.trouble]
    assert f"{rows.unit} {bad[0].line}: {bad[0].trouble}".startswith(said)


TABLE = as_parquet(ROWS)


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (gzip.compress(as_lines(ROWS).getvalue(), mtime=0)[:-20], "the gzip stream is broken"),
        (gzip.compress(CONTAINERS["array"], mtime=0)[:900], "the gzip stream is broken"),
        (gzip.compress(TABLE, mtime=0)[:900], "the gzip stream is broken"),
        (gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "a gzip archive in another one"),
        (b'{"a": "\xe4"}\n', "line 1: expected UTF-8 text, got byte 0xe4"),
        (b"a,b\n1,\xe4\n", "line 2: expected UTF-8 text, got byte 0xe4"),
        (b'[{"a": "\xe4"}]', "row 1: expected a JSON array of objects"),
        (b'[{"a": 1}, {"a": 2}', "row 3: expected a JSON array of objects"),
        (b'[{"a": 1}] trailing', "row 2: expected a JSON array of objects"),
        (b'[{"a": 123456789012345678901234567890}]', "row 1: expected a JSON array of objects"),
        (b'a,b\n1,"2\n3,4\n', "line 2: expected CSV"),
        (b'a,b\n1,"2"x\n', "line 2: expected CSV"),
        (TABLE[:-100], "row 1: expected a Parquet file"),
        (TABLE[:200] + b"\0" * 3000 + TABLE[3200:], "expected a Parquet file"),
        (b"PAR1" + b"\xff" * 400 + b"\x90\x01\0\0PAR1", "row 1: expected a Parquet file"),
        (b"PARE" + b"x" * 400, "an encrypted Parquet file"),
        (b"SQLite format 3\0", "an SQLite database"),
        (",".join(f"c{n}" for n in range(2000)).encode() + b"\n", "has 2,000 columns"),
    ],
    ids=range(18),
)
def test_a_file_that_cannot_be_read_on_is_refused(blob: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(blob)


def test_a_line_of_fifty_megabytes_is_refused() -> None:
    for start in (b'{"a": "', b'[{"a": "', b"a,b\n1,"):
        with pytest.raises(InvalidInput, match="longer than 40,000,000 bytes"):
            read(start + b"x" * 50_000_000)


def test_parquet_in_gzip_does_not_fill_the_disk(settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    blob = gzip.compress(b"PAR1" + b"\0" * 5_000_000, mtime=0)
    with pytest.raises(InvalidInput, match="more than 1,000 bytes of Parquet in gzip"):
        read(blob)


def spoilt(given: tuple[str, int, bytes]) -> bytes:
    """A good file with some bytes put over others."""
    name, at, new = given
    blob = CONTAINERS[name]
    return blob[:at] + new + blob[at + len(new) :]


def outcome(blob: bytes) -> str:
    """What a person is told."""
    try:
        return " ".join(source.trouble or "a row" for source in read(blob))
    except InvalidInput as error:
        return f"refused: {error}"


@settings(max_examples=100)
@given(
    blob=st.binary(max_size=300)
    | st.binary(max_size=60).map(lambda tail: TABLE[:-8] + tail)
    | st.tuples(
        st.sampled_from(sorted(CONTAINERS)), st.integers(4, 4000), st.binary(max_size=9)
    ).map(spoilt)
)
def test_any_bytes_are_read_or_refused_in_words(blob: bytes) -> None:
    assert outcome(blob) != "refused: "


def test_a_carriage_return_inside_of_a_tables_first_line_is_refused() -> None:
    assert outcome(b"prompt,a\rb\nx,y,z\n").startswith("refused: line 1: expected CSV; new-line")


def test_the_web_process_loads_no_library_for_files() -> None:
    code = (
        "import django, sys; django.setup(); import config.urls, annotator.admin;"
        "loaded = {'pyarrow', 'ijson', 'datasets', 'pandas', 'numpy'} & set(sys.modules);"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    run = [sys.executable, "-W", "ignore", "-c", code]
    env = {"DJANGO_SETTINGS_MODULE": "config.settings", "SECRET_KEY": "x", "PATH": ""}
    done = subprocess.run(run, cwd=BASE_DIR, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
