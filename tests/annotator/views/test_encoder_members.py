"""An ensemble of adapters as people see it: asked for in the form and over REST, told in words."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from annotator.models import Campaign, EncoderVersion, Round
from annotator.services import finetuning
from annotator.wording import sentences
from tests.annotator.finetuned import ended

pytestmark = pytest.mark.django_db
WHERE = "/c/sky/encoders/"
USED = {"version": 2, "members": 10, "labels": 1234, "since": 0, "left": 1.0}


def report(**ensemble: Any) -> dict[str, Any]:
    policy = {"name": "bald", "options": {}, "selection": {}, "fallback": None}
    return {"wanted": 8, "chosen": {"policy": 8}, "policy": {**policy, "ensemble": ensemble}}


def test_members_are_asked_for_in_the_form(campaign: Campaign, as_ruth: Client) -> None:
    shown = as_ruth.get(WHERE).content.decode()
    assert 'name="members"' in shown
    as_ruth.post(WHERE, {"method": "lora", "members": "8"})
    assert EncoderVersion.objects.get().plan["members"] == 8


@pytest.mark.parametrize("members", ["1", "3", "33"])
def test_numbers_that_cannot_be_are_refused_in_the_form(
    campaign: Campaign, as_ruth: Client, members: str
) -> None:
    answer = as_ruth.post(WHERE, {"method": "lora", "members": members})
    assert answer.status_code == 422
    assert not EncoderVersion.objects.exists()


def test_members_are_asked_for_over_rest(campaign: Campaign, as_ruth: Client) -> None:
    where = "/api/campaigns/sky/encoders/"
    refused = as_ruth.post(where, {"plan": {"members": 2}}, content_type="application/json")
    assert refused.status_code == 422
    assert "finetuning.members must be 0 or at least 4, got 2" in refused.content.decode()
    made = as_ruth.post(where, {"plan": {"members": 8}}, content_type="application/json")
    assert (made.status_code, made.json()["plan"]) == (202, {"members": 8})


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            USED,
            "The choice used 10 adapters of encoder version 2, trained on 1\u202f234 answers.",
        ),
        (
            {**USED, "since": 1},
            "The choice used 10 adapters of encoder version 2, trained on 1\u202f234 answers; "
            "1 answer since then is taken in.",
        ),
        (
            {**USED, "since": 56},
            "The choice used 10 adapters of encoder version 2, trained on 1\u202f234 answers; "
            "56 answers since then are taken in.",
        ),
        (
            {"version": 2, "members": 10, "unused": "the disk ate them"},
            "The adapters of encoder version 2 were not used, the head was: the disk ate them.",
        ),
    ],
)
def test_a_round_says_whether_adapters_chose(told: dict[str, Any], said: str) -> None:
    assert sentences(report(**told)) == [said]


def test_the_page_of_the_campaign_says_it(campaign: Campaign, as_ruth: Client) -> None:
    Round.objects.filter(campaign=campaign).update(state="published", report=report(**USED))
    shown = as_ruth.get("/c/sky/progress/").content.decode()
    assert "The choice used 10 adapters of encoder version 2" in shown


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (
            {"members": 8, "log_loss": 0.61234},
            "With an ensemble of 8 adapters: log-loss 0.612 on answers that an adapter has not",
        ),
        ({"members": 8, "error": "The loss was not a number."}, "no ensemble of adapters"),
    ],
)
def test_the_page_of_encoders_says_what_an_ensemble_is_worth(
    campaign: Campaign, as_ruth: Client, about: dict[str, Any], said: str
) -> None:
    made = ended(campaign)
    EncoderVersion.objects.filter(pk=made.pk).update(record={**made.record, "ensemble": about})
    assert finetuning.in_use(campaign) is not None
    assert said in as_ruth.get(WHERE).content.decode()
