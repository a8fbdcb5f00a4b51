"""Commands that are killed in the middle of a large file go on to the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from learning.__main__ import main
from learning.finetune.score_parts import DONE
from tests.learning.finetune.rewards import reward_folder
from tests.learning.judges.tiny import make_model

ROOT = Path(__file__).parents[3]


def command(verb, model, file, out, *more):
    return [sys.executable, "-m", "learning", verb, model, file, "--out", out, *more]


def killed_in_the_middle(words, parts):
    """Kill a process when it has done some parts; how many items these are."""
    with subprocess.Popen([*map(str, words)], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while (done := counted(parts)) < 1 and time.monotonic() < deadline:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return done


def counted(parts):
    try:
        return (parts / DONE).read_bytes().count(b"\n") - 1
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize(
    ("verb", "make", "more"),
    [
        ("score", reward_folder, ["--threads", "1"]),
        (
            "language-features",
            make_model,
            ["--threads", "1", "--samples", "2", "--max-new-tokens", "2"],
        ),
    ],
)
def test_a_command_that_was_killed_goes_on_to_the_same_bytes(tmp_path, verb, make, more):
    model, file = make(tmp_path / "model"), tmp_path / "items.jsonl"
    file.write_text(items_of_two(1100))
    out, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    words = command(verb, model, file, out, *more)
    assert killed_in_the_middle(words, tmp_path / "out.jsonl.parts") >= 1
    assert not out.exists()
    again = subprocess.run([*map(str, words)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "items are done already" in again.stderr
    assert main([*map(str, command(verb, model, file, whole, *more)[3:])]) == 0
    assert out.read_bytes() == whole.read_bytes()
    assert len(out.read_text().splitlines()) == 1100
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("items.jsonl", "model", "out.jsonl", "whole.jsonl")
    ]


def items_of_two(count):
    rows = (
        {
            "id": f"k:{n}",
            "prompt": f"Question {n}?",
            "responses": [{"text": f"yes {n}"}, {"text": f"no, because of {n % 7}"}],
        }
        for n in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)
