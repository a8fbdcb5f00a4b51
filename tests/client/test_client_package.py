"""The package by itself: what it imports, what it offers, how far it says that it is."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiebreak
from tiebreak import client
from tiebreak.client import Client, errors
from tiebreak.client.progress import Bar, progress

STANDS_ALONE = """
import sys
sys.path.insert(0, {folder!r})
for name in ("django", "annotator", "tqdm", "datasets", "numpy"):
    sys.modules[name] = None
from tiebreak.client import Client
print(Client("http://example.org"), len(sys.modules))
"""


def test_it_works_as_a_copied_folder_with_urllib3_alone(tmp_path: Path) -> None:
    shutil.copytree(Path(tiebreak.__file__).parent, tmp_path / "tiebreak")
    code = STANDS_ALONE.format(folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Client('http://example.org')")


def test_what_it_offers_is_a_list_in_order_and_errors_are_all_there() -> None:
    assert client.__all__ == sorted(client.__all__)
    assert all(getattr(client, name) for name in client.__all__)
    tree = {name for name, one in vars(errors).items() if isinstance(one, type)}
    assert {name for name in tree if issubclass(getattr(errors, name), Exception)} <= {
        *client.__all__
    }
    drawn = errors.__doc__ or ""
    assert all(name in drawn for name in client.__all__ if hasattr(errors, name))


def test_all_errors_are_one_tree() -> None:
    kinds = [getattr(errors, name) for name in client.__all__ if hasattr(errors, name)]
    assert all(issubclass(kind, client.TiebreakError) for kind in kinds)
    assert all(issubclass(kind, client.ApiError) for kind in errors.BY_STATUS.values())


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org"])
def test_an_address_that_is_none_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIEBREAK_URL", raising=False)
    with pytest.raises(ValueError, match="expected the address of a site"):
        Client(url)


def test_a_bar_says_how_much_of_how_much() -> None:
    out = io.StringIO()
    bar = Bar("items.jsonl", "B", out)
    bar.tell(500_000, 2_000_000)
    bar.tell(2_000_000, 2_000_000)
    bar.close()
    first, last = out.getvalue().strip().split("\r")
    assert first == "items.jsonl [██████                  ] 500.0 kB of 2.0 MB"
    assert last == f"items.jsonl [{'█' * 24}] 2.0 MB of 2.0 MB"


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(None, "x") as tell:
        tell(1, 2)
    with progress(False, "x") as tell:
        tell(1, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("there", [True, False], ids=["tqdm", "plain"])
def test_a_bar_is_drawn_with_and_without_tqdm(
    there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not there:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with progress(True, "import", unit="B") as tell:
        tell(1_000, 2_000)
        tell(2_000, 2_000)
    assert "import" in capsys.readouterr().err


def test_problems_of_rows_are_in_the_message() -> None:
    body: dict[str, Any] = json.loads(
        """{"title": "That cannot be used", "detail": "1 problem(s)", "errors": {"x": ["a", "b"]},
        "problems": [{"line": 2, "id": "q", "field": "prompt", "message": "is empty"}]}"""
    )
    said = str(errors.refusal(422, body))
    assert said.splitlines() == [
        "422 That cannot be used: 1 problem(s)",
        "x: a b",
        "line 2 (q): prompt: is empty",
    ]
