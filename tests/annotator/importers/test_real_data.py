"""The demo's real questions and answers, written in foreign formats, come in as they were."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import Any

import pytest

from annotator.models import Annotation
from annotator.services.campaigns import create_campaign
from annotator.services.imports import ImportOptions, import_items
from config.env import BASE_DIR
from tests.foreign import as_lines

pytestmark = pytest.mark.django_db
Row = dict[str, Any]


def answered() -> list[tuple[str, str, str]]:
    """Prompt, better and worse text of every clear answer of a person."""
    path = BASE_DIR / "annotator" / "demo" / "everyday_answered.jsonl"
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        texts = [response["text"] for response in row["responses"]]
        for said in row["annotations"]:
            if said.get("kind", "human") == "human" and isinstance(said["choice"], int):
                better = said["choice"]
                found.append((_said(row["prompt"]), texts[better], texts[1 - better]))
    return found


def _said(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])


def trl(rows: list[tuple[str, str, str]]) -> bytes:
    names = ("prompt", "chosen", "rejected")
    return as_lines([dict(zip(names, row, strict=True)) for row in rows]).getvalue()


def transcripts(rows: list[tuple[str, str, str]]) -> bytes:
    start = "\n\nHuman: {}\n\nAssistant: {}"
    pairs = [{"chosen": start.format(p, a), "rejected": start.format(p, b)} for p, a, b in rows]
    return json.dumps(pairs).encode()


def table(rows: list[tuple[str, str, str]]) -> bytes:
    out = io.StringIO(newline="")
    sheet = csv.writer(out)
    sheet.writerow(["question", "answer_a", "answer_b", "winner", "worker"])
    for n, (prompt, better, worse) in enumerate(rows):
        one, two = (better, worse) if n % 2 else (worse, better)
        sheet.writerow([prompt, one, two, "a" if n % 2 else "b", f"w{n}"])
    return out.getvalue().encode()


@pytest.mark.parametrize("write", [trl, transcripts, table], ids=["trl", "hh", "csv"])
def test_real_pairs_and_answers_come_in_as_they_were(write: Any) -> None:
    rows = list(dict.fromkeys(answered()))
    assert len(rows) > 50
    campaign = create_campaign(slug="real", name="Real")
    stream = io.BytesIO(write(rows))
    report = import_items(campaign=campaign, stream=stream, options=ImportOptions(history=True))
    assert (report.read, report.rejected, report.annotations) == (len(rows), 0, len(rows))
    found: Counter[tuple[str, str, str]] = Counter()
    for said in Annotation.objects.select_related("query__prompt"):
        texts = {place.response_id: place.response.text for place in said.query.members.all()}
        better, worse = ([texts[pk] for pk in tier] for tier in said.tiers or [])
        found[_said(said.query.prompt.content), better[0], worse[0]] += 1
    strip = write is transcripts  # a transcript says nothing of blanks at the ends of turns
    assert found == Counter(tuple(text.strip() if strip else text for text in row) for row in rows)
