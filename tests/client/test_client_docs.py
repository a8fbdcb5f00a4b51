"""The page about the client runs from top to bottom, on the real site with a worker beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Campaign, Snapshot, Webhook
from config.env import BASE_DIR
from tests.campaigns import item
from tests.client.conftest import token

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGE = BASE_DIR / "docs" / "how-to" / "client.md"


@pytest.mark.django_db(transaction=True)
def test_the_page_runs(
    live_server: Any,
    ruth: User,
    ada: User,
    working: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TIEBREAK_URL", live_server.url)
    monkeypatch.setenv("TIEBREAK_TOKEN", token(ruth))
    monkeypatch.chdir(tmp_path)
    lines = "".join(json.dumps(item(number)) + "\n" for number in range(20))
    Path("items.jsonl").write_text(lines, encoding="utf-8")
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    said: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), said)  # noqa: S102 - our own page
    said["site"].close()
    assert len(blocks) >= 9
    assert Campaign.objects.get().slug == "mine"
    outcomes = sorted(Annotation.objects.values_list("outcome", flat=True))
    assert outcomes == ["preference"] * 3 + ["skip"]  # two came with a file
    assert Snapshot.objects.filter(state="ready").count() == 2
    assert not Webhook.objects.exists()
    printed = capsys.readouterr().out
    for words in (
        "20 new items",
        "table 2",
        "exports/mine-native-data.jsonl",
        "400 {'acquisition'",
        "chosen",
    ):
        assert words in printed
