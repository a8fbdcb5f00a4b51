"""Files that rows are written into, by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from annotator.exporters.base import TURNS, Columns, Row
from annotator.exporters.quick import dumps
from annotator.services import containers

COLUMNS: Columns = {
    "prompt": TURNS,
    "ranks": ["integer"],
    "margin": "number",
    "tie": "boolean",
    "marks": {"helpful": "string"},
    "annotator_id": "string",
}
ROWS: list[Row] = [
    {
        "prompt": [{"role": "user", "content": 'Why? ☃ \u2028 " \\n'}],
        "ranks": [1, 2],
        "margin": 1,
        "tie": False,
        "marks": {"helpful": "4"},
        "annotator_id": None,
    },
    {
        "prompt": [],
        "ranks": [],
        "margin": None,
        "tie": True,
        "marks": {"helpful": None},
        "annotator_id": "2026-11-26",
    },
]


def written(path: Path, rows: list[Row], container: str = "parquet") -> Any:
    """What the writer says of the file."""
    out = containers.writer(container, path, COLUMNS)
    for row in rows:
        out.add(row, dumps(row))
    return out.close()


def test_columns_keep_their_types_whatever_the_values_look_like(tmp_path: Path) -> None:
    said = written(tmp_path / "a", ROWS)
    table = pyarrow.parquet.read_table(tmp_path / "a")
    assert table.to_pylist() == [{**ROWS[0], "margin": 1.0}, ROWS[1]]
    assert table.schema.equals(containers.arrow_schema(COLUMNS))
    assert (said["rows"], said["bytes"]) == (2, (tmp_path / "a").stat().st_size)


def test_rows_come_in_groups_that_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "GROUP_BYTES", 200)
    written(tmp_path / "a", ROWS * 3)
    file = pyarrow.parquet.ParquetFile(tmp_path / "a")
    assert file.num_row_groups == 3
    assert file.read().num_rows == 6


def test_a_row_that_has_what_no_column_is_for_is_not_written_without_it(tmp_path: Path) -> None:
    with pytest.raises(pyarrow.ArrowInvalid, match="unexpected field"):
        written(tmp_path / "a", [{**ROWS[0], "more": 1}])


def test_a_table_is_written_without_pandas(tmp_path: Path) -> None:
    script = (
        "import json, sys; from pathlib import Path\n"
        "from annotator.services.containers import Parquet\n"
        "out = Parquet(Path(sys.argv[1]), {'a': 'string'})\n"
        "out.add({'a': 'b'}, b'{\"a\":\"b\"}'); out.close()\n"
        "print(json.dumps('pandas' in sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a")], capture_output=True, check=True
    )
    assert json.loads(ran.stdout) is False
