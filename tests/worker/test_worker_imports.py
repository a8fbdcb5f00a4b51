"""A job begins in a process of its own, by importing one module: no circle may depend on which."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from config.env import BASE_DIR

ALONE = """
import importlib, json, sys
import django
django.setup()
failed = {}
for name in sys.argv[1:]:
    for old in [one for one in sys.modules if one.partition(".")[0] == "worker"]:
        del sys.modules[old]
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
print(json.dumps(failed))
"""


def test_every_module_of_the_worker_can_be_the_first() -> None:
    names = [f"worker.{path.stem}" for path in sorted(Path(BASE_DIR, "worker").glob("[a-z]*.py"))]
    assert len(names) > 40
    found = subprocess.run(
        [sys.executable, "-c", ALONE, *names],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
    )
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout.splitlines()[-1]) == {}
