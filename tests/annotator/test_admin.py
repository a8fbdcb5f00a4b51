"""The researcher's desk: create, import, start, pause, look, retry. Strangers see nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from annotator.models import (
    Campaign,
    Guidelines,
    Job,
    Membership,
    ModelVersion,
    Query,
    Round,
)
from annotator.services.campaigns import (
    add_member,
    create_campaign,
    publish_guidelines,
    set_state,
)
from annotator.services.rounds import fail_round
from tests.annotator.acts import answer, lease
from tests.annotator.conftest import signed_in
from tests.campaigns import item, load

ADMIN = "/admin/annotator"


def fields(**changes: Any) -> dict[str, Any]:
    """The campaign form as the browser sends it."""
    campaign = Campaign()
    names = ["overlap", "lease_minutes", "batch_size", "labels_per_round", "queue_low"]
    names += ["random_share", "holdout_share", "holdout_prompts", "seed", "encoder", "form"]
    names += ["finetune"]
    names += ["candidates", "acquisition", "head", "set_size"]
    names += ["qualification_pass", "gold_share", "repeat_share", "routing", "human_share"]
    sent = {name: getattr(campaign, name) for name in names}
    inline = {"TOTAL_FORMS": 0, "INITIAL_FORMS": 0, "MIN_NUM_FORMS": 0, "MAX_NUM_FORMS": 1000}
    sent |= {f"memberships-{key}": value for key, value in inline.items()}
    sent |= {
        "name": "Sea",
        "slug": "sea",
        "guidelines_text": "Be fair.",
        "fall_back": "on",
    }
    return sent | changes


@pytest.fixture
def draft(ruth: User) -> Campaign:
    return create_campaign(slug="sea", name="Sea", owner=ruth, guidelines="Be fair.")


def test_a_researcher_creates_a_campaign_with_guidelines_and_owns_it(
    ruth: User, as_ruth: Client
) -> None:
    reply = as_ruth.post(f"{ADMIN}/campaign/add/", fields())
    assert reply.status_code == 302, reply.context["errors"]
    campaign = Campaign.objects.get(slug="sea")
    assert campaign.guidelines.get().text == "Be fair."
    assert campaign.memberships.get().role == Membership.Role.OWNER
    assert campaign.created_by == ruth


def test_changed_guidelines_become_a_new_version_and_unchanged_ones_do_not(
    draft: Campaign, as_ruth: Client
) -> None:
    where = f"{ADMIN}/campaign/{draft.pk}/change/"
    for text in ("Be fair.", "Be fair and quick."):
        assert as_ruth.post(where, fields(guidelines_text=text)).status_code == 302
    assert list(draft.guidelines.values_list("version", flat=True)) == [2, 1]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("acquisition", "magic", "not one of the available choices"),
        ("random_share", "1.5", "less than or equal to 0.9"),
        ("overlap", "0", "greater than or equal to 1"),
        ("slug", "not a slug", "valid"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_stored(
    as_ruth: Client, field: str, value: str, said: str
) -> None:
    reply = as_ruth.post(f"{ADMIN}/campaign/add/", fields(**{field: value}))
    assert reply.status_code == 200
    assert said in reply.content.decode()
    assert not Campaign.objects.exists()


def test_start_pause_resume_by_the_buttons(draft: Campaign, as_ruth: Client) -> None:
    where = f"{ADMIN}/campaign/{draft.pk}"
    load(draft, [item(n) for n in range(9)])
    states = []
    for what in ("start", "pause", "resume", "round", "finish"):
        as_ruth.post(f"{where}/do/{what}/")
        draft.refresh_from_db()
        states.append(draft.state)
    assert states == ["running", "paused", "running", "running", "finished"]
    assert Round.objects.count() == 1


def test_starting_an_empty_campaign_says_what_is_missing(draft: Campaign, as_ruth: Client) -> None:
    reply = as_ruth.post(f"{ADMIN}/campaign/{draft.pk}/do/start/", follow=True)
    assert "pool is empty: import items first" in reply.content.decode()


def test_the_buttons_refuse_get(draft: Campaign, as_ruth: Client) -> None:
    load(draft, [item(1), item(2)])
    as_ruth.get(f"{ADMIN}/campaign/{draft.pk}/do/start/")
    draft.refresh_from_db()
    assert draft.state == "draft"


def test_a_round_needs_a_running_campaign(draft: Campaign, as_ruth: Client) -> None:
    load(draft, [item(1), item(2)])
    as_ruth.post(f"{ADMIN}/campaign/{draft.pk}/do/round/")
    assert not Round.objects.exists()


def test_saving_the_form_does_not_undo_a_pause_pressed_meanwhile(
    campaign: Campaign, as_ruth: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = Campaign.save

    def pause_then_save(self: Campaign, **kwargs: Any) -> None:
        set_state(campaign=Campaign.objects.get(pk=self.pk), state="paused")
        saved(self, **kwargs)

    monkeypatch.setattr(Campaign, "save", pause_then_save)
    where = f"{ADMIN}/campaign/{campaign.pk}/change/"
    assert as_ruth.post(where, fields(name="Renamed")).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.name, campaign.state) == ("Renamed", "paused")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"random_share": "0.6", "holdout_share": "0.6"}, "leave less than 5 %"),
        ({"head": "magic"}, "not one of the available choices"),
        ({"encoder": "magic"}, "expected default, minilm, hashed or hf:NAME"),
    ],
)
def test_settings_that_no_round_could_use_are_refused(
    as_ruth: Client, changes: dict[str, str], said: str
) -> None:
    reply = as_ruth.post(f"{ADMIN}/campaign/add/", fields(**changes))
    assert said in reply.content.decode()
    assert not Campaign.objects.exists()


def test_guidelines_are_shown_only_to_those_who_steer(campaign: Campaign, sam: User) -> None:
    publish_guidelines(campaign=campaign, text="secret guidelines")
    sam.is_staff = True
    sam.save()
    sam.user_permissions.set(Permission.objects.filter(content_type__app_label="annotator"))
    client = signed_in(User.objects.get(pk=sam.pk))
    version = Guidelines.objects.get()
    row = f"/guidelines/{version.pk}/change/"
    assert row not in client.get(f"{ADMIN}/guidelines/").content.decode()
    assert client.get(f"{ADMIN}/guidelines/{version.pk}/change/").status_code == 302


def test_a_flagged_question_shows_its_texts_and_the_reason(
    campaign: Campaign, ada: User, as_ruth: Client
) -> None:
    assignment = lease(campaign, ada)
    answer(assignment, ada, "flag", rationale="personal data")
    page = as_ruth.get(f"{ADMIN}/query/{assignment.query_id}/change/").content.decode()
    for said in ("personal data", "why is the sky blue?", "scattering"):
        assert said in page


def test_a_failed_round_is_shown_in_words_and_retried_by_its_button(
    campaign: Campaign, as_ruth: Client
) -> None:
    made = Round.objects.create(campaign=campaign, number=7, trigger="test")
    fail_round(round_id=made.pk, error="the encoder is not installed")
    assert "failed: the encoder is not installed" in as_ruth.get(f"{ADMIN}/round/").content.decode()
    as_ruth.post(f"{ADMIN}/round/", {"action": "retry", "_selected_action": [made.pk]})
    made.refresh_from_db()
    assert made.state == "waiting"
    assert Job.objects.filter(kind="round", arguments={"round": made.pk}).exists()


def test_the_campaigns_page_has_a_button_that_retries_its_failed_round(
    campaign: Campaign, as_ruth: Client
) -> None:
    made = Round.objects.create(campaign=campaign, number=7, trigger="test")
    fail_round(round_id=made.pk, error="the disk is full")
    page = as_ruth.get(f"/c/{campaign.slug}/progress/").content.decode()
    where = f"{ADMIN}/campaign/{campaign.pk}/do/retry/"
    assert "failed: the disk is full" in page
    assert where in page
    assert as_ruth.post(where, {"back": "progress"})["Location"] == f"/c/{campaign.slug}/progress/"
    made.refresh_from_db()
    assert made.state == "waiting"


def test_flagged_questions_are_decided_in_the_admin(
    campaign: Campaign, ada: User, as_ruth: Client
) -> None:
    assignment = lease(campaign, ada)
    answer(assignment, ada, "flag", rationale="personal data")
    action = {"action": "withdraw", "_selected_action": [assignment.query_id]}
    as_ruth.post(f"{ADMIN}/query/", action)
    assert Query.objects.get(pk=assignment.query_id).slots.get().state == "withdrawn"


@pytest.mark.parametrize(
    "model",
    [
        *("annotation", "annotator", "campaign", "guidelines", "item", "job", "modelversion"),
        *("query", "round", "slot", "snapshot"),
    ],
)
def test_every_list_opens(campaign: Campaign, ada: User, as_ruth: Client, model: str) -> None:
    answer(lease(campaign, ada), ada)
    assert as_ruth.get(f"{ADMIN}/{model}/").status_code == 200


def figure(value: float, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            {
                "n": 64,
                "prompts": 20,
                "accuracy": figure(0.8125, 0.7, 0.9),
                "log_loss": figure(0.5, 0.4, 0.625),
            },
            "was said 64 times about 20 held-out prompts. "
            "Called right: 81.2% (70.0% to 90.0%). Log-loss: 0.500 (0.400 to 0.625)",
        ),
        (
            {
                "n": 4,
                "prompts": 3,
                "accuracy": figure(0.75, None, None),
                "log_loss": figure(0.5, None, None),
            },
            "Called right: 75.0% (too few prompts for an interval). Log-loss: 0.500 (too few",
        ),
        (None, "Not known: no held-out answer"),
    ],
    ids=["an interval", "too few prompts", "nothing"],
)
def test_a_model_version_says_how_well_it_knows_what_is_good_enough(
    campaign: Campaign, as_ruth: Client, line: dict[str, Any] | None, words: str
) -> None:
    made = ModelVersion.objects.create(
        campaign=campaign,
        round=Round.objects.get(),
        kind="all",
        head="linear",
        encoder_key="hashed",
        annotations_seen=9,
        comparisons=9,
        metrics={"n": 5} | ({"good_enough": line} if line else {}),
    )
    page = as_ruth.get(f"{ADMIN}/modelversion/{made.pk}/change/").content.decode()
    assert words in page


def test_staff_see_only_the_campaigns_they_steer(campaign: Campaign, sam: User) -> None:
    sam.is_staff = True
    sam.save()
    sam.user_permissions.set(Permission.objects.filter(content_type__app_label="annotator"))
    client = signed_in(User.objects.get(pk=sam.pk))
    row = f"/campaign/{campaign.pk}/change/"
    assert row not in client.get(f"{ADMIN}/campaign/").content.decode()
    assert client.post(f"{ADMIN}/campaign/{campaign.pk}/do/pause/").status_code == 404
    add_member(campaign=campaign, user=sam, role="researcher")
    assert row in client.get(f"{ADMIN}/campaign/").content.decode()


def test_a_campaign_with_answers_cannot_be_deleted(
    campaign: Campaign, ada: User, as_ruth: Client
) -> None:
    answer(lease(campaign, ada), ada)
    reply = as_ruth.post(f"{ADMIN}/campaign/{campaign.pk}/delete/", {"post": "yes"})
    assert reply.status_code == 403
    assert Campaign.objects.exists()


def test_annotators_have_no_desk(campaign: Campaign, as_ada: Client) -> None:
    assert as_ada.get(f"{ADMIN}/campaign/").status_code == 302


def test_guidelines_versions_cannot_be_edited(draft: Campaign, as_ruth: Client) -> None:
    version = Guidelines.objects.get()
    as_ruth.post(f"{ADMIN}/guidelines/{version.pk}/change/", {"text": "forged", "version": 9})
    version.refresh_from_db()
    assert (version.text, version.version) == ("Be fair.", 1)
