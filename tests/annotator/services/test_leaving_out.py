"""An export without the rows that a check found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.errors import InvalidInput
from annotator.exporters import ExportOptions
from annotator.models import Campaign, CurationReport
from annotator.services.curation import record_report
from annotator.services.export_files import write_files
from annotator.services.snapshots import request_snapshot
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, make_campaign

pytestmark = pytest.mark.django_db


@pytest.fixture
def answered(ada: User) -> Campaign:
    made = make_campaign(prompts=4, people=(ada,))
    ask(made)
    for _ in range(4):
        answer(lease(made, ada), ada)
    return made


def report(campaign: Campaign, **left_out: list[str]) -> CurationReport:
    return record_report(
        campaign=campaign,
        questions=4,
        annotations_seen=4,
        against="",
        findings=[],
        left_out=left_out,
    )


def options(text: str) -> ExportOptions:
    return ExportOptions.checked({"leave_out": text})


def written(campaign: Campaign, folder: Path, text: str) -> tuple[dict[str, Any], str]:
    folder.mkdir()
    manifest = write_files(
        campaign=campaign, format_name="native", options=options(text), folder=folder
    )
    return manifest, (folder / "data.jsonl").read_text()


def test_what_the_checks_found_stays_out_and_the_manifest_says_by_which_report(
    answered: Campaign, tmp_path: Path
) -> None:
    report(answered, length=["toy:3"])
    newest = report(answered, length=["toy:0"], source=["toy:0", "toy:1"], margin=["toy:2"])
    manifest, data = written(answered, tmp_path / "some", "length, source")
    assert manifest["rows"] == 2
    assert '"toy:2"' in data
    assert '"toy:3"' in data
    assert manifest["curation_report"] == str(newest.pk)
    assert manifest["left_out"] == {"questions that a check found": 2}
    assert manifest["options"]["leave_out"] == "length, source"


def test_without_the_wish_nothing_stays_out(answered: Campaign, tmp_path: Path) -> None:
    report(answered, length=["toy:0"])
    manifest, _ = written(answered, tmp_path / "all", "")
    assert manifest["rows"] == 4
    assert manifest["curation_report"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beauty", "there is no check 'beauty'"),
        ("contamination", "has not checked 'contamination'"),
    ],
)
def test_a_check_that_is_not_known_or_was_not_made_is_refused_at_once(
    answered: Campaign, text: str, said: str
) -> None:
    report(answered, length=[])
    with pytest.raises(InvalidInput, match=said):
        request_snapshot(campaign=answered, format_name="native", options=options(text), user=None)
    assert not answered.snapshots.exists()


def test_without_a_report_nothing_can_be_left_out(answered: Campaign) -> None:
    with pytest.raises(InvalidInput, match="check before leaving rows out"):
        request_snapshot(
            campaign=answered, format_name="native", options=options("length"), user=None
        )
