"""Imports in the background: a look stores nothing, storing is whole or not at all."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from annotator.errors import InvalidInput, WrongState
from annotator.models import Annotation, Campaign, Import, Item, Job
from annotator.services import intake
from annotator.services import jobs as people
from annotator.services.campaigns import create_campaign
from annotator.services.intake import IntakeOptions, confirm_import, request_import
from tests.annotator.conftest import signed_in
from tests.campaigns import item, lines
from tests.foreign import SAMPLES, as_lines
from worker import handlers, jobs

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN = "/admin/annotator/import"


@pytest.fixture
def sea(ruth: User, settings: Any, tmp_path: Path) -> Campaign:
    settings.MEDIA_ROOT = tmp_path / "media"
    return create_campaign(slug="sea", name="Sea", owner=ruth, guidelines="Be fair.")


def file(rows: list[Any], name: str = "items.jsonl") -> ContentFile[bytes]:
    return ContentFile(as_lines(rows).getvalue(), name=name)


def work(made: Import) -> Import:
    """Run its job as a worker does."""
    queued = Job.objects.live().get(key=made.job_key)
    job = jobs.claim(queued.pk)
    assert job is not None
    try:
        handlers.HANDLERS[job.kind](job)
    except handlers.PERMANENT as error:
        handlers.fail(job, str(error), again=False)
    made.refresh_from_db()
    return made


def kept_files() -> int:
    root = Path(default_storage.location)  # type: ignore[attr-defined]
    return sum(path.is_file() for path in root.rglob("*"))


def test_a_look_tells_format_counts_and_first_items_and_stores_nothing(sea: Campaign) -> None:
    made = work(request_import(campaign=sea, source=file(SAMPLES["multipref"])))
    assert (made.state, made.format, made.container) == ("checked", "multipref", "JSON Lines")
    assert (made.counts["read"], made.counts["items"], made.counts["annotations"]) == (1, 1, 3)
    assert made.shown[0]["id"] == "c1"
    assert not Item.objects.exists()
    assert kept_files() == 1


def test_what_was_confirmed_is_stored_and_its_file_let_go(sea: Campaign) -> None:
    made = work(request_import(campaign=sea, source=file(SAMPLES["multipref"])))
    confirm_import(made=made, options=IntakeOptions(history=True))
    made = work(made)
    assert (made.state, made.counts["items"], made.counts["annotations"]) == ("done", 1, 3)
    strengths = list(Annotation.objects.order_by("pk").values_list("strength", flat=True))
    assert strengths == [3, None, 2]  # clearly is the format's strongest
    assert (kept_files(), made.file) == (0, "")
    with pytest.raises(WrongState, match="stored"):
        confirm_import(made=made, options=IntakeOptions())


def test_an_import_can_be_stored_at_once(sea: Campaign) -> None:
    packed = ContentFile(gzip.compress(lines([item(1), item(2)]).read()), name="x.gz")
    made = work(request_import(campaign=sea, source=packed, look_first=False))
    assert (made.state, Item.objects.count()) == ("done", 2)


def test_problems_are_named_and_the_bad_rows_can_be_downloaded(
    sea: Campaign, as_ruth: Client
) -> None:
    rows = [*SAMPLES["trl-preference"], {"prompt": "p", "chosen": "a", "rejected": 3}]
    made = work(request_import(campaign=sea, source=file(rows)))
    assert (made.state, made.counts["rejected"]) == ("checked", 1)
    (problem,) = intake.problems_of(made)
    assert (problem.line, problem.field) == (5, "rejected")
    reply = as_ruth.get(f"{ADMIN}/{made.pk}/rejects/")
    said = json.loads(b"".join(reply))
    reply.close()
    assert json.loads(said["row"])["rejected"] == 3
    made = work(confirm_import(made=made, options=IntakeOptions()))
    assert (made.state, Item.objects.count()) == ("refused", 0)
    made = work(confirm_import(made=made, options=IntakeOptions(keep_good=True)))
    assert (made.state, Item.objects.count()) == ("done", 2)  # two say the same
    assert kept_files() == 1  # the bad rows of the last attempt
    reply = as_ruth.get(f"{ADMIN}/{made.pk}/rejects/")
    assert reply.status_code == 200
    reply.close()


def test_other_columns_mean_another_look_before_anything_is_stored(sea: Campaign) -> None:
    rows = [{"Q": "Why?", "one": "Air", "two": "Paint"}]
    made = work(request_import(campaign=sea, source=file(rows)))
    assert made.state == "refused"
    assert "no known format has these fields: Q, one, two" in made.error
    columns = {"prompt": "Q", "response_1": "one", "response_2": "two"}
    made = confirm_import(made=made, options=IntakeOptions(columns=columns))
    assert made.state == "checking"
    made = work(made)
    assert (made.state, made.format) == ("checked", "table")
    made = work(confirm_import(made=made, options=IntakeOptions(columns=columns)))
    assert (made.state, Item.objects.count()) == ("done", 1)


def test_the_same_file_twice_adds_nothing(sea: Campaign) -> None:
    for expected in (4, 0):
        source = file(SAMPLES["arena"])
        made = work(request_import(campaign=sea, source=source, look_first=False))
        assert made.counts["items"] == expected
    assert made.counts["unchanged"] == 4


def test_cancelling_before_and_after_the_look_keeps_nothing(sea: Campaign) -> None:
    made = request_import(campaign=sea, source=file(SAMPLES["table"]))
    assert intake.cancel_import(made=made)
    made.refresh_from_db()
    assert (made.state, kept_files()) == ("cancelled", 0)
    other = work(request_import(campaign=sea, source=file(SAMPLES["table"])))
    assert intake.cancel_import(made=other)
    assert not intake.cancel_import(made=other)
    assert (Item.objects.count(), kept_files()) == (0, 0)


def test_cancelling_while_it_is_stored_stores_nothing(
    sea: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    from annotator.services import imports

    stored = imports.store

    def store_then_cancel(*given: Any) -> None:
        stored(*given)
        job = Job.objects.live().get(kind="import")
        one = threading.Thread(target=_cancelled, args=(job,))
        one.start()
        one.join()

    monkeypatch.setattr(imports, "store", store_then_cancel)
    made = request_import(campaign=sea, source=file(SAMPLES["table"]), look_first=False)
    with pytest.raises(jobs.Superseded):
        work(made)
    made.refresh_from_db()
    assert (made.state, Item.objects.count()) == ("cancelled", 0)


def _cancelled(job: Job) -> None:
    from django.db import connection

    people.cancel(job=job)
    connection.close()


def test_an_attempt_that_was_taken_over_stores_nothing_and_the_next_stores_once(
    sea: Campaign,
) -> None:
    made = request_import(campaign=sea, source=file(SAMPLES["arena"]), look_first=False)
    queued = Job.objects.get(key=made.job_key)
    dead = jobs.claim(queued.pk)
    assert dead is not None
    Job.objects.filter(pk=queued.pk).update(lease_until="2020-01-01T00:00Z")
    assert jobs.claim(queued.pk) is not None
    with pytest.raises(jobs.Superseded):
        handlers.HANDLERS["import"](dead)
    assert not Item.objects.exists()
    Job.objects.filter(pk=queued.pk).update(lease_until="2020-01-01T00:00Z")
    alive = jobs.claim(queued.pk)
    assert alive is not None
    handlers.HANDLERS["import"](alive)
    assert Item.objects.count() == 4


def test_a_job_that_is_given_up_says_so(sea: Campaign) -> None:
    made = request_import(campaign=sea, source=file(SAMPLES["table"]))
    people.give_up(kind="import", arguments={"import": str(made.pk)}, error="the worker kept dying")
    made.refresh_from_db()
    assert (made.state, made.error) == ("failed", "the worker kept dying")
    assert made.file  # it can be tried again
    made = confirm_import(made=made, options=IntakeOptions(), look=True)
    assert made.state == "checking"


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"", "the file has no rows"),
        (b"\x89PNG\r\n\x1a\n", "this is a picture; expected JSON Lines, a JSON array, CSV or"),
        (gzip.compress(b'{"id": 1}\n' * 9000, mtime=0)[:25], "the gzip stream is broken here"),
        (b"PAR1" + b"\0" * 100 + b"PAR1", "expected a Parquet file"),
    ],
    ids=["empty", "picture", "gzip", "parquet"],
)
def test_a_file_that_is_none_is_refused_in_words(sea: Campaign, blob: bytes, said: str) -> None:
    made = work(request_import(campaign=sea, source=ContentFile(blob, name="x")))
    assert made.state == "refused"
    assert said in made.error


def test_what_cannot_be_asked_for_is_refused_at_once(sea: Campaign, settings: Any) -> None:
    with pytest.raises(InvalidInput, match="format: 'magic' is not known"):
        request_import(campaign=sea, source=file([]), options=IntakeOptions(format="magic"))
    with pytest.raises(InvalidInput, match="column colour: is no field of an item"):
        request_import(
            campaign=sea, source=file([]), options=IntakeOptions(columns={"colour": "x"})
        )
    with pytest.raises(InvalidInput, match="expected hf:OWNER/NAME"):
        request_import(campaign=sea, source="hf:../../etc")
    settings.MAX_UPLOAD_BYTES = 10
    with pytest.raises(InvalidInput, match="the limit for an upload is 10"):
        request_import(campaign=sea, source=file([item(1)]))
    assert (Import.objects.count(), kept_files()) == (0, 0)


def test_the_hub_is_not_asked_when_it_must_not_be(sea: Campaign) -> None:
    made = work(request_import(campaign=sea, source="hf:trl-lib/some-set"))
    assert made.state == "refused"
    assert "HF_HUB_OFFLINE is set" in made.error


# --- pages ----------------------------------------------------------------------------------


def test_the_pages_lead_from_a_file_to_its_items(sea: Campaign, as_ruth: Client) -> None:
    reply = as_ruth.post(f"{ADMIN}/into/{sea.pk}/", {"file": file(SAMPLES["arena"], "a.jsonl")})
    made = Import.objects.get()
    assert reply["Location"] == f"{ADMIN}/{made.pk}/"
    page = as_ruth.get(reply["Location"]).content.decode()
    assert "data-under-way" in page
    work(made)
    page = as_ruth.get(reply["Location"]).content.decode()
    for said in ("Chatbot Arena conversations", "4 rows: 4 new items", "Why is the sky blue?"):
        assert said in page
    assert "A better than B" in page
    assert "Neither is good enough" in page
    assert as_ruth.post(reply["Location"], {"store": "Import", "history": "on"}).status_code == 302
    work(made)
    page = as_ruth.get(reply["Location"]).content.decode()
    assert "4 rows read: 4 new items, 0 known already, 4 answers recorded" in page
    assert "a.jsonl" in as_ruth.get(f"{ADMIN}/into/{sea.pk}/").content.decode()
    assert "a.jsonl" in as_ruth.get(f"{ADMIN}/").content.decode()


def test_a_form_that_says_nothing_or_too_much_is_refused(sea: Campaign, as_ruth: Client) -> None:
    for sent in ({}, {"file": file([item(1)]), "dataset": "hf:a/b"}):
        page = as_ruth.post(f"{ADMIN}/into/{sea.pk}/", sent).content.decode()
        assert "Choose a file, or name a data set." in page
    page = as_ruth.post(f"{ADMIN}/into/{sea.pk}/", {"dataset": "a/b"}).content.decode()
    assert "expected hf:OWNER/NAME" in page
    made = work(request_import(campaign=sea, source=file(SAMPLES["table"])))
    page = as_ruth.post(f"{ADMIN}/{made.pk}/", {"columns": "prompt"}).content.decode()
    assert "expected FIELD=COLUMN" in page
    page = as_ruth.post(f"{ADMIN}/{made.pk}/", {"columns": "colour=x"}).content.decode()
    assert "is no field of an item" in page


def test_confirming_in_a_second_tab_says_what_happened_meanwhile(
    sea: Campaign, as_ruth: Client
) -> None:
    made = work(request_import(campaign=sea, source=file(SAMPLES["table"])))
    for _ in range(2):
        page = as_ruth.post(f"{ADMIN}/{made.pk}/", {"store": "Import"}, follow=True)
    assert "This import is being stored; it cannot be confirmed now" in page.content.decode()
    assert Job.objects.live().filter(kind="import").count() == 1


def test_cancelling_is_a_button_and_refuses_get(sea: Campaign, as_ruth: Client) -> None:
    made = request_import(campaign=sea, source=file(SAMPLES["table"]))
    as_ruth.get(f"{ADMIN}/{made.pk}/cancel/")
    made.refresh_from_db()
    assert made.state == "checking"
    page = as_ruth.post(f"{ADMIN}/{made.pk}/cancel/", follow=True).content.decode()
    assert "Cancelled: nothing was stored." in page
    page = as_ruth.post(f"{ADMIN}/{made.pk}/cancel/", follow=True).content.decode()
    assert "It had ended already." in page


def test_strangers_and_annotators_see_and_do_nothing(sea: Campaign, ada: User, sam: User) -> None:
    from django.contrib.auth.models import Permission

    made = work(request_import(campaign=sea, source=file(SAMPLES["table"])))
    sam.is_staff = True
    sam.save()
    sam.user_permissions.set(Permission.objects.filter(content_type__app_label="annotator"))
    for person, status in ((sam, 404), (ada, 302)):
        client = signed_in(User.objects.get(pk=person.pk))
        for where in (f"into/{sea.pk}/", f"{made.pk}/", f"{made.pk}/rejects/"):
            assert client.get(f"{ADMIN}/{where}").status_code == status
        for where in (f"into/{sea.pk}/", f"{made.pk}/", f"{made.pk}/cancel/"):
            assert client.post(f"{ADMIN}/{where}").status_code == status
    made.refresh_from_db()
    assert made.state == "checked"
    sam.user_permissions.clear()
    client = signed_in(User.objects.get(pk=sam.pk))
    assert client.get(f"{ADMIN}/{made.pk}/").status_code in (403, 404)
