"""Fine-tuning as rows: one at a time, promoted by the gate, rolled back by a person."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from annotator.errors import InvalidInput, WrongState
from annotator.models import Campaign, Delivery, EncoderVersion, Job, Round
from annotator.services import finetuning, jobs, webhooks
from annotator.services.campaigns import create_campaign
from annotator.services.estimates import request_estimate
from annotator.services.finetuning import Outcome
from tests.annotator.finetuned import begun, ended

pytestmark = pytest.mark.django_db


def used(campaign: Campaign) -> EncoderVersion | None:
    campaign.refresh_from_db()
    return finetuning.in_use(campaign)


def test_a_training_is_a_row_and_a_job(campaign: Campaign, ruth: User) -> None:
    made = begun(campaign, method="lora", options={"epochs": 2, "batch": 32}, user=ruth)
    assert (made.number, made.state, made.base, made.base_version) == (
        1,
        "waiting",
        "default",
        None,
    )
    assert made.plan == {"epochs": 2}  # 32 is the default
    job = Job.objects.get(kind="finetune")
    assert (job.queue, job.arguments) == ("learning", {"version": made.pk})


def test_a_second_one_waits_for_the_end_of_the_first(campaign: Campaign) -> None:
    begun(campaign)
    assert finetuning.request_finetuning(campaign=campaign) is None
    assert EncoderVersion.objects.count() == Job.objects.filter(kind="finetune").count() == 1


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"method": "half"}, "method: expected one of full, lora, got 'half'"),
        ({"options": {"epochs": -1}}, "finetuning.epochs must be at least 0, got -1"),
        ({"options": {"size": 1}}, "finetuning has no option 'size'"),
        ({"options": {"threads": 99}}, "finetuning has no option 'threads'"),
    ],
)
def test_what_cannot_be_is_refused(
    campaign: Campaign, named: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        finetuning.request_finetuning(campaign=campaign, **named)  # type: ignore[arg-type]
    assert not EncoderVersion.objects.exists()


def test_a_draft_has_no_holdout_yet(db: None) -> None:
    with pytest.raises(WrongState, match="was not started"):
        finetuning.request_finetuning(campaign=create_campaign(slug="draft", name="Draft"))


def test_counted_words_cannot_be_trained(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(encoder="hashed")
    with pytest.raises(WrongState, match="counts words"):
        finetuning.request_finetuning(campaign=campaign)


def test_what_cannot_be_trained_cannot_be_estimated(campaign: Campaign) -> None:
    with pytest.raises(WrongState, match="was not started"):
        request_estimate(campaign=create_campaign(slug="draft", name="Draft"))
    with pytest.raises(InvalidInput, match="epochs must be at least 0"):
        request_estimate(campaign=campaign, options={"epochs": -1})
    Campaign.objects.filter(pk=campaign.pk).update(encoder="hashed")
    with pytest.raises(WrongState, match="counts words"):
        request_estimate(campaign=campaign)
    assert not Job.objects.filter(kind="estimate").exists()


def test_an_estimate_that_is_given_up_says_why(campaign: Campaign) -> None:
    made = request_estimate(campaign=campaign)
    assert made is not None
    jobs.give_up(kind="estimate", arguments={"estimate": made.pk}, error="no labels")
    made.refresh_from_db()
    assert (made.state, made.error) == ("failed", "no labels")
    Job.objects.filter(kind="estimate").update(state="failed")
    assert request_estimate(campaign=campaign) is not None


def test_cancelling_leaves_what_is_in_use(campaign: Campaign) -> None:
    first = ended(campaign)
    second = begun(campaign)
    assert finetuning.cancel_finetuning(version=second)
    second.refresh_from_db()
    assert (second.state, second.error) == ("cancelled", jobs.CANCELLED)
    assert used(campaign) == first
    assert not finetuning.cancel_finetuning(version=second)


def test_a_failure_is_said_and_nothing_changes(campaign: Campaign) -> None:
    made = begun(campaign)
    jobs.give_up(kind="finetune", arguments={"version": made.pk}, error="no labels")
    made.refresh_from_db()
    assert (made.state, made.error) == ("failed", "no labels")
    assert used(campaign) is None
    finetuning.report_state(version=made, state="training")  # a worker that did not hear of it
    made.refresh_from_db()
    assert made.state == "failed"


def test_what_is_promoted_is_used_and_the_next_round_asked_for(campaign: Campaign) -> None:
    made = ended(campaign)
    assert used(campaign) == made
    assert made.promoted_at is not None
    assert Round.objects.live().get().trigger == "encoder version 1 was promoted"


def test_what_is_not_better_is_kept_and_not_used(campaign: Campaign) -> None:
    made = ended(campaign, promoted=False, reason="it is not better on the holdout")
    assert (made.state, used(campaign), made.promoted_at) == ("not_promoted", None, None)
    with pytest.raises(WrongState, match="never found better"):
        finetuning.use(version=made)


def test_the_gate_decides_about_what_is_in_use_now(campaign: Campaign) -> None:
    first = ended(campaign)
    second = begun(campaign)
    finetuning.roll_back(version=first)
    stale = Outcome(True, "better", {}, first.pk)
    assert not finetuning.conclude(version=second, outcome=stale)
    second.refresh_from_db()
    assert (second.state, used(campaign)) == ("waiting", None)


def test_training_goes_on_from_what_is_in_use(campaign: Campaign) -> None:
    first = ended(campaign)
    assert begun(campaign).base_version == first


def test_rolling_back_leads_to_the_version_before_and_then_to_the_own_encoder(
    campaign: Campaign,
) -> None:
    first, second = ended(campaign), ended(campaign)
    assert finetuning.roll_back(version=second) == first
    assert used(campaign) == first
    assert finetuning.roll_back(version=first) is None
    assert used(campaign) is None
    with pytest.raises(WrongState, match="is not in use"):
        finetuning.roll_back(version=first)


def test_what_was_rolled_back_comes_back_only_by_hand(campaign: Campaign) -> None:
    first, second = ended(campaign), ended(campaign)
    finetuning.roll_back(version=second)
    finetuning.roll_back(version=first)
    third = ended(campaign, promoted=False)
    assert used(campaign) is None
    finetuning.use(version=second)
    second.refresh_from_db()
    assert (used(campaign), second.rolled_back_at) == (second, None)
    assert third.base_version is None
    with pytest.raises(WrongState, match="in use already"):
        finetuning.use(version=second)


def test_another_encoder_of_the_campaign_is_not_replaced(campaign: Campaign) -> None:
    made = ended(campaign)
    Campaign.objects.filter(pk=campaign.pk).update(encoder="minilm")
    assert used(campaign) is None
    with pytest.raises(WrongState, match="began with 'default'"):
        finetuning.use(version=made)


def test_it_begins_by_itself_only_where_that_is_wanted_and_enough_is_new(
    campaign: Campaign,
) -> None:
    def asked(labels: int) -> EncoderVersion | None:
        campaign.refresh_from_db()
        return finetuning.request_when_saturated(
            campaign=campaign, labels=labels, said="it stopped"
        )

    assert asked(5000) is None
    Campaign.objects.filter(pk=campaign.pk).update(finetune="saturated")
    assert asked(499) is None
    made = asked(500)
    assert made is not None
    assert made.trigger == "it stopped"
    finetuning.keep(version=made, comparisons=500)
    finetuning.cancel_finetuning(version=made)
    assert asked(999) is None
    assert asked(1000) is not None


def test_a_training_without_a_job_gets_one(campaign: Campaign) -> None:
    made = begun(campaign)
    assert not finetuning.revive(version=made)
    Job.objects.filter(kind="finetune").update(state="done")
    assert finetuning.revive(version=made)
    assert Job.objects.live().filter(kind="finetune").count() == 1


def test_addresses_are_told_of_a_promotion(campaign: Campaign, ruth: User) -> None:
    webhooks.add_webhook(
        campaign=campaign, url="https://x.example/", events=["encoder.promoted"], user=ruth
    )
    ended(campaign, promoted=False)
    assert not Delivery.objects.exists()
    made = ended(campaign)
    told = Delivery.objects.get()
    assert (told.event, told.payload["encoder"]) == ("encoder.promoted", made.pk)
