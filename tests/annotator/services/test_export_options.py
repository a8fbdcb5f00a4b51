"""Choices about what leaves, with real answers in the database."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.errors import InvalidInput
from annotator.exporters import FORMATS, ExportOptions
from annotator.models import Annotation, Campaign, Prompt
from annotator.services.campaigns import create_campaign
from annotator.services.exports import _Once, prepare, rows
from tests.annotator.acts import answer, expire, lease
from tests.campaigns import ask, item, load, make_campaign


def export(campaign: Campaign, name: str = "trl-preference", **options: Any) -> list[Any]:
    chosen = ExportOptions.checked(options)
    return list(rows(campaign=campaign, format_name=name, options=chosen))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format_name": "csv"}, "expected one of native, trl-preference"),
        ({"consensus": "most"}, "consensus: expected one of auto, majority"),
        ({"minimum_agreement": 2}, "minimum_agreement: expected 0.0 to 1.0, got 2"),
        ({"minimum_answers": "few"}, "minimum_answers: expected a number, got 'few'"),
        ({"include_gold": "yes"}, "include_gold: expected true or false, got 'yes'"),
        ({"judge": "out"}, "there is no option 'judge'; there are: include_holdout"),
        ({"format_name": "native", "ties": "both"}, "native does not heed ties"),
    ],
    ids=["format", "choice", "range", "number", "flag", "unknown", "not-heeded"],
)
def test_what_cannot_be_heeded_is_refused_in_words(
    campaign: Campaign, options: dict[str, Any], said: str
) -> None:
    name = options.pop("format_name", "trl-preference")
    with pytest.raises(InvalidInput, match=said.replace("[", r"\[")):
        export(campaign, name, **options)


def test_late_answers_and_skips_come_only_when_asked_for(ada: User, ben: User) -> None:
    campaign = make_campaign(prompts=1, people=(ada, ben))
    ask(campaign)
    late = expire(lease(campaign, ada))
    answer(lease(campaign, ben), ben, "a1")
    answer(late, ada, "b1")
    ((_, about),) = export(campaign, "native")
    assert [said["late"] for said in about["annotations"]] == [False]
    ((_, about),) = export(campaign, "native", include_late=True)
    assert sorted(said["late"] for said in about["annotations"]) == [False, True]


def test_skips_leave_as_skips(campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada, "skip")
    assert export(campaign, "native") == []
    ((row, _),) = export(campaign, "native", include_skips=True)
    assert row["annotations"][0]["meta"]["outcome"] == "skip"
    with pytest.raises(InvalidInput, match="does not heed include_skips"):
        export(campaign, include_skips=True)


def test_people_can_leave_as_numbers(ada: User, ben: User) -> None:
    said = [{"annotator": "Jane Doe", "kind": "human", "choice": 0}]
    campaign = make_campaign(prompts=1, people=(ada, ben))
    load(campaign, [item(7, annotations=said)], history=True)
    ask(campaign)
    answer(lease(campaign, ben), ben)
    found = export(campaign, "native", annotators="numbers")
    told = repr(found)
    assert "Jane Doe" not in told
    assert campaign.annotators.get(user=ben).pseudonym not in told
    names = {one["annotator"] for row, _ in found for one in row["annotations"]}
    assert len(names) == 2
    assert all(name.startswith("annotator-") for name in names)


def test_duplicates_leave_once_when_asked(ada: User) -> None:
    twice = [item(n, prompt="Same?", responses=[{"text": "a"}, {"text": "b"}]) for n in (1, 2)]
    campaign = make_campaign(rows=twice, people=(ada,))
    ask(campaign)
    while (assignment := lease(campaign, ada)) is not None:
        first = sorted(assignment.display_order)[0]
        answer(assignment, ada, "a1" if assignment.display_order[0] == first else "b1")
    assert len(export(campaign)) == 2
    assert len(export(campaign, duplicates="first")) == 1


def test_the_table_of_known_rows_grows_and_forgets_nothing() -> None:
    once = _Once()
    assert all(once.first(str(n).encode()) for n in range(3000))
    assert not any(once.first(str(n).encode()) for n in range(3000))


def answered(ada: User, rows_: list[Any]) -> Campaign:
    campaign = make_campaign(rows=rows_, people=(ada,))
    ask(campaign)
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada, "a1")
    return campaign


def test_a_split_is_by_prompt_and_keeps_groups_together(ada: User) -> None:
    many = [item(n, group=f"group {n // 3}") for n in range(30)]
    many += [item(40, prompt=many[0]["prompt"], group="group 9")]  # one prompt in two groups
    campaign = answered(ada, many)
    found = [about for _, about in export(campaign, test_share=0.4)]
    split = {about["id"]: about["split"] for about in found}
    assert {"train", "test"} == set(split.values())
    for group in range(10):
        assert len({split[f"toy:{n}"] for n in range(3 * group, 3 * group + 3)}) == 1
    assert split["toy:0"] == split["toy:40"] == split["toy:27"]  # groups 0 and 9 share a prompt
    again = {about["id"]: about["split"] for _, about in export(campaign, test_share=0.4)}
    assert again == split


def test_the_holdout_is_never_in_train(ada: User) -> None:
    campaign = answered(ada, [item(n, group="") for n in range(12)])
    held = campaign.prompts.order_by("pk")[:6]
    Prompt.objects.filter(pk__in=held.values_list("pk", flat=True)).update(is_holdout=True)
    assert len(export(campaign)) == 6
    found = [about for _, about in export(campaign, include_holdout=True, test_share=0.01)]
    assert [about["split"] for about in found if about["holdout"]] == ["test"] * 6
    assert "train" in {about["split"] for about in found}


def test_a_pair_across_prompts_stays_here_when_one_of_them_is_held_out(ada: User) -> None:
    campaign = make_campaign(prompts=2, people=(ada,), candidates="any")
    ask(campaign, most=1)
    query = campaign.queries.get()
    other = campaign.prompts.exclude(pk=query.prompt_id).get()
    foreign = other.responses.order_by("pk")[0]
    member = query.members.order_by("pk").last()
    member.response = foreign
    member.save()
    query.item = None
    query.save()
    answer(lease(campaign, ada), ada, "a1")
    assert export(campaign) == []  # one row has one prompt
    ((row, _),) = export(campaign, prompts="implicit")
    assert row["chosen"].startswith("Question")
    assert row["rejected"].startswith("Question")
    assert row["chosen"].splitlines()[0] != row["rejected"].splitlines()[0]
    Prompt.objects.filter(pk=other.pk).update(is_holdout=True)
    assert export(campaign, prompts="implicit") == []
    ((_, about),) = export(campaign, prompts="implicit", include_holdout=True)
    assert about["holdout"]


@pytest.mark.django_db
def test_reliability_is_learnt_from_pairs_that_several_answered() -> None:
    def said(*choices: int) -> list[Any]:
        return [
            {"annotator": f"w{n}", "kind": "human", "choice": choice}
            for n, choice in enumerate(choices)
        ]

    # w0 to w2 agree; w3 and w4 answer as it comes.
    sure = [item(n, annotations=said(0, 0, 0, n % 2, (n // 2) % 2)) for n in range(20)]
    last = item(30)
    last["annotations"] = [
        {"annotator": name, "kind": "human", "choice": choice}
        for name, choice in (("w0", 0), ("w3", 1), ("w4", 1))
    ]
    campaign = create_campaign(slug="many", name="Many")
    load(campaign, [*sure, last], history=True)
    believed = {
        about["id"]: row["chosen"] for row, about in export(campaign, consensus="reliability")
    }
    counted = {about["id"]: row["chosen"] for row, about in export(campaign)}
    assert believed["toy:30"] == last["responses"][0]["text"]
    assert counted["toy:30"] == last["responses"][1]["text"]


def test_the_weight_of_a_question_is_one_over_its_propensity(campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada)
    ((row, _),) = export(campaign, weights="propensity")
    assert row["weight"] == 2.0


@pytest.mark.django_db
def test_aspects_are_those_that_were_rated_anywhere() -> None:
    marks = {
        "ratings": {"clarity": [3, 1], "acceptable": [1, 0]},
        "annotator": "w",
        "kind": "human",
    }
    campaign = create_campaign(slug="rated", name="Rated")
    load(campaign, [item(1, annotations=[marks]), item(2)], history=True)
    known = prepare(campaign=campaign, format_name="helpsteer", options=ExportOptions()).context
    assert known.aspects == ("clarity",)
    assert [row["clarity"] for row, _ in export(campaign, "helpsteer")] == [3, 1]


@pytest.mark.parametrize("name", list(FORMATS))
def test_queries_do_not_grow_with_rows(
    name: str, ada: User, django_assert_max_num_queries: Any
) -> None:
    campaign = answered(ada, [item(n) for n in range(12)])
    Annotation.objects.filter(campaign=campaign)
    with django_assert_max_num_queries(12):
        export(campaign, name)
