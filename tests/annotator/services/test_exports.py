"""What leaves: right rows, right words, and where each came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.errors import InvalidInput
from annotator.models import Campaign, Prompt, Response
from annotator.services.campaigns import create_campaign
from annotator.services.export_files import export_to_file
from annotator.services.exports import ExportOptions, rows
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, item, load, make_campaign
from tests.drawn import drawn, put


def export(campaign: Campaign, name: str, **options: bool) -> list[tuple[Any, Any]]:
    found = rows(campaign=campaign, format_name=name, options=ExportOptions(**options))
    return list(found)


def test_a_pair_is_exported_with_the_words_the_person_chose(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    answer(assignment, ada, "b2")
    texts = [Response.objects.get(pk=pk).text for pk in assignment.display_order]
    ((row, about),) = export(campaign, "trl-preference")
    assert row == {
        "prompt": assignment.query.prompt.content,
        "chosen": texts[1],
        "rejected": texts[0],
    }
    assert about["votes"] == {"for": 1, "against": 0}
    assert about["queries"][0]["arm"] == "random"
    assert about["queries"][0]["propensity"] == 0.5
    assert about["annotations"][0]["display_order"] == assignment.display_order
    assert {about["chosen_model"], about["rejected_model"]} == {"model-one", "model-two"}


def test_a_chat_is_exported_conversationally(ada: User) -> None:
    chat = [{"role": "user", "content": "Hi"}]
    campaign = make_campaign(prompts=1, people=(ada,))
    load(campaign, [item(7, prompt=chat)])
    ask(campaign)
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada, "a1")
    row = export(campaign, "trl-preference")[-1][0]
    assert row["prompt"] == chat
    assert [turn["role"] for turn in row["chosen"]] == ["assistant"]


@pytest.mark.parametrize("choice", ["tie", "neither", "skip"])
def test_what_is_no_preference_gives_no_pair(campaign: Campaign, ada: User, choice: str) -> None:
    answer(lease(campaign, ada), ada, choice)
    assert export(campaign, "trl-preference") == []


def test_the_majority_decides_and_a_level_vote_stays_out(ada: User, ben: User, sam: User) -> None:
    campaign = make_campaign(prompts=2, people=(ada, ben, sam), overlap=3)
    ask(campaign)
    votes = {ada: 0, ben: 0, sam: 1}
    for person, better in votes.items():
        assignment = lease(campaign, person)
        best = sorted(assignment.display_order)[better]
        answer(assignment, person, "a2" if assignment.display_order[0] == best else "b2")
    for person, better in {ada: 0, ben: 1}.items():
        assignment = lease(campaign, person)
        best = sorted(assignment.display_order)[better]
        answer(assignment, person, "a2" if assignment.display_order[0] == best else "b2")
    ((row, about),) = export(campaign, "trl-preference")
    assert row["chosen"] == "Because of *scattering* (0)."
    assert about["votes"] == {"for": 2, "against": 1}


def test_without_a_majority_there_is_no_pair(ada: User, ben: User, sam: User) -> None:
    campaign = make_campaign(prompts=1, people=(ada, ben, sam), overlap=3)
    ask(campaign)
    for person, choice in ((ada, "a1"), (ben, "tie"), (sam, "neither")):
        answer(lease(campaign, person), person, choice)
    assert export(campaign, "trl-preference") == []


def test_a_context_joins_the_system_turn(ada: User) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    campaign = make_campaign(prompts=1, people=(ada,))
    load(campaign, [item(7, prompt=chat, context="A story.")])
    ask(campaign)
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada, "a1")
    prompt = export(campaign, "trl-preference")[-1][0]["prompt"]
    assert [turn["role"] for turn in prompt] == ["system", "user"]
    assert prompt[0]["content"] == "Be brief.\n\nA story."


def test_what_was_not_said_comes_back_unsaid(ada: User) -> None:
    bare = {"id": "q1", "prompt": "Why?", "responses": [{"text": "a"}, {"text": "b"}]}
    campaign = make_campaign(prompts=1, people=(ada,))
    load(campaign, [bare])
    ask(campaign)
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada, "a1")
    (mine,) = [row for row, _ in export(campaign, "native") if row["id"] == "q1"]
    assert set(mine) == {"id", "task", "prompt", "responses", "annotations"}
    assert load(campaign, [mine], history=True).unchanged == 1


def test_importing_ones_own_export_again_adds_nothing(campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada)
    native = [row for row, _ in export(campaign, "native")]
    assert load(campaign, native, history=True).annotations == 0


def test_an_imported_name_is_never_a_person_who_signs_in(campaign: Campaign, ada: User) -> None:
    name = campaign.annotators.get(user=ada).pseudonym
    said = [{"annotator": name, "kind": "human", "choice": 0}]
    load(campaign, [item(50, annotations=said)], history=True)
    assert campaign.annotators.get(user=ada).annotations.count() == 0
    assert campaign.annotators.filter(pseudonym=name).count() == 2


def test_the_holdout_and_gold_stay_here_unless_asked(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    answer(assignment, ada, "a1")
    Prompt.objects.filter(pk=assignment.query.prompt_id).update(is_holdout=True)
    assert export(campaign, "native") == []
    ((_, about),) = export(campaign, "native", include_holdout=True)
    assert about["holdout"]


def test_gold_questions_stay_here_unless_asked(ada: User) -> None:
    campaign = make_campaign(prompts=1, people=(ada,))
    ask(campaign, arm="gold")
    answer(lease(campaign, ada), ada)
    assert export(campaign, "native") == []
    assert len(export(campaign, "native", include_gold=True)) == 1


@pytest.mark.django_db
def test_native_history_comes_back_as_it_was() -> None:
    said = [
        {"annotator": "w1", "kind": "human", "choice": 1, "strength": 4, "meta": {"at": "noon"}},
        {"annotator": None, "kind": "human", "choice": "tie"},
    ]
    rows_in = [
        item(1, annotations=said, subset="s", context="story", meta={"k": 1}),
        item(2, prompt=[{"role": "user", "content": "Hi"}], annotations=said[:1]),
    ]
    campaign = create_campaign(slug="trip", name="Trip")
    load(campaign, rows_in, history=True)
    assert [row for row, _ in export(campaign, "native")] == rows_in


def test_what_was_answered_here_can_be_imported_elsewhere(campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada, "a3", rationale="clear", active_ms="2000")
    answer(lease(campaign, ada), ada, "neither")
    native = [row for row, _ in export(campaign, "native")]
    other = create_campaign(slug="other", name="Other")
    assert load(other, native, history=True).annotations == 2
    (said,) = native[0]["annotations"]
    assert (said["strength"], said["rationale"], said["time_s"]) == (3, "clear", 2.0)
    assert said["annotator"].startswith("p-")
    assert native[1]["annotations"][0]["choice"] is None
    assert native[1]["annotations"][0]["meta"]["outcome"] == "neither"


def test_a_part_of_an_item_gets_an_id_of_its_own(ada: User) -> None:
    campaign = make_campaign(prompts=1, people=(ada,))
    three = [{"text": text} for text in ("alpha", "beta", "gamma")]
    load(campaign, [item(9, task="listwise", responses=three)])
    ask(campaign)
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada, "a1")
    ids = [row["id"] for row, _ in export(campaign, "native")]
    assert ids == ["toy:0", "toy:9#0-1", "toy:9#0-2", "toy:9#1-2"]


def test_an_answer_taken_back_does_not_leave(campaign: Campaign, ada: User) -> None:
    from annotator.services.annotations import undo_last

    answer(lease(campaign, ada), ada)
    undo_last(slug=campaign.slug, user=ada)
    assert export(campaign, "native") == []


def test_files_appear_whole_with_provenance_or_not_at_all(
    campaign: Campaign, ada: User, tmp_path: Path
) -> None:
    out = tmp_path / "pairs.jsonl"

    def write(format_name: str) -> dict[str, Any]:
        return export_to_file(
            campaign=campaign, format_name=format_name, out=out, options=ExportOptions()
        )

    with pytest.raises(InvalidInput, match="nothing to export"):
        write("trl-preference")
    with pytest.raises(InvalidInput, match="expected one of native, trl-preference"):
        write("csv")
    assert list(tmp_path.iterdir()) == []
    answer(lease(campaign, ada), ada)
    manifest = write("trl-preference")
    assert manifest["files"]["data.jsonl"]["rows"] == 1
    provenance = tmp_path / "pairs.jsonl.provenance.jsonl"
    assert sorted(tmp_path.iterdir()) == [out, provenance]
    assert json.loads(provenance.read_text())["id"] == "toy:0"


def test_queries_of_an_export_do_not_grow_with_its_rows(
    ada: User, django_assert_max_num_queries: Any
) -> None:
    campaign = make_campaign(prompts=30, people=(ada,))
    ask(campaign)
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada)
    with django_assert_max_num_queries(20):
        assert len(export(campaign, "native")) == 30


def test_an_edit_is_chosen_over_its_original(ada: User) -> None:
    made = make_campaign(people=(ada,), prompts=1, form="edit")
    ask(made)
    assignment = lease(made, ada)
    answer(assignment, ada, "submit", edit_of="A", edit_text="Rewritten.", edit_reasons=["tone"])
    [(row, _)] = rows(campaign=made, format_name="trl-preference")
    original = Response.objects.get(pk=assignment.display_order[0])
    assert (row["chosen"], row["rejected"]) == ("Rewritten.", original.text)
    [(native, _)] = rows(campaign=made, format_name="native")
    edit = native["annotations"][0]["edit"]
    assert native["responses"][edit["response"]]["text"] == original.text
    assert (edit["text"], edit["reasons"]) == ("Rewritten.", ["tone"])


def test_provenance_has_the_checksums_of_the_pictures_that_are_shown(
    ada: User, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    campaign = make_campaign(prompts=2, people=(ada,))
    put(campaign, {"a.png": drawn(), "unused.png": drawn(shade=2)})
    Prompt.objects.filter(pk=campaign.prompts.order_by("pk")[0].pk).update(
        content="![a chart](picture:a.png) ![none](picture:none.png)"
    )
    ask(campaign)
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada, "a1")
    (row, about), (_, plain) = export(campaign, "native")
    assert "picture:a.png" in row["prompt"]
    sha256 = campaign.pictures.get(name="a.png").sha256
    assert about["pictures"] == {"a.png": sha256, "none.png": None}
    assert "pictures" not in plain
    manifest = export_to_file(
        campaign=campaign, format_name="native", out=tmp_path / "x", options=ExportOptions()
    )
    assert manifest["pictures"] == {"in_campaign": 2, "included": False}
