"""Fine-tuned encoders over REST: started once, watched, stopped, rolled back."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, EncoderVersion, TrainingEstimate
from annotator.services import estimates, finetuning
from annotator.services.campaigns import add_member
from tests.annotator.api.scripts import Script
from tests.annotator.finetuned import FIGURES, GATE, REASON, ended, measured

pytestmark = pytest.mark.django_db
LIST = "campaigns/sky/encoders/"


@pytest.fixture
def script(ruth: User) -> Script:
    return Script(ruth)


def test_a_training_is_started_once_and_read_again(script: Script, campaign: Campaign) -> None:
    made = script.post(LIST, {"method": "lora", "plan": {"epochs": 2}})
    assert made.status_code == 202, made.content
    said = made.json()
    assert (said["state"], said["plan"], said["in_use"]) == ("waiting", {"epochs": 2}, False)
    assert script.get(made["Location"].removeprefix("/api/")).json() == said
    again = script.post(LIST, {})
    assert (again.status_code, again.json()["id"]) == (200, said["id"])
    assert [one["id"] for one in script.get(LIST).json()] == [said["id"]]


@pytest.mark.parametrize(
    ("body", "code"),
    [({"method": "half"}, 400), ({"plan": {"epochs": -1}}, 422), ({"plan": 3}, 400)],
)
def test_what_cannot_be_is_refused(
    script: Script, campaign: Campaign, body: dict[str, object], code: int
) -> None:
    assert script.post(LIST, body).status_code == code
    assert not EncoderVersion.objects.exists()


def test_one_is_stopped(script: Script, campaign: Campaign) -> None:
    pk = script.post(LIST, {}).json()["id"]
    assert script.post(f"encoders/{pk}/cancel/", {}).json()["state"] == "cancelled"
    assert script.post(f"encoders/{pk}/cancel/", {}).status_code == 409


def test_rolled_back_and_taken_back(script: Script, campaign: Campaign) -> None:
    made = ended(campaign)
    said = script.get(f"encoders/{made.pk}/").json()
    assert (said["state"], said["reason"], said["in_use"]) == ("promoted", REASON, True)
    assert (said["gate"], said["download"]) == (GATE, None)
    assert script.post(f"encoders/{made.pk}/roll-back/", {}).json()["in_use"] is False
    assert script.post(f"encoders/{made.pk}/roll-back/", {}).status_code == 409
    assert script.post(f"encoders/{made.pk}/use/", {}).json()["in_use"] is True


def test_a_viewer_reads_and_a_stranger_does_not(campaign: Campaign, ada: User, sam: User) -> None:
    made = ended(campaign)
    add_member(campaign=campaign, user=ada, role="viewer")
    viewer, stranger = Script(ada), Script(sam)
    assert viewer.get(f"encoders/{made.pk}/").status_code == 200
    for act in ("roll-back", "use", "cancel"):
        assert viewer.post(f"encoders/{made.pk}/{act}/", {}).status_code == 404
    assert viewer.post(LIST, {}).status_code == 404
    assert stranger.get(f"encoders/{made.pk}/").status_code == 404
    assert stranger.get(LIST).status_code == 404
    campaign.refresh_from_db()
    assert finetuning.in_use(campaign) == made


def test_what_is_not_there_cannot_be_downloaded(script: Script, campaign: Campaign) -> None:
    made = ended(campaign)
    assert script.get(f"encoders/{made.pk}/download/").status_code == 422


def test_the_setting_is_a_campaigns(script: Script, campaign: Campaign) -> None:
    assert script.get("campaigns/sky/").json()["finetune"] == "hand"
    changed = script.patch("campaigns/sky/", {"finetune": "saturated"})
    assert changed.json()["finetune"] == "saturated"
    assert script.patch("campaigns/sky/", {"finetune": "often"}).status_code == 400


def test_an_estimate_is_asked_for_once_and_read_again(script: Script, campaign: Campaign) -> None:
    made = script.post(f"{LIST}estimates/", {"method": "lora", "plan": {"epochs": 2}})
    assert made.status_code == 202, made.content
    said = made.json()
    assert (said["state"], said["method"], said["plan"]) == ("waiting", "lora", {"epochs": 2})
    assert script.get(made["Location"].removeprefix("/api/")).json() == said
    again = script.post(f"{LIST}estimates/", {})
    assert (again.status_code, again.json()["id"]) == (200, said["id"])
    estimates.record_estimate(estimate_id=said["id"], figures=FIGURES)
    assert script.get(f"encoder-estimates/{said['id']}/").json()["figures"] == FIGURES


@pytest.mark.parametrize(
    ("body", "code"),
    [({"method": "half"}, 400), ({"plan": {"epochs": -1}}, 422), ({"plan": 3}, 400)],
)
def test_an_estimate_of_what_cannot_be_is_refused(
    script: Script, campaign: Campaign, body: dict[str, object], code: int
) -> None:
    assert script.post(f"{LIST}estimates/", body).status_code == code
    assert not TrainingEstimate.objects.exists()


def test_beside_a_training_there_is_no_estimate(script: Script, campaign: Campaign) -> None:
    script.post(LIST, {})
    answer = script.post(f"{LIST}estimates/", {})
    assert answer.status_code == 409
    assert "a training is under way" in answer.content.decode()


def test_an_estimate_is_for_those_of_the_campaign(campaign: Campaign, ada: User, sam: User) -> None:
    made = measured(campaign, FIGURES)
    add_member(campaign=campaign, user=ada, role="viewer")
    viewer, stranger = Script(ada), Script(sam)
    assert viewer.get(f"encoder-estimates/{made.pk}/").status_code == 200
    assert viewer.post(f"{LIST}estimates/", {}).status_code == 404
    assert stranger.get(f"encoder-estimates/{made.pk}/").status_code == 404
