"""Each job runs in a fresh interpreter, whose first import is that of its own module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from django.conf import settings

import worker

EACH_ALONE = """
import importlib, sys, traceback
import django
django.setup()
broken = []
for name in sys.argv[1:]:
    for loaded in [one for one in sys.modules if one.split(".")[0] == "worker"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(f"worker.{name}")
    except ImportError:
        traceback.print_exc()
        broken.append(name)
print(" ".join(broken))
"""


def test_every_module_can_be_the_first() -> None:
    names = sorted(path.stem for path in Path(worker.__file__).parent.glob("[a-z]*.py"))
    assert "cards" in names
    found = subprocess.run(
        [sys.executable, "-c", EACH_ALONE, *names],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.split() == [], found.stderr[-3000:]
    assert found.returncode == 0, found.stderr[-3000:]
