"""Files that nobody comes back for go after their time, and no others."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from annotator.errors import WrongState
from annotator.models import Campaign, Import, Job
from annotator.services.campaigns import create_campaign
from annotator.services.curation import request_curation
from annotator.services.intake import IntakeOptions, confirm_import, request_import
from annotator.services.leftovers import tidy_files
from tests.drawn import drawn, put

pytestmark = pytest.mark.django_db

State = Import.State


@pytest.fixture(autouse=True)
def _own_store(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.KEEP_UPLOADS_DAYS = 10


@pytest.fixture
def campaign() -> Campaign:
    return create_campaign(slug="sky", name="Sky")


def upload(campaign: Campaign, state: str, *, days: float, rejects: bool = False) -> Import:
    """An import that came to this state as many days ago."""
    made = request_import(campaign=campaign, source=SimpleUploadedFile("a.jsonl", b"{}\n"))
    bad = f"imports/{campaign.pk}/bad-{made.pk}"
    if rejects:
        default_storage.save(bad, ContentFile(b"{}\n"))
    then = timezone.now() - timedelta(days=days)
    Import.objects.filter(pk=made.pk).update(
        state=state, created_at=then, rejects=bad if rejects else ""
    )
    Job.objects.filter(key=made.job_key).update(
        state=Job.State.DONE, created_at=then, finished_at=then
    )
    made.refresh_from_db()
    return made


def aged(name: str, *, days: float) -> None:
    """A file that was written as many days ago."""
    if not default_storage.exists(name):
        default_storage.save(name, ContentFile(b"data"))
    then = time.time() - days * 86_400
    os.utime(default_storage.path(name), (then, then))


@pytest.mark.parametrize("state", [State.CHECKED, State.REFUSED, State.FAILED])
def test_what_nobody_confirmed_ends_and_its_file_goes(campaign: Campaign, state: str) -> None:
    made = upload(campaign, state, days=11, rejects=True)
    Import.objects.filter(pk=made.pk).update(error="as it was" if state == State.FAILED else "")
    assert "ended 1 imports, dropped the bad rows of 1" in tidy_files()
    after = Import.objects.get(pk=made.pk)
    assert (after.state, after.file, after.rejects) == (State.CANCELLED, "", "")
    assert after.error.endswith("nobody went on with it for 10 days, so its file was deleted")
    assert after.error.startswith("as it was; ") is (state == State.FAILED)
    assert not default_storage.exists(made.file)
    assert not default_storage.exists(made.rejects)
    with pytest.raises(WrongState):
        confirm_import(made=after, options=IntakeOptions())


def test_what_is_younger_or_under_way_stays(campaign: Campaign) -> None:
    young = upload(campaign, State.CHECKED, days=9, rejects=True)
    slow = upload(campaign, State.STORING, days=11)
    again = upload(campaign, State.CHECKED, days=11)  # somebody had another look at it
    Job.objects.filter(key=again.job_key).update(finished_at=timezone.now())
    assert tidy_files().startswith("ended 0 imports, dropped the bad rows of 0")
    for made in (young, slow, again):
        assert default_storage.exists(made.file)
    assert default_storage.exists(young.rejects)


def test_bad_rows_of_what_was_stored_go_and_their_number_stays(campaign: Campaign) -> None:
    made = upload(campaign, State.DONE, days=11, rejects=True)
    Import.objects.filter(pk=made.pk).update(counts={"rejected": 3}, file="")
    tidy_files()
    after = Import.objects.get(pk=made.pk)
    assert (after.state, after.rejects, after.counts) == (State.DONE, "", {"rejected": 3})
    assert not default_storage.exists(made.rejects)


def test_what_is_left_of_a_campaign_that_is_gone_goes(campaign: Campaign) -> None:
    put(campaign, {"a.png": drawn()})
    for name in ("pictures/999999/ab/abcd", "imports/999999/x", "curation/999999/y"):
        aged(name, days=2)
    aged("pictures/888888/ab/abcd", days=0.5)  # perhaps it is only being made
    assert "left of 1 campaigns" in tidy_files()
    for folder in ("pictures", "imports", "curation"):
        assert not Path(default_storage.path(f"{folder}/999999")).exists()
    assert default_storage.exists("pictures/888888/ab/abcd")
    (picture,) = campaign.pictures.all()
    assert default_storage.exists(picture.path)


def test_uploads_that_no_row_names_go_after_a_day(campaign: Campaign) -> None:
    made = upload(campaign, State.CHECKED, days=1)
    request_curation(campaign=campaign, against=ContentFile(b"words\n", name="held.txt"))
    (job,) = Job.objects.filter(kind="curation")
    for name in (made.file, str(job.arguments["file"])):
        aged(name, days=2)
    aged(f"imports/{campaign.pk}/lost", days=2)
    aged(f"curation/{campaign.pk}/lost", days=2)
    aged(f"imports/{campaign.pk}/new", days=0.1)
    assert "and 2 files that nothing names" in tidy_files()
    assert not default_storage.exists(f"imports/{campaign.pk}/lost")
    for name in (made.file, str(job.arguments["file"]), f"imports/{campaign.pk}/new"):
        assert default_storage.exists(name)
    assert "and 0 files" in tidy_files()
