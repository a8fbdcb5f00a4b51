"""Uploads at the same moment, on real connections: a name means one picture, whole."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage

from annotator.errors import ImportRejected, PicturesRejected
from annotator.models import Campaign, Picture
from annotator.services.campaigns import create_campaign
from annotator.services.pictures import remove_pictures
from tests.annotator.test_races import together
from tests.campaigns import item, load
from tests.drawn import drawn, put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]


@pytest.fixture
def sea(settings: Any, tmp_path: Path) -> Campaign:
    settings.MEDIA_ROOT = tmp_path / "media"
    return create_campaign(slug="sea", name="Sea")


def check_files(campaign: Campaign) -> None:
    """Every row has its file, whole; no file is without a row."""
    root = Path(default_storage.location)  # type: ignore[attr-defined]
    files = {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert {sha256(data).hexdigest() for data in files.values()} == set(files)
    assert set(campaign.pictures.values_list("sha256", flat=True)) == set(files)


def test_the_same_upload_at_once_is_stored_once(sea: Campaign) -> None:
    upload = {"a.png": drawn(), "b.png": drawn(shade=2)}
    reports = together(lambda _: put(sea, upload), list(range(6)))
    assert sorted(report.stored for report in reports) == [0, 0, 0, 0, 0, 2]
    assert Picture.objects.count() == 2
    check_files(sea)


def test_of_two_pictures_under_one_name_one_is_stored_whole_with_its_upload(sea: Campaign) -> None:
    def upload(number: int) -> int | None:
        try:
            put(sea, {"a.png": drawn(shade=number), f"{number}.png": drawn(shade=number + 50)})
        except PicturesRejected:
            return None
        return number

    (winner,) = {number for number in together(upload, list(range(6))) if number is not None}
    assert set(sea.pictures.values_list("name", flat=True)) == {"a.png", f"{winner}.png"}
    check_files(sea)


def test_removing_and_uploading_at_once_leave_no_row_without_its_file(sea: Campaign) -> None:
    for _ in range(5):
        put(sea, {"a.png": drawn()})
        together(
            lambda n: (
                put(sea, {f"{n}.png": drawn()})
                if n
                else remove_pictures(campaign=sea, names=["a.png"])
            ),
            list(range(4)),
        )
        check_files(sea)
        remove_pictures(campaign=sea, names=list(sea.pictures.values_list("name", flat=True)))


def test_a_picture_is_removed_or_shown_never_both(sea: Campaign) -> None:
    for number in range(5):
        put(sea, {f"{number}.png": drawn()})

        def act(imports: bool, number: int = number) -> bool:
            try:
                if imports:
                    load(sea, [item(number, prompt=f"![x](picture:{number}.png)")])
                else:
                    remove_pictures(campaign=sea, names=[f"{number}.png"])
            except (ImportRejected, PicturesRejected):
                return False
            return True

        assert sorted(together(act, [True, False])) == [False, True]
