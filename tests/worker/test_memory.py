"""What functions remember survives a round and a restart, and nothing else can get in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learning.neighbours import neighbours
from worker import arrays, memory


@pytest.fixture(autouse=True)
def var(settings: Any, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path


def test_a_neighbour_graph_comes_back_as_it_was() -> None:
    graph = neighbours(np.random.default_rng(0).standard_normal((50, 3)), 4)
    memory.save(7, {"graph": ("name", graph), "n": 3, "flag": True, "nothing": None})
    found = memory.load(7)
    name, again = found["graph"]
    assert (name, found["n"], found["flag"], found["nothing"]) == ("name", 3, True, None)
    np.testing.assert_array_equal(again.nearest, graph.nearest)
    np.testing.assert_array_equal(again.count(np.arange(9)), graph.count(np.arange(9)))
    assert again.near(5).tolist() == graph.near(5).tolist()


def test_only_what_changed_is_written(var: Path) -> None:
    with memory.kept(1) as found:
        found["x"] = np.arange(3)
    written = (var / "index" / "campaign-1-memory.npz").stat().st_mtime_ns
    with memory.kept(1) as found:
        assert found["x"].tolist() == [0, 1, 2]
    assert (var / "index" / "campaign-1-memory.npz").stat().st_mtime_ns == written


def test_campaigns_do_not_share_a_memory() -> None:
    memory.save(1, {"x": np.arange(3)})
    assert memory.load(2) == {}


def test_what_cannot_be_kept_is_left_out() -> None:
    memory.save(1, {"function": len, "objects": np.array([{}]), "kept": np.arange(3)})
    assert list(memory.load(1)) == ["kept"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_file_is_forgotten(var: Path, damage: bytes | None) -> None:
    memory.save(1, {"x": np.arange(100)})
    file = var / "index" / "campaign-1-memory.npz"
    file.write_bytes(file.read_bytes()[:-30] if damage is None else damage)
    assert memory.load(1) == {}


@pytest.mark.parametrize(
    "of", [["subprocess", "Popen"], ["learning.data", "np"], ["learning.nowhere", "X"]]
)
def test_a_file_names_no_code_but_the_librarys_own_data(var: Path, of: list[str]) -> None:
    layout = {"x": {"of": of, "fields": {"args": {"value": "true"}}}}
    path = var / "index" / "campaign-1-memory.npz"
    arrays.save(path, {"layout": np.frombuffer(json.dumps(layout).encode(), np.uint8)})
    assert memory.load(1) == {}
