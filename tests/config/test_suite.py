"""The suite itself: what the fast part leaves out exists, and no two modules share a name."""

from __future__ import annotations

from collections import Counter

from config.env import BASE_DIR
from tests.conftest import SLOW

MODULES = Counter(path.stem for path in (BASE_DIR / "tests").rglob("test_*.py"))


def test_no_two_modules_share_a_name() -> None:
    assert {name for name, times in MODULES.items() if times > 1} == set()


def test_every_module_that_is_called_slow_exists() -> None:
    assert set(MODULES) >= SLOW
