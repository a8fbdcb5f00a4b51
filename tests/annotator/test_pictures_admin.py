"""The page where researchers upload pictures, and the list of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from annotator.models import Campaign, Picture
from annotator.services.campaigns import add_member
from tests.annotator.conftest import person, signed_in
from tests.campaigns import item, load
from tests.drawn import drawn, packed, put, with_exif

pytestmark = pytest.mark.django_db

LIST = "/admin/annotator/picture/"


@pytest.fixture(autouse=True)
def _own_store(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


def where(campaign: Campaign) -> str:
    return f"{LIST}upload/{campaign.pk}/"


def sent(files: dict[str, bytes], **more: Any) -> dict[str, Any]:
    return {"files": [SimpleUploadedFile(n, data) for n, data in files.items()], **more}


def test_several_files_and_archives_at_once(
    campaign: Campaign, ruth: User, as_ruth: Client
) -> None:
    upload = {"a.png": drawn(), "b.zip": packed({"c/d.png": drawn(shade=3)})}
    answer = as_ruth.post(where(campaign), sent(upload), follow=True)
    assert "2 new pictures, 0 known already" in answer.content.decode()
    assert "2 pictures are known in this campaign" in answer.content.decode()
    assert set(campaign.pictures.values_list("name", "uploaded_by")) == {
        ("a.png", ruth.pk),
        ("c/d.png", ruth.pk),
    }


def test_files_that_went_to_disk_on_their_way(
    campaign: Campaign, as_ruth: Client, settings: Any
) -> None:
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10
    upload = {"a.png": drawn(), "b.zip": packed({"b.png": drawn(shade=2)})}
    assert as_ruth.post(where(campaign), sent(upload)).status_code == 302
    assert list(campaign.pictures.values_list("name", flat=True)) == ["a.png", "b.png"]


def test_every_bad_file_is_named_and_nothing_is_stored(campaign: Campaign, as_ruth: Client) -> None:
    upload = sent({"a.png": drawn(), "b.png": b"<b>x</b>", "<i>.png": drawn()})
    html = as_ruth.post(where(campaign), upload).content.decode()
    assert "2 files cannot be used, so nothing was stored" in html
    assert "<td>b.png</td><td>is no picture that can be shown" in html
    assert "<td>&lt;i&gt;.png</td>" in html
    assert not Picture.objects.exists()


def test_nothing_sent_and_too_much_sent_are_said(
    campaign: Campaign, as_ruth: Client, settings: Any
) -> None:
    assert "This field is required" in as_ruth.post(where(campaign), {}).content.decode()
    settings.MAX_UPLOAD_BYTES = 100
    html = as_ruth.post(where(campaign), sent({"a.png": drawn()})).content.decode()
    assert "the limit for an upload is" in html


def test_locations_need_a_tick(campaign: Campaign, as_ruth: Client) -> None:
    upload = {"home.jpg": with_exif(gps=True)}
    assert "says where it was taken" in as_ruth.post(where(campaign), sent(upload)).content.decode()
    assert as_ruth.post(where(campaign), sent(upload, keep_location="on")).status_code == 302


def test_the_list_shows_them_and_what_to_write(campaign: Campaign, as_ruth: Client) -> None:
    put(campaign, {"chart(1).png": drawn()})
    picture = campaign.pictures.get()
    html = as_ruth.get(LIST).content.decode()
    assert f'<img src="/c/{campaign.slug}/pictures/{picture.sha256}/"' in html
    html = as_ruth.get(f"{LIST}{picture.pk}/change/").content.decode()
    assert "![words](&lt;picture:chart(1).png&gt;)" in html


def test_what_no_text_shows_can_be_removed(campaign: Campaign, as_ruth: Client) -> None:
    put(campaign, {"a.png": drawn(), "b.png": drawn(shade=2)})
    load(campaign, [item(50, prompt="![x](picture:b.png)")])
    for name, said in (("a.png", "1 removed."), ("b.png", "is shown in a text")):
        chosen = campaign.pictures.get(name=name).pk
        form = {"action": "remove", "_selected_action": [chosen]}
        assert said in as_ruth.post(LIST, form, follow=True).content.decode()
    assert campaign.pictures.get().name == "b.png"


def test_only_who_steers_the_campaign_may_upload(campaign: Campaign, as_ada: Client) -> None:
    put(campaign, {"a.png": drawn()})
    staff = person("rob", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label="annotator"))
    viewer = person("vic", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_campaign"))
    add_member(campaign=campaign, user=viewer, role="owner")
    assert as_ada.get(where(campaign)).status_code == 302  # no staff: to the sign-in
    assert signed_in(staff).get(where(campaign)).status_code == 404  # not of this campaign
    assert signed_in(viewer).get(where(campaign)).status_code == 403  # may only look
    assert "a.png" in signed_in(viewer).get(LIST).content.decode()
    assert "a.png" not in signed_in(staff).get(LIST).content.decode()
    assert signed_in(staff).post(where(campaign), sent({"b.png": drawn()})).status_code == 404
    assert Picture.objects.count() == 1
