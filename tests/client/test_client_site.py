"""The client against the running site: campaigns, the pool, the record, exports, webhooks."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Annotator
from tests.annotator.acts import answer, lease
from tests.campaigns import item
from tests.worker.loops import FIELDS, rich
from tiebreak.client import (
    Campaign,
    Client,
    Conflict,
    ExportFailed,
    ImportRefused,
    Invalid,
    NotFound,
    Nothing,
    Stopped,
    TimedOut,
    Unauthorized,
)

pytestmark = pytest.mark.django_db(transaction=True)


def say(campaign: Any, person: User, times: int = 1) -> None:
    for _ in range(times):
        answer(lease(campaign, person), person)


# --- campaigns ---------------------------------------------------------------------------


def test_a_campaign_is_made_filled_started_and_steered(
    site: Client, ada: User, tmp_path: Path, working: None
) -> None:
    made = site.create_campaign("loop", "Loop", description="Which is longer?", **FIELDS)
    assert (made.info.state, made.info.batch_size) == ("draft", 12)
    assert made.change(name="Longer", overlap=2).overlap == 2
    assert made.publish_guidelines("Prefer *long*.").version == 1
    assert [one.text for one in made.guidelines()] == ["Prefer *long*."]
    assert made.add_member("ada").role == "annotator"
    assert {one.user for one in made.members()} == {"ada", "ruth"}
    report = made.import_items([rich(number) for number in range(30)])
    assert (report.read, report.items, report.annotations) == (30, 30, 0)
    assert made.start().state == "running"
    newest = made.wait_for_rounds()
    assert newest is not None
    assert newest.words == "published 12 questions"
    assert made.pause().state == "paused"
    assert made.finish().state == made.info.state == "finished"
    assert [one.slug for one in site.campaigns()] == ["loop"]
    assert next(site.campaigns()).info.name == "Longer"


def test_rows_come_from_files_compressed_files_and_generators(
    sky: Campaign, tmp_path: Path
) -> None:
    lines = "".join(json.dumps(item(n)) + "\n" for n in range(10, 13)).encode()
    (tmp_path / "rows.jsonl").write_bytes(lines)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines))
    told: list[tuple[int, int | None]] = []
    report = sky.import_items(
        tmp_path / "rows.jsonl", progress_bar=lambda done, total: told.append((done, total))
    )
    assert report.items == 3
    assert told[-1] == (len(lines), len(lines))
    assert sky.import_items(str(tmp_path / "rows.jsonl.gz")).unchanged == 3
    assert sky.import_items(item(n) for n in range(13, 15)).items == 2


def test_many_rows_are_streamed(sky: Campaign) -> None:
    text = "long " * 4000
    rows = (item(n, prompt=f"{n} {text}") for n in range(100, 600))
    assert sky.import_items(rows).items == 500  # 10 MB: more than is kept in memory


def test_rows_that_cannot_be_used_are_named(sky: Campaign) -> None:
    with pytest.raises(Invalid, match=r"line 2 \(toy:21\): responses") as refused:
        sky.import_items([item(20), item(21, responses=[])])
    assert refused.value.status == 422
    assert refused.value.problems[0]["line"] == 2
    assert sky.import_items([item(20), item(21, responses=[])], keep_good=True).items == 1


def test_history_is_recorded_where_it_is_asked_for(sky: Campaign) -> None:
    said = [{"annotator": "w", "kind": "human", "choice": 1, "strength": 5}]
    report = sky.import_items([item(30, annotations=said)], history=True, strength_max=5)
    assert report.annotations == 1
    assert next(sky.annotations()).strength == 3


def test_a_file_of_any_format_is_taken_in_by_a_worker(
    sky: Campaign, site: Client, working: None, tmp_path: Path
) -> None:
    rows = [{"prompt": f"{n}?", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(4)]
    file = tmp_path / "pairs.json"
    file.write_text(json.dumps(rows))
    done = sky.import_file(file, history=True)
    assert (done.state, done.format, done.counts["items"]) == ("done", "trl-preference", 4)
    assert len(list(sky.annotations())) == 4
    assert site.get_import(done.id) == done == next(sky.imports())
    assert done.rejects() == []
    with pytest.raises(Conflict):
        done.cancel()


def test_a_file_is_looked_at_before_it_is_stored(
    sky: Campaign, working: None, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(item(n)) + "\n" for n in range(50, 53)))
    looked = sky.request_import(file, look_first=True).wait()
    assert (looked.state, len(looked.shown)) == ("checked", 3)
    assert looked.confirm(history=False).wait().counts["items"] == 3


def test_a_file_that_cannot_be_used_names_its_bad_rows(
    sky: Campaign, working: None, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in (item(60), item(61, responses=[]))))
    with pytest.raises(ImportRefused, match="line 2") as refused:
        sky.import_file(file)
    assert refused.value.state == "refused"
    (made,) = sky.imports()
    (bad,) = made.rejects()
    assert "toy:61" in json.dumps(bad)
    assert made.confirm(keep_good=True).wait().counts["items"] == 1


def test_what_waits_for_a_worker_can_be_cancelled(
    campaign: Any, ada: User, sky: Campaign, tmp_path: Path
) -> None:
    say(campaign, ada)
    asked = sky.request_export("native")
    asked.cancel()
    with pytest.raises(ExportFailed, match="cancelled"):
        asked.wait()
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(item(70)) + "\n")
    taken = sky.request_import(file)
    taken.cancel()
    with pytest.raises(ImportRefused):
        taken.wait()


def test_wrong_settings_are_named_by_field(site: Client) -> None:
    with pytest.raises(Invalid) as refused:
        site.create_campaign("mine", "Mine", acquisition="best")
    assert set(refused.value.errors) == {"acquisition"}
    assert refused.value.request_id


def test_a_wrong_token_and_what_is_not_for_you_are_told_apart(
    script: Callable[..., Client], sam: User, live_server: Any, sky: Campaign
) -> None:
    with (
        Client(live_server.url, "wrong") as other,
        pytest.raises(Unauthorized, match="401 Unauthorized: Invalid token"),
    ):
        list(other.campaigns())
    with pytest.raises(NotFound, match="no campaign 'sky' that you may read"):
        script(sam).campaign("sky").refresh()
    sky.finish()
    with pytest.raises(Conflict):
        sky.start()


# --- the record --------------------------------------------------------------------------


def test_everything_recorded_can_be_read_over_pages(
    campaign: Any, ada: User, sky: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annotator.api.base.Pages.page_size", 2)
    say(campaign, ada, 5)
    said = list(sky.annotations(standing=True))
    assert len(said) == len({one.id for one in said}) == 5
    assert sky.query(said[0].query).item is not None
    assert [one.id for one in sky.annotations(since=said[0].recorded_at)] == [said[0].id]
    assert len(list(sky.items())) == len(list(sky.queries(arm="random", round=1))) == 6
    assert list(sky.queries(withdrawn=True)) == []
    assert sky.item("toy:3").responses[0].model == "model-one"
    assert sorted(one.answers for one in sky.annotators()) == [0, 5]
    assert sky.round(1).number == next(sky.rounds(state="published")).number == 1
    assert list(sky.models(kind="all")) == []
    assert (sky.metrics().judgements, sky.metrics().slots.open) == (5, 1)


def test_an_id_may_hold_anything_that_an_address_cannot(sky: Campaign) -> None:
    odd = "a/b?c=d#e %2F ü"
    sky.import_items([item(40, id=odd)])
    assert sky.item(odd).id == odd


def test_a_round_is_asked_for_and_a_failed_one_tried_again(sky: Campaign) -> None:
    asked = sky.request_round()
    assert sky.request_round().number == asked.number
    with pytest.raises(Conflict):
        sky.retry_round(asked.number)
    with pytest.raises(TimedOut, match="round 2 is waiting"):
        sky.wait_for_rounds(timeout=0)


# --- exports -----------------------------------------------------------------------------


def test_an_export_is_built_downloaded_and_checked(
    campaign: Any, ada: User, sky: Campaign, site: Client, tmp_path: Path, working: None
) -> None:
    say(campaign, ada, 3)
    path = sky.export("trl-preference", tmp_path)
    assert path.name == "sky-trl-preference-data.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [set(row) for row in rows] == [{"prompt", "chosen", "rejected"}] * 3
    names = [one.name for one in sorted(tmp_path.iterdir())]
    assert names == [path.name, "sky-trl-preference-provenance.jsonl"]
    (made,) = sky.exports()
    assert site.get_export(made.id) == made
    assert made.parts == ["data.jsonl", "provenance.jsonl"]
    assert made.download(tmp_path) == path  # there already, and right
    path.write_text("something else")
    made.download(tmp_path)
    assert len(path.read_text().splitlines()) == 3


def test_two_exports_are_compared_and_split(
    campaign: Any, ada: User, sky: Campaign, working: None
) -> None:
    say(campaign, ada, 3)
    older = sky.request_export("trl-preference").wait()
    say(campaign, ada, 3)
    newer = sky.request_export("trl-preference").wait()
    assert (newer.difference(older).added, newer.difference(older).same) == (3, 3)
    split = sky.load_rows("trl-preference", test_share=0.5)
    assert set(split) == {"train", "test"}
    assert len(split["train"]) + len(split["test"]) == 6


def test_an_export_of_nothing_says_so(sky: Campaign, working: None) -> None:
    with pytest.raises(ExportFailed, match="nothing to export"):
        sky.export("trl-preference")


def test_without_workers_one_does_not_wait_for_ever(
    campaign: Any, ada: User, sky: Campaign
) -> None:
    with pytest.raises(TimedOut, match="is queued after"):
        sky.export("native", timeout=0.0)


def test_a_data_set_is_loaded_with_and_without_the_library(
    campaign: Any, ada: User, sky: Campaign, working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import Dataset

    say(campaign, ada, 4)
    loaded = sky.load_dataset("trl-preference")
    assert isinstance(loaded, Dataset)
    assert loaded.column_names == ["prompt", "chosen", "rejected"]
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert sky.load_dataset("trl-preference") == loaded.to_list()


# --- webhooks ----------------------------------------------------------------------------


def test_a_webhook_is_made_changed_tried_and_removed(sky: Campaign, site: Client) -> None:
    made = sky.add_webhook("https://example.org/hook", ["annotation.recorded"])
    assert made.secret
    assert made.secret not in repr(made)
    off = made.change(active=False)
    assert (off.active, off.secret) == (False, made.secret)
    sent = made.test()
    assert [one.id for one in made.deliveries(event="test")] == [sent.id]
    assert [one.id for one in sky.webhooks()] == [site.webhook(made.id).id] == [made.id]
    made.remove()
    made.remove()
    assert sky.webhooks() == []


# --- annotating --------------------------------------------------------------------------


def test_a_question_is_read_answered_and_taken_back(desk: Campaign) -> None:
    question = desk.next()
    assert question
    assert [one.letter for one in question.responses] == ["A", "B"]
    assert str(question.prompt).startswith("Question")
    assert question.forms[0].name == "compare"
    said = question.answer(verdict="a2", rationale="clearer")
    assert question.answer(verdict="a2", rationale="clearer") == said
    with pytest.raises(Conflict, match="answered already"):
        question.answer(verdict="b2")
    again = desk.undo()
    assert again.id == question.id
    assert again.submission_key != question.submission_key
    again.answer(verdict="b1")
    outcomes = Annotation.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["preference", "undone", "preference"]


def test_a_question_is_renewed_released_skipped_or_flagged(desk: Campaign, site: Client) -> None:
    first = desk.next()
    assert first
    ahead = desk.next(after=first)
    assert ahead
    assert ahead.id != first.id
    assert first.renew() >= first.lease_until
    first.release()
    assert ahead.skip().outcome == "skip"
    flagged = desk.next()
    assert flagged
    with pytest.raises(Invalid):
        flagged.flag("")
    assert flagged.flag("two languages").outcome == "flag"


def test_an_answer_that_cannot_be_is_refused_by_field(desk: Campaign) -> None:
    question = desk.next()
    assert question
    with pytest.raises(Invalid, match="not one of the answers") as refused:
        question.answer(verdict="c9")
    assert refused.value.status == 400


def test_my_assignment_is_found_again(
    desk: Campaign, script: Callable[..., Client], ada: User
) -> None:
    question = desk.next()
    assert question
    found = script(ada).assignment(question.id)
    assert found.responses == question.responses
    assert found.answer(verdict="tie").outcome == "tie"


def test_two_people_answer_until_nothing_is_left(
    script: Callable[..., Client], campaign: Any, ada: User, ben: User
) -> None:
    desks = [script(person).campaign(campaign.slug) for person in (ada, ben)]

    def work_off(desk: Campaign) -> int:
        return sum(question.answer(verdict="a1").id > 0 for question in desk.questions(patience=0))

    with ThreadPoolExecutor(2) as people:
        done = list(people.map(work_off, desks))
    assert sum(done) == 6
    assert Annotation.objects.values("query").distinct().count() == 6
    last = desks[0].next()
    assert isinstance(last, Nothing)
    assert not last
    assert last.reason in ("done", "preparing")


def test_guidelines_are_read_before_the_first_question(desk: Campaign, sky: Campaign) -> None:
    version = sky.publish_guidelines("Prefer short.").version
    Annotator.objects.update(guidelines_read=0)
    with pytest.raises(Stopped, match="read_guidelines"):
        next(desk.questions())
    desk.read_guidelines(version)
    assert next(desk.questions()).guidelines_version == version
