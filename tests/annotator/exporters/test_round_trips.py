"""What leaves in a foreign format comes back through its importer, and leaves the same again."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.exporters import ExportOptions
from annotator.models import Campaign
from annotator.services.campaigns import create_campaign
from annotator.services.export_files import export_to_file
from annotator.services.imports import ImportOptions, import_items
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, item, make_campaign
from tests.foreign import SAMPLES, as_lines

# Exporter and importer.
FORMATS = [
    ("trl-preference", "trl-preference"),
    ("trl-unpaired", "trl-unpaired"),
    ("ranking", "ranking"),
    ("helpsteer", "helpsteer2"),
    ("helpsteer2-preference", "helpsteer2-preference"),
    ("ultrafeedback", "ultrafeedback"),
    ("argilla", "argilla"),
    ("label-studio", "label-studio"),
]
ASPECT = {"helpsteer": "correctness", "ultrafeedback": "honesty"}  # known there, too


def taken(campaign: Campaign, name: str, folder: Path, **options: Any) -> list[dict[str, Any]]:
    out, chosen = folder / f"{campaign.slug}-{name}", ExportOptions.checked(options)
    export_to_file(campaign=campaign, format_name=name, out=out, options=chosen)
    text = out.read_text()
    found: list[dict[str, Any]] = (
        json.loads(text)
        if text.startswith("[")
        else [json.loads(line) for line in text.splitlines()]
    )
    return found


def core(name: str, row: dict[str, Any]) -> Any:
    """What a row says, without who said it and when: that is the importing campaign's affair."""
    if name == "ranking":  # in whatever order the responses stand
        return row["prompt"], dict(zip(row["completions"], row["ranks"], strict=True))
    if name == "argilla":
        said = {name: [one["value"] for one in given] for name, given in row["responses"].items()}
        assert said["strength"]
        return row["fields"], said
    if name == "label-studio":
        results = [one for part in row["annotations"] for one in part["result"]]
        said = {one["from_name"]: one["value"] for one in results}
        assert said["strength"]
        return {key: row["data"][key] for key in ("prompt", "answer1", "answer2")}, said
    return row


@pytest.mark.parametrize(("name", "importer"), FORMATS, ids=[name for name, _ in FORMATS])
def test_a_foreign_file_leaves_as_it_came(
    name: str, importer: str, ada: User, tmp_path: Path
) -> None:
    rated = name in ("helpsteer", "ultrafeedback")
    first = make_campaign(
        "first",
        rows=[item(n) for n in range(4)],
        people=(ada,),
        form="rate" if rated else "compare",
        form_options={"rate": {"aspects": ["helpfulness", ASPECT.get(name)]}} if rated else {},
    )
    ask(first)
    strengths = itertools.cycle((1, 2, 3))
    while (assignment := lease(first, ada)) is not None:
        marks = {f"rate-{side}-{n}": str(n + (side == "B")) for side in "AB" for n in (0, 1)}
        answer(assignment, ada, "submit" if rated else f"a{next(strengths)}", **marks)
    gone = taken(first, name, tmp_path)
    second = create_campaign(slug="second", name="Second")
    lines = "".join(json.dumps(row) + "\n" for row in gone)
    asked = ImportOptions(history=True, format=importer)
    import_items(campaign=second, stream=io.BytesIO(lines.encode()), options=asked)
    back = taken(second, name, tmp_path)
    assert [core(name, row) for row in back] == [core(name, row) for row in gone]


@pytest.mark.django_db
def test_a_row_of_helpsteer2_leaves_as_it_came(tmp_path: Path) -> None:
    rows = SAMPLES["helpsteer2-preference"]
    turns = "Why?\n<extra_id_1>Assistant\nWhat?\n<extra_id_1>User\nThe sky."
    rows = [*rows, {**rows[0], "prompt": turns, "split": "train"}]
    campaign = create_campaign(slug="first", name="First")
    import_items(campaign=campaign, stream=as_lines(rows), options=ImportOptions(history=True))
    assert taken(campaign, "helpsteer2-preference", tmp_path) == rows


@pytest.mark.django_db
def test_what_only_ultrafeedback_says_leaves_again(tmp_path: Path) -> None:
    (row,) = rows = SAMPLES["ultrafeedback"]
    campaign = create_campaign(slug="first", name="First")
    import_items(campaign=campaign, stream=as_lines(rows), options=ImportOptions(history=True))
    (left,) = taken(campaign, "ultrafeedback", tmp_path, judges="in")
    misread = {**row["completions"][0], "overall_score": 1}  # the known error of the data
    assert left == {
        **row,
        "completions": [misread, row["completions"][1]],
        "marked_by": "gpt-4",
    }


@pytest.mark.django_db
def test_metadata_of_a_record_leaves_again(tmp_path: Path) -> None:
    rows = SAMPLES["argilla"]
    campaign = create_campaign(slug="first", name="First")
    import_items(campaign=campaign, stream=as_lines(rows), options=ImportOptions(history=True))
    (left,) = taken(campaign, "argilla", tmp_path)
    assert left["metadata"] == {
        "topic": "physics",
        "prompt_digest": campaign.prompts.get().digest,
    }
