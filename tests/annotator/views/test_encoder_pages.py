"""The page of a campaign's encoders: who may see and do what, and what stands there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client

from annotator.models import Campaign, EncoderVersion, Job
from annotator.services import finetuning
from annotator.services.campaigns import add_member
from annotator.services.snapshots import store
from tests.annotator.finetuned import REASON, begun, ended

pytestmark = pytest.mark.django_db
WHERE = "/c/sky/encoders/"


def page(client: Client) -> str:
    answer = client.get(WHERE)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_campaign_page_leads_there(campaign: Campaign, as_ruth: Client) -> None:
    assert WHERE in as_ruth.get("/c/sky/progress/").content.decode()
    shown = page(as_ruth)
    assert "No encoder was trained here yet." in shown
    assert "Start the training" in shown


def test_a_training_is_started_with_what_was_chosen(campaign: Campaign, as_ruth: Client) -> None:
    sent = {"method": "lora", "epochs": "3", "precision": "float32", "aspects": "on"}
    answer = as_ruth.post(WHERE, sent)
    assert (answer.status_code, answer["Location"]) == (302, WHERE)
    made = EncoderVersion.objects.get()
    assert (made.method, made.plan) == ("lora", {"epochs": 3, "precision": "float32"})
    assert made.requested_by is not None
    shown = page(as_ruth)
    assert "Version 1 is being made" in shown
    assert "Start the training" not in shown
    assert 'hx-trigger="every 3s"' in shown
    again = as_ruth.post(WHERE, {"method": "full"}, follow=True)
    assert "A training is under way already." in again.content.decode()
    assert EncoderVersion.objects.count() == 1


def test_nothing_chosen_is_the_default(campaign: Campaign, as_ruth: Client) -> None:
    """The browser sends every field as it was shown."""
    form = as_ruth.get(WHERE).context["form"]
    sent = {one.html_name: one.value() for one in form if one.value() not in (False, None)}
    assert as_ruth.post(WHERE, {**sent, "method": "full"}).status_code == 302
    assert EncoderVersion.objects.get().plan == {}


def test_a_value_that_cannot_be_is_named_at_its_field(campaign: Campaign, as_ruth: Client) -> None:
    answer = as_ruth.post(WHERE, {"method": "full", "epochs": "1000"})
    assert answer.status_code == 422
    assert "less than or equal to 100" in answer.content.decode()
    assert not EncoderVersion.objects.exists()


def test_progress_is_told_and_the_training_can_be_stopped(
    campaign: Campaign, as_ruth: Client
) -> None:
    made = begun(campaign)
    finetuning.report_state(version=made, state="training", detail="loss 0.612")
    Job.objects.filter(kind="finetune").update(state="running", done=40, total=120)
    part = as_ruth.get(WHERE, headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="encoders"')
    assert "Training: loss 0.612 (40 of 120)" in part
    as_ruth.post(f"{WHERE}1/cancel/")
    made.refresh_from_db()
    assert made.state == "cancelled"
    assert "cancelled by a person" in page(as_ruth)


def test_figures_and_reason_are_shown(campaign: Campaign, as_ruth: Client) -> None:
    ended(campaign)
    shown = page(as_ruth)
    assert REASON in shown
    assert "0.601" in shown
    assert "−0.080 to −0.020" in shown
    assert "On 160 answers about 84 prompts" in shown


def test_what_was_rated_and_learnt_is_named(campaign: Campaign, as_ruth: Client) -> None:
    made = ended(campaign)
    assert "with ratings of" not in page(as_ruth)
    EncoderVersion.objects.filter(pk=made.pk).update(record={"aspects": ["clear", "<b>"]})
    assert "with ratings of clear, &lt;b&gt;" in page(as_ruth)


def test_one_click_rolls_back_and_one_takes_it_back(campaign: Campaign, as_ruth: Client) -> None:
    made = ended(campaign)
    assert "Roll back to the campaign’s own encoder" in page(as_ruth)
    as_ruth.post(f"{WHERE}1/roll-back/")
    campaign.refresh_from_db()
    assert finetuning.in_use(campaign) is None
    assert "Use version 1 again" in page(as_ruth)
    as_ruth.post(f"{WHERE}1/use/")
    campaign.refresh_from_db()
    assert finetuning.in_use(campaign) == made


def test_what_was_never_better_has_no_button(campaign: Campaign, as_ruth: Client) -> None:
    ended(campaign, promoted=False, reason="that it is better on the holdout may be chance")
    shown = page(as_ruth)
    assert "that it is better on the holdout may be chance" in shown.lower()
    assert "Use version 1 again" not in shown
    assert as_ruth.post(f"{WHERE}1/use/").status_code == 409


def test_a_failure_is_escaped_and_shown(campaign: Campaign, as_ruth: Client) -> None:
    made = begun(campaign)
    finetuning.fail_finetuning(version_id=made.pk, error="folder <b>x</b> has pickle weights")
    assert "folder &lt;b&gt;x&lt;/b&gt; has pickle weights" in page(as_ruth)


def test_a_viewer_reads_and_changes_nothing(campaign: Campaign, sam: User, as_sam: Client) -> None:
    ended(campaign)
    add_member(campaign=campaign, user=sam, role="viewer")
    shown = page(as_sam)
    assert REASON in shown
    assert "Roll back" not in shown
    assert "Start the training" not in shown
    for where in (WHERE, f"{WHERE}1/roll-back/", f"{WHERE}1/use/", f"{WHERE}1/cancel/"):
        assert as_sam.post(where, {"method": "full"}).status_code == 404
    campaign.refresh_from_db()
    assert finetuning.in_use(campaign) is not None


def test_strangers_and_annotators_see_nothing(
    campaign: Campaign, as_sam: Client, as_ada: Client
) -> None:
    for client in (as_sam, as_ada):
        assert client.get(WHERE).status_code == 404
        assert client.post(WHERE, {"method": "full"}).status_code == 404
    assert Client().get(WHERE)["Location"].startswith("/signin/")


def test_buttons_are_no_links(campaign: Campaign, as_ruth: Client) -> None:
    ended(campaign)
    for act in ("cancel", "use", "roll-back"):
        assert as_ruth.get(f"{WHERE}1/{act}/").status_code == 405


def test_a_model_is_downloaded_or_the_page_says_why_not(
    campaign: Campaign, as_ruth: Client
) -> None:
    made = ended(campaign)
    assert as_ruth.get(f"{WHERE}1/download/").status_code == 422
    store().save("encoder-9/sky-encoder-1.tar", ContentFile(b"weights"))
    about = {"folder": "encoder-9", "name": "sky-encoder-1.tar", "bytes": 7, "sha256": "abc"}
    EncoderVersion.objects.filter(pk=made.pk).update(archive=about)
    answer = as_ruth.get(f"{WHERE}1/download/")
    assert b"".join(answer.streaming_content) == b"weights"  # type: ignore[attr-defined]
    assert "sky-encoder-1.tar" in answer["Content-Disposition"]


def test_the_page_takes_few_queries(
    campaign: Campaign, as_ruth: Client, django_assert_max_num_queries: object
) -> None:
    for _ in range(3):
        ended(campaign)
    begun(campaign)
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        page(as_ruth)
