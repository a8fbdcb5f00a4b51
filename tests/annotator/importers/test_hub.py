"""Data sets by name: the library `datasets` reads a stand-in for the hub; refusals are clear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.errors import InvalidInput
from annotator.services.hub import check_hub_name, hub_rows
from config.env import BASE_DIR
from tests.foreign import as_lines
from tests.hub import serving

# In a process of its own: the library reads its settings once, and takes seconds to load.
READ = """
import json, sys
import django
django.setup()
from annotator.errors import InvalidInput
from annotator.services.hub import hub_rows
for name in sys.argv[1:]:
    try:
        rows = hub_rows(name)
        values = [[source.line, source.value] for source in rows.rows]
        print("ANSWER", json.dumps([rows.container, rows.unit, len(values), values[-1]]))
    except InvalidInput as error:
        print("ANSWER", json.dumps(str(error)))
"""


def test_a_data_set_is_streamed_by_name_and_what_is_not_there_is_named(tmp_path: Path) -> None:
    names = ["hf:owner/name", "hf:owner/name:default:train", "hf:owner/name::dev", "hf:owner/none"]
    rows = [{"prompt": f"p{n}", "chosen": "a", "rejected": "b"} for n in range(40)]
    with serving(as_lines(rows).getvalue()) as url:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", READ, *names],
            cwd=BASE_DIR,
            env={
                "DJANGO_SETTINGS_MODULE": "config.settings",
                "SECRET_KEY": "x",
                "PATH": os.environ["PATH"],
                "HF_ENDPOINT": url,
                "HF_HOME": str(tmp_path),
                "HF_HUB_DISABLE_TELEMETRY": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    said = [
        json.loads(line.removeprefix("ANSWER "))
        for line in done.stdout.splitlines()
        if line.startswith("ANSWER ")
    ]
    assert len(said) == len(names), done.stderr[-3000:]
    assert said[0] == said[1] == ["data set, split train", "row", 40, [40, rows[-1]]]
    assert said[2] == "hf:owner/name::dev: expected one of the splits train; got 'dev'"
    assert said[3].startswith("hf:owner/none: could not be read from the hub (DatasetNotFound")


@pytest.mark.parametrize(
    "name",
    ["hf:", "hf:name", "hf:/etc/passwd", "hf:../..", "hf:a/b/c", "hf:a/b:c:d:e", "hf:docs/how-to"],
)
def test_a_name_that_is_none_or_a_folder_here_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BASE_DIR)
    with pytest.raises(InvalidInput, match="expected hf:OWNER/NAME"):
        check_hub_name(name)


def test_offline_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InvalidInput, match="HF_HUB_OFFLINE is set"):
        hub_rows("hf:owner/name")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InvalidInput, match=r"expected pip install 'tiebreak\[hub\]'"):
        hub_rows("hf:owner/name")
