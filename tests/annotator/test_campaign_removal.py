"""Deleting a campaign in the admin: nobody's answers, and then nothing is left of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from annotator.errors import WrongState
from annotator.models import Annotation, Campaign, Import, Job, Picture, Snapshot
from annotator.services.campaigns import add_member
from annotator.services.curation import request_curation
from annotator.services.intake import request_import
from annotator.services.removal import delete_campaign, tables
from annotator.services.snapshots import store
from tests.annotator.acts import answer, lease
from tests.annotator.conftest import signed_in
from tests.campaigns import make_campaign
from tests.drawn import drawn, put

CAMPAIGNS = "/admin/annotator/campaign/"


@pytest.fixture(autouse=True)
def _own_store(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def as_sam(sam: User, campaign: Campaign) -> Client:
    """Staff who may change campaigns, and nothing else."""
    sam.is_staff = True
    sam.save()
    wanted = ["view_campaign", "change_campaign"]
    sam.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    add_member(campaign=campaign, user=sam, role="researcher")
    return signed_in(User.objects.get(pk=sam.pk))


def with_everything(campaign: Campaign, export: str = "made.1234") -> None:
    """Pictures, an import, a file to check against, an export: each with a file."""
    put(campaign, {"a.png": drawn()})
    request_import(campaign=campaign, source=SimpleUploadedFile("a.jsonl", b"{}\n"))
    request_curation(campaign=campaign, against=ContentFile(b"some text\n", name="held.txt"))
    made = Snapshot.objects.create(
        campaign=campaign, format="native", container="jsonl", state="ready", path=export
    )
    store().save(f"{made.path}/data.jsonl", io.BytesIO(b"{}\n"))


def kept() -> list[str]:
    """All files in the default storage."""
    root = Path(default_storage.path(""))
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.django_db(transaction=True)
def test_a_campaign_without_answers_goes_with_everything_that_it_has(
    campaign: Campaign, as_sam: Client
) -> None:
    with_everything(campaign)
    assert len(kept()) == 3
    where = f"{CAMPAIGNS}{campaign.pk}/delete/"
    page = as_sam.get(where).content.decode()
    assert "have permission to delete" not in page
    assert "1 pictures" in page
    assert as_sam.post(where, {"post": "yes"}, follow=True).status_code == 200
    assert not Campaign.objects.exists()
    for model in (Picture, Import, Job, Snapshot):
        assert not model.objects.exists()
    assert kept() == []
    assert not Path(store().path("made.1234")).exists()


@pytest.mark.django_db
def test_the_page_says_how_much_goes(campaign: Campaign, as_sam: Client) -> None:
    page = as_sam.get(f"{CAMPAIGNS}{campaign.pk}/delete/").content.decode()
    for said in ("6 items", "6 prompts", "12 responses", "6 queries"):
        assert said in page


@pytest.mark.django_db
def test_an_answer_that_comes_while_the_page_is_open_keeps_the_campaign(
    campaign: Campaign, ada: User
) -> None:
    answer(lease(campaign, ada), ada)
    with pytest.raises(WrongState, match="never deleted"):
        delete_campaign(campaign=campaign)
    assert campaign.queries.count() == 6


@pytest.mark.django_db
def test_who_may_only_look_deletes_nothing(campaign: Campaign, sam: User) -> None:
    sam.is_staff = True
    sam.save()
    sam.user_permissions.set(Permission.objects.filter(codename="view_campaign"))
    add_member(campaign=campaign, user=sam, role="researcher")
    client = signed_in(User.objects.get(pk=sam.pk))
    assert client.post(f"{CAMPAIGNS}{campaign.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Campaign.objects.exists()


@pytest.mark.django_db
def test_a_campaign_of_others_is_not_there(campaign: Campaign, as_sam: Client) -> None:
    campaign.memberships.filter(user__username="sam").delete()
    assert as_sam.post(f"{CAMPAIGNS}{campaign.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Campaign.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_other_campaigns_keep_everything(campaign: Campaign, settings: Any) -> None:
    other = make_campaign(slug="other")
    for one in (campaign, other):
        with_everything(one, export=f"made.{one.pk}")
    delete_campaign(campaign=campaign)
    assert list(Campaign.objects.all()) == [other]
    assert (other.items.count(), other.pictures.count(), len(kept())) == (6, 1, 3)
    assert Path(store().path(f"made.{other.pk}")).exists()


def test_every_table_of_a_campaign_is_known() -> None:
    known = {model for model, _ in tables()} | {Campaign, Annotation}
    for model in apps.get_app_config("annotator").get_models():
        refers = {field.related_model for field in model._meta.fields if field.is_relation}
        assert model in known or not refers & known, model
