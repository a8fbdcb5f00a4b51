"""The page before an export: who may see it, what it shows, and that hostile texts stay texts."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from annotator import curated
from annotator.models import Campaign, CurationReport, Job
from annotator.services.campaigns import add_member
from annotator.services.curation import record_report
from tests.annotator.acts import answer, lease

HOSTILE = "<script>alert(1)</script> " + "x" * 2000


def where(campaign: Campaign) -> str:
    return f"/c/{campaign.slug}/curation/"


def stored(campaign: Campaign, **changes: Any) -> CurationReport:
    """A report with one example about the first prompt."""
    prompt = campaign.prompts.order_by("pk").first()
    assert prompt is not None
    first, second = prompt.responses.order_by("pk")[:2]
    example = {
        "question": "toy:0",
        "prompt": prompt.pk,
        "chosen": first.pk,
        "rejected": second.pk,
        "votes": [2, 1, 1],
        "score": 0.75,
        "note": "<b>note</b>",
        "other": prompt.pk,
    }
    finding = {
        "name": "label_errors",
        "rows": 1,
        "of": 9,
        "sentence": "1 choice is more probably wrong than right.",
        "leaves_out": 1,
        "figures": {
            "win_rates": [
                {"model": "<i>m", "rows": 9, "won": {"value": 0.5, "low": None, "high": None}}
            ]
        },
        "examples": [example],
    }
    return record_report(
        campaign=campaign,
        questions=9,
        annotations_seen=changes.get("seen", 0),
        against=changes.get("against", ""),
        findings=[finding],
        left_out={"label_errors": ["toy:0"]},
    )


def test_readers_see_it_and_annotators_do_not(
    campaign: Campaign, as_ruth: Client, as_ada: Client, client: Client
) -> None:
    page = as_ruth.get(where(campaign))
    assert page.status_code == 200
    assert "Nobody has checked this campaign yet" in page.content.decode()
    assert as_ada.get(where(campaign)).status_code == 404
    assert as_ada.post(where(campaign)).status_code == 404
    assert client.get(where(campaign)).status_code == 302
    assert as_ruth.put(where(campaign)).status_code == 405


def test_the_figures_lead_to_it(campaign: Campaign, as_ruth: Client) -> None:
    assert where(campaign) in as_ruth.get(f"/c/{campaign.slug}/progress/").content.decode()


def test_asking_makes_one_job_and_the_page_then_refreshes_itself(
    campaign: Campaign, as_ruth: Client
) -> None:
    file = SimpleUploadedFile("../../bench.txt", b"some words")
    assert as_ruth.post(where(campaign), {"against": file}).status_code == 302
    job = Job.objects.get(kind="curation")
    assert job.arguments["against"] == "bench.txt"
    page = as_ruth.post(where(campaign), follow=True).content.decode()
    assert "under way already" in page
    assert 'hx-trigger="every 3s"' in page
    assert Job.objects.filter(kind="curation").count() == 1
    default_storage.delete(job.arguments["file"])
    Job.objects.update(state="failed", error="out of <memory>")
    page = as_ruth.get(where(campaign)).content.decode()
    assert "out of &lt;memory&gt;" in page
    assert "hx-trigger" not in page


def test_a_fragment_is_the_report_alone(campaign: Campaign, as_ruth: Client) -> None:
    stored(campaign)
    part = as_ruth.get(where(campaign), headers={"HX-Request": "true"}).content.decode()
    assert part.lstrip().startswith('<div id="report"')
    assert "<form" not in part


def test_texts_are_looked_up_shortened_and_escaped(campaign: Campaign, as_ruth: Client) -> None:
    report = stored(campaign, against="<u>bench")
    campaign.prompts.order_by("pk").update(
        content=[{"role": "user", "content": HOSTILE}, {"role": "assistant", "content": "hm"}]
    )
    page = as_ruth.get(where(campaign)).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "x" * 900 not in page
    assert "&lt;b&gt;note&lt;/b&gt;" in page
    assert "&lt;i&gt;m" in page
    assert "&lt;u&gt;bench" in page
    assert "2 people chose the first, 1 the second, 1 called them level" in page
    assert "leaving them out takes 1 question" in page
    [check] = curated.checks(report)
    assert check.examples[0].chosen_model == "model-one"


def test_the_page_says_when_answers_came_since(
    campaign: Campaign, as_ruth: Client, ada: User
) -> None:
    stored(campaign)
    answer(lease(campaign, ada), ada)
    assert "1 answer came since" in as_ruth.get(where(campaign)).content.decode()


def test_texts_of_another_campaign_are_never_shown(campaign: Campaign, as_ruth: Client) -> None:
    report = stored(campaign)
    other = Campaign.objects.create(slug="other", name="Other")
    CurationReport.objects.filter(pk=report.pk).update(campaign=other)
    [check] = curated.checks(CurationReport.objects.get(pk=report.pk))
    assert (check.examples[0].prompt, check.examples[0].chosen) == ("", "")


def test_the_number_of_queries_does_not_grow(
    campaign: Campaign, as_ruth: Client, django_assert_max_num_queries: Any
) -> None:
    report = stored(campaign)
    report.findings = [{**report.findings[0], "examples": report.findings[0]["examples"] * 20}] * 5
    report.save()
    with django_assert_max_num_queries(10):
        as_ruth.get(where(campaign))


# --- the command ----------------------------------------------------------------------------


def printed(*given: str) -> str:
    out = io.StringIO()
    call_command("curate", *given, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_the_command_asks_waits_and_prints(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    def work(seconds: float) -> None:
        report = stored(campaign, against="bench.txt")
        assert report.against
        Job.objects.filter(kind="curation").update(state="done", message="comparing")

    monkeypatch.setattr(time, "sleep", work)
    file = tmp_path / "bench.txt"
    file.write_text("some words")
    said = printed(campaign.slug, "--against", str(file))
    assert "Suspected wrong choices (label_errors): 1 choice is more probably wrong" in said
    assert "toy:0  0.75  <b>note</b>" in said
    default_storage.delete(Job.objects.get(kind="curation").arguments["file"])


def test_the_command_prints_the_newest_without_checking(campaign: Campaign) -> None:
    with pytest.raises(CommandError, match="has not been checked yet"):
        printed(campaign.slug, "--newest")
    stored(campaign)
    assert "rows: 1 of 9; questions that leaving out takes: 1" in printed(campaign.slug, "--newest")
    assert not Job.objects.filter(kind="curation").exists()


def test_the_command_says_what_went_wrong(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="no campaign 'none'"):
        printed("none")
    with pytest.raises(CommandError, match="No such file"):
        printed(campaign.slug, "--against", "nowhere.txt")
    with pytest.raises(CommandError, match="needs a new check"):
        printed(campaign.slug, "--newest", "--against", "x")

    def fail(seconds: float) -> None:
        Job.objects.filter(kind="curation").update(state="failed", error="no memory")

    monkeypatch.setattr(time, "sleep", fail)
    with pytest.raises(CommandError, match="ended as failed: no memory"):
        printed(campaign.slug)


def test_a_viewer_may_check_too(campaign: Campaign, sam: User, client: Client) -> None:
    add_member(campaign=campaign, user=sam, role="viewer")
    client.force_login(sam)
    assert client.post(where(campaign)).status_code == 302
    assert Job.objects.filter(kind="curation").exists()
