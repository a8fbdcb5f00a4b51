"""The checks before an export: on answers as an export sees them, stored, and heeded."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotator.errors import InvalidInput
from annotator.models import Campaign, CurationReport, Job
from annotator.services.campaigns import create_campaign, start_campaign
from annotator.services.curation import CHECKS, excluded_ids, request_curation
from annotator.services.jobs import cancel
from learning.curation import NAMES
from tests.campaigns import item, load
from tests.worker.loops import FIELDS, work

pytestmark = pytest.mark.django_db


def row(number: int, choices: tuple[Any, ...] = (1,), **changes: Any) -> dict[str, Any]:
    """The longer response is by `strong` and wins, unless told otherwise."""
    said = [{"annotator": f"w{n}", "kind": "human", "choice": c} for n, c in enumerate(choices)]
    return item(
        number,
        prompt=f"Please tell me what the word number {number} means in this very short sentence",
        responses=[
            {"text": f"short {number}", "model": "weak"},
            {"text": "a longer and more careful answer " * (2 + number % 5), "model": "strong"},
        ],
        annotations=said,
        **changes,
    )


def campaign_of(owner: User, rows: list[dict[str, Any]], **fields: Any) -> Campaign:
    made = create_campaign(slug="loop", name="Loop", owner=owner, **(FIELDS | fields))
    load(made, rows, history=True)
    Job.objects.all().delete()  # the card is not what is looked at here
    return made


def report_of(made: Campaign, **named: Any) -> CurationReport:
    assert request_curation(campaign=made, **named) is not None
    work()
    assert Job.objects.get(kind="curation").error == ""
    return made.curations.get()


def figures(report: CurationReport, name: str) -> dict[str, Any]:
    found = report.finding(name)
    assert found is not None
    return found


def test_the_library_and_the_site_know_the_same_checks() -> None:
    assert tuple(CHECKS) == NAMES


def test_every_check_is_made_and_says_what_it_found(ruth: User) -> None:
    rows = [row(n, (1, 1, 0 if n % 6 == 0 else 1)) for n in range(80)]
    report = report_of(campaign_of(ruth, rows))
    assert report.questions == 80
    assert [one["name"] for one in report.findings] == [n for n in NAMES if n != "contamination"]
    assert figures(report, "length")["rows"] == 80
    assert "100 %" in figures(report, "source")["sentence"]
    assert figures(report, "contradictions")["figures"]["opposed"] == 14
    assert "No model has been fitted" in figures(report, "margin")["sentence"]
    example = figures(report, "length")["examples"][0]
    assert example["votes"] in ([3, 0, 0], [2, 1, 0])
    assert report.campaign.prompts.filter(pk=example["prompt"]).exists()
    job = Job.objects.get(kind="curation")
    assert (job.state, job.queue) == ("done", "learning")


def test_what_leaving_out_takes_are_questions_of_the_export(ruth: User) -> None:
    report = report_of(campaign_of(ruth, [row(n) for n in range(40)]))
    assert excluded_ids(report, ["length"]) == {f"toy:{n}" for n in range(40)}
    assert excluded_ids(report, []) == set()
    with pytest.raises(InvalidInput, match="there is no check 'beauty'"):
        excluded_ids(report, ["beauty"])
    with pytest.raises(InvalidInput, match="has not checked 'contamination'"):
        excluded_ids(report, ["length", "contamination"])


def test_near_duplicates_of_held_out_prompts_are_found_and_these_are_never_dropped(
    ruth: User,
) -> None:
    twin = row(0)["prompt"].replace("Please", "please,") + "!"
    made = campaign_of(ruth, [*(row(n) for n in range(30)), row(90) | {"prompt": twin}])
    made.prompts.filter(content=twin).update(is_holdout=True)
    report = report_of(made)
    found = figures(report, "duplicates")
    assert found["figures"]["near_held_out"] >= 1
    assert "toy:0" in report.left_out["duplicates"]
    assert "toy:90" not in report.left_out["duplicates"]
    others = {one["other"] for one in found["examples"]}
    assert made.prompts.get(content=twin).pk in others


def test_a_question_that_people_call_level_is_looked_at_too(ruth: User) -> None:
    twin = row(0, ("tie",)) | {"id": "toy:twin"}
    twin["prompt"] = twin["prompt"].upper()
    report = report_of(campaign_of(ruth, [row(0, ("tie",)), row(1), twin]))
    assert report.left_out["duplicates"] == ["toy:twin"]


@pytest.mark.parametrize("packed", [False, True])
def test_rows_with_a_passage_of_the_file_are_named_and_the_file_is_let_go(
    ruth: User, packed: bool
) -> None:
    text = f'{{"question": "{row(3)["prompt"]}"}}\n'.encode()
    name = "bench.jsonl.gz" if packed else "bench.jsonl"
    data = gzip.compress(text) if packed else text
    made = campaign_of(ruth, [row(n) for n in range(6)])
    report = report_of(made, against=ContentFile(data, name=name))
    assert report.against == name
    assert report.left_out["contamination"] == ["toy:3"]
    assert "what the word number 3 means" in figures(report, "contamination")["examples"][0]["note"]
    kept = Job.objects.get(kind="curation").arguments["file"]
    assert not default_storage.exists(kept)


def test_a_file_that_cannot_be_read_fails_at_once_and_is_let_go(ruth: User) -> None:
    made = campaign_of(ruth, [row(0)])
    request_curation(campaign=made, against=ContentFile(b"\xff\xfe\xfa", name="bench.txt"))
    work()
    job = Job.objects.get(kind="curation")
    assert job.state == "failed"
    assert "not UTF-8" in job.error
    assert not default_storage.exists(job.arguments["file"])
    assert not made.curations.exists()


def test_asking_twice_is_asking_once_and_keeps_one_file(ruth: User) -> None:
    made = campaign_of(ruth, [row(0)])
    first = request_curation(campaign=made, against=ContentFile(b"a", name="a"))
    assert request_curation(campaign=made, against=ContentFile(b"b", name="b")) is None
    assert first is not None
    folder = first.arguments["file"].rpartition("/")[0]
    assert len(default_storage.listdir(folder)[1]) == 1
    assert cancel(job=first)
    assert default_storage.listdir(folder)[1] == []


def test_without_any_answer_there_is_a_report_all_the_same(ruth: User) -> None:
    report = report_of(campaign_of(ruth, [row(0, ())]))
    assert report.questions == 0
    assert {one["rows"] for one in report.findings} == {0}


def test_margins_are_those_of_the_newest_model(ruth: User) -> None:
    made = campaign_of(ruth, [row(n, (int(n % 10 > 0),)) for n in range(150)])
    load(made, [row(n, ()) for n in range(200, 230)])
    start_campaign(campaign=made)
    work()
    assert made.model_versions.exists()
    Job.objects.all().delete()
    report = report_of(made)
    margin = figures(report, "margin")["figures"]
    assert margin["known"] == report.questions
    assert 0 < margin["margin"][4] < 20
    wrong = figures(report, "label_errors")
    assert wrong["figures"]["accuracy"]["value"] > 0.8
    flipped = {f"toy:{n}" for n in range(0, 150, 10)}
    assert {one["question"] for one in wrong["examples"]} <= flipped


def test_a_ranking_goes_only_if_most_of_its_pairs_go(ruth: User) -> None:
    texts = [{"text": text} for text in ("one", "two two", "three three three")]
    rankings = [[1, 2, 3], [1, 2, 3]]
    rows = []
    for n in range(12):
        said = [
            {"annotator": f"w{at}", "kind": "human", "choice": None, "ranking": one}
            for at, one in enumerate(rankings)
        ]
        rows.append(row(n, task="listwise") | {"responses": texts, "annotations": said})
    report = report_of(campaign_of(ruth, rows, form="rank"))
    found = figures(report, "length")
    assert found["rows"] == found["of"] == 36
    assert len(report.left_out["length"]) == 12
