"""Judges in the admin: added, changed, asked again, switched off; keys are only named."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.html import escape

from annotator.models import Campaign, Job, Judge, Query, Slot
from annotator.services import judges
from annotator.services.campaigns import add_member, set_state
from tests.annotator.conftest import signed_in
from tests.annotator.judged import AT, SECRET_PROMPT, SECRET_REPLY, add, route, say
from tests.annotator.test_admin import ADMIN
from tests.annotator.views.pages import queries
from tests.campaigns import ask, make_campaign

ADD, LIST = f"{ADMIN}/judge/add/", f"{ADMIN}/judge/"


def sent(campaign: Campaign | None = None, **changes: Any) -> dict[str, Any]:
    """The form as the browser sends it; without a campaign where that is settled."""
    judge = Judge()
    names = ("provider", "mode", "max_tokens", "price_in", "price_out", "workers", "timeout")
    names += ("history_sample",)
    found = {name: getattr(judge, name) for name in names}
    found |= {"base_url": AT, "model": "tiny", "template": "{}", "active": "on"}
    if campaign is not None:
        found |= {"campaign": campaign.pk, "name": "small-judge"}
    return {key: value for key, value in (found | changes).items() if value is not None}


def act(client: Client, action: str, judge: Judge) -> str:
    """Choose one judge in the list and an action; the page that follows."""
    data = {"action": action, "_selected_action": [judge.pk]}
    page: str = client.post(LIST, data, follow=True).content.decode()
    return page


@pytest.fixture
def waiting(ruth: User) -> Campaign:
    """A running campaign whose six questions wait for the judge, and no job that sees to them."""
    made = make_campaign()
    add_member(campaign=made, user=ruth, role="owner")
    add(made)
    ask(made, arm="policy")
    Job.objects.all().delete()
    return made


def test_a_judge_is_added_and_asked_instead_of_the_one_before(
    campaign: Campaign, as_ruth: Client
) -> None:
    before = add(campaign, "old")
    form = sent(campaign, key_name="JUDGE_KEY_TINY", price_in="0.15", spend_limit="20")
    reply = as_ruth.post(ADD, form)
    assert reply.status_code == 302, reply.context["errors"]
    judge = Judge.objects.get(name="small-judge")
    assert (judge.key_name, f"{judge.price_in:f}") == ("JUDGE_KEY_TINY", "0.150000000")
    assert judge.annotator.pseudonym == "small-judge"
    before.refresh_from_db()
    assert (judge.active, before.active) == (True, False)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("base_url", "", "expected the address of the endpoint"),
        ("base_url", "https://me:secret@example.org/v1", "an address alone"),
        ("base_url", "nowhere", "expected http(s)://HOST/v1"),
        ("key_name", "sk-a-real-key", "expected JUDGE_KEY_"),
        ("key_name", "SECRET_KEY", "expected JUDGE_KEY_"),
        ("template", '{"user": 5}', "texts by part"),
        ("template", "{", "valid JSON"),
        ("price_in", "-1", "greater than or equal to 0"),
        ("workers", "65", "less than or equal to 64"),
        ("name", "two words", "valid"),
        ("model", "", "required"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    campaign: Campaign, as_ruth: Client, field: str, value: str, said: str
) -> None:
    form = as_ruth.post(ADD, sent(campaign, **{field: value})).context["adminform"].form
    assert list(form.errors) == [field]
    assert said in " ".join(form.errors[field])
    assert not Judge.objects.exists()


def test_a_name_is_for_one_judge(campaign: Campaign, as_ruth: Client) -> None:
    add(campaign)
    form = as_ruth.post(ADD, sent(campaign)).context["adminform"].form
    assert form.errors == {"name": ["the campaign has a judge 'small-judge' already"]}


def test_its_page_says_what_is_wrong_and_what_it_cost_and_a_change_clears_it(
    campaign: Campaign, as_ruth: Client
) -> None:
    judge = add(campaign, spend_limit=5)
    say(judge, Query.objects.all()[0])
    judges.stop_asking(judge=judge, why="401: no such key")
    where = f"{LIST}{judge.pk}/change/"
    page = as_ruth.get(where)
    text = page.content.decode()
    assert "not asked since" in text
    assert "401: no such key" in text
    assert "0.0024 of 5" in text
    assert page.context["adminform"].form["price_in"].value() == "1"  # no zeros at its end
    assert as_ruth.post(where, sent(model="larger", name="other")).status_code == 302
    judge.refresh_from_db()
    assert (judge.model, judge.name, judge.trouble) == ("larger", "small-judge", "")
    assert judge.spend_limit is None  # it was left empty


@pytest.mark.parametrize(
    ("change", "anew"),
    [({"model": "larger"}, True), ({"template": '{"system": "Be fair."}'}, True), ({}, False)],
    ids=str,
)
def test_another_model_or_prompt_is_measured_anew(
    campaign: Campaign, as_ruth: Client, change: dict[str, str], anew: bool
) -> None:
    judge = add(campaign)
    form = sent(price_in="1", price_out="2", spend_limit="7") | change
    assert as_ruth.post(f"{LIST}{judge.pk}/change/", form).status_code == 302
    before = judge.measured_from
    judge.refresh_from_db()
    assert judge.spend_limit == 7
    assert (judge.measured_from > before) is anew


def test_a_key_can_be_neither_typed_nor_seen(
    campaign: Campaign, as_ruth: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY_TINY", "sk-a-very-secret-key")
    judge = add(campaign, key_name="JUDGE_KEY_TINY")
    said = say(judge, Query.objects.all()[0])
    for where in (LIST, f"{LIST}{judge.pk}/change/", f"{ADMIN}/judgement/{said.pk}/change/"):
        assert "very-secret" not in as_ruth.get(where).content.decode()
    names = set(as_ruth.get(ADD).context["adminform"].form.fields)
    assert {name for name in names if "key" in name} == {"key_name"}


def test_ask_again_clears_the_trouble_and_has_a_worker_ask(
    waiting: Campaign, as_ruth: Client
) -> None:
    judge = Judge.objects.get()
    judges.stop_asking(judge=judge, why="the endpoint was away")
    assert "is asked again." in act(as_ruth, "ask_again", judge)
    judge.refresh_from_db()
    assert judge.trouble == ""
    assert Job.objects.get(kind="judge").arguments == {"campaign": waiting.pk}
    assert not Slot.objects.exists()


@pytest.mark.parametrize(
    ("active", "state", "words"),
    [(False, "running", "switch it on first"), (True, "paused", "once its campaign runs")],
)
def test_who_cannot_be_asked_now_is_not(
    waiting: Campaign, as_ruth: Client, active: bool, state: str, words: str
) -> None:
    judge = Judge.objects.get()
    Judge.objects.update(active=active, trouble="the key is wrong")
    if state != "running":
        set_state(campaign=waiting, state=state)
    assert words in act(as_ruth, "ask_again", judge)
    assert not Job.objects.exists()


@pytest.mark.parametrize("by", ["the action", "the form"])
def test_switched_off_people_answer_what_waits(waiting: Campaign, as_ruth: Client, by: str) -> None:
    judge = Judge.objects.get()
    if by == "the action":
        assert "people answer what waits" in act(as_ruth, "switch_off", judge)
    else:
        assert as_ruth.post(f"{LIST}{judge.pk}/change/", sent(active=None)).status_code == 302
    judge.refresh_from_db()
    assert not judge.active
    assert Slot.objects.filter(query__arm="policy").count() == 6


def test_a_judge_is_never_deleted(campaign: Campaign, as_ruth: Client) -> None:
    judge = add(campaign)
    assert as_ruth.post(f"{LIST}{judge.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in as_ruth.get(LIST).content.decode()
    assert Judge.objects.exists()


def test_the_campaigns_page_leads_to_its_judges(campaign: Campaign, as_ruth: Client) -> None:
    add(campaign, "ours")
    add(make_campaign("sea", prompts=1), "theirs")
    page = as_ruth.get(f"{ADMIN}/campaign/{campaign.pk}/change/").content.decode()
    where = f"{LIST}?campaign__id__exact={campaign.pk}"
    assert f'href="{where}"' in page
    listed = as_ruth.get(where).context["cl"].result_list
    assert [judge.name for judge in listed] == ["ours"]


def test_a_campaign_that_nobody_answered_goes_with_its_judges(
    campaign: Campaign, as_ruth: Client
) -> None:
    judge, query = add(campaign), Query.objects.all()[0]
    say(judge, query, error="refused")
    route(judge, query)
    judges.record_report(judge=judge, audited=1, figures={})
    where = f"{ADMIN}/campaign/{campaign.pk}/delete/"
    assert as_ruth.post(where, {"post": "yes"}).status_code == 302
    assert not Judge.objects.exists()
    assert not Campaign.objects.exists()


# --- what they said, and who answers what --------------------------------------------------


def test_a_judgement_shows_prompts_and_replies_and_cannot_be_edited(
    campaign: Campaign, as_ruth: Client
) -> None:
    made = say(add(campaign), Query.objects.all()[0])
    where = f"{ADMIN}/judgement/{made.pk}/change/"
    page = as_ruth.get(where).content.decode()
    said = [SECRET_PROMPT, escape(SECRET_REPLY), "1000 sent, 100 received", "tiny-2026"]
    said += ["version 0a1b2c3d4e5f", "0.0012"]
    for words in said:
        assert words in page
    assert as_ruth.post(where, {"p": "0.1"}).status_code == 403
    made.refresh_from_db()
    assert made.p == 0.9


def test_lists_say_the_verdict_and_the_reason(campaign: Campaign, as_ruth: Client) -> None:
    judge = add(campaign)
    one, two = Query.objects.order_by("pk")[:2]
    say(judge, one)
    say(judge, two, error="malformed")
    route(judge, one, "judge", reason="sure")
    route(judge, two, reason="weak_spot")
    text = as_ruth.get(f"{ADMIN}/judgement/").content.decode()
    assert "preference" in text
    assert "malformed" in text
    text = as_ruth.get(f"{ADMIN}/route/?to__exact=human").content.decode()
    assert "weak_spot" in text
    assert f"query {two.pk}" in text
    assert f"query {one.pk}" not in text
    page = as_ruth.get(f"{ADMIN}/query/{two.pk}/change/").content.decode()
    assert "a person: weak_spot" in page


@pytest.mark.parametrize("model", ["judge", "judgement", "route"])
def test_a_list_costs_the_same_however_long_it_is(
    campaign: Campaign, as_ruth: Client, model: str
) -> None:
    judge = add(campaign)

    def more(n: int, query: Query) -> None:
        say(judge, query)
        route(judge, query)
        add(campaign, f"judge-{n}", active=False)

    asked = list(Query.objects.order_by("pk"))
    more(0, asked[0])
    as_ruth.get(f"{ADMIN}/{model}/")
    few = queries(lambda: as_ruth.get(f"{ADMIN}/{model}/"))
    for n, query in enumerate(asked[1:], 1):
        more(n, query)
    many = queries(lambda: as_ruth.get(f"{ADMIN}/{model}/"))
    assert len(many) == len(few), many


def test_only_who_steers_a_campaign_sees_its_judges(campaign: Campaign, sam: User) -> None:
    judge = add(campaign, "unseen-judge")
    query = Query.objects.all()[0]
    made = say(judge, query)
    route(judge, query, reason="unseen-reason")
    User.objects.filter(pk=sam.pk).update(is_staff=True)
    permission = Permission.objects.get(codename="change_campaign")
    sam.user_permissions.add(permission)
    client = signed_in(User.objects.get(pk=sam.pk))
    lists = [LIST, f"{ADMIN}/judgement/", f"{ADMIN}/route/"]
    for where in lists:
        assert "unseen" not in client.get(where).content.decode()
    assert client.get(f"{ADMIN}/judgement/{made.pk}/change/").status_code == 302
    add_member(campaign=campaign, user=sam, role="researcher")
    for where in lists:
        assert "unseen" in client.get(where).content.decode()
    assert SECRET_PROMPT in client.get(f"{ADMIN}/judgement/{made.pk}/change/").content.decode()
    sam.user_permissions.remove(permission)
    assert {client.get(where).status_code for where in lists} == {403}


def test_a_judge_is_added_only_where_one_steers(campaign: Campaign, sam: User) -> None:
    User.objects.filter(pk=sam.pk).update(is_staff=True)
    sam.user_permissions.add(Permission.objects.get(codename="change_campaign"))
    client = signed_in(User.objects.get(pk=sam.pk))
    assert "not one of the available choices" in client.post(ADD, sent(campaign)).content.decode()
    assert not Judge.objects.exists()
    add_member(campaign=campaign, user=sam, role="researcher")
    assert client.post(ADD, sent(campaign)).status_code == 302
    assert Judge.objects.get().campaign == campaign
