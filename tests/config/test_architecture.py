"""Imports point in one direction; the contracts are in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.env import BASE_DIR


def test_import_contracts_hold() -> None:
    pytest.importorskip("importlinter")
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool, "--no-cache"], cwd=BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
