"""Importing native files: what is wrong is named, nothing is half stored, twice is once."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest

from annotator.errors import ImportRejected, InvalidInput
from annotator.models import Annotation, Campaign, Item, Job, Prompt, Query, Response
from annotator.services.campaigns import create_campaign
from annotator.services.imports import import_items
from tests.campaigns import item, lines, load

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft() -> Campaign:
    return create_campaign(slug="pool", name="Pool")


def stored() -> tuple[int, int, int]:
    return Item.objects.count(), Prompt.objects.count(), Response.objects.count()


def test_rows_become_items_prompts_and_responses(draft: Campaign) -> None:
    report = load(draft, [item(1), item(2)])
    assert (report.items, report.prompts, report.responses) == stored() == (2, 2, 4)
    assert Job.objects.get().kind == "embed"


def test_a_prompt_shared_by_items_is_stored_once(draft: Campaign) -> None:
    shared = {"prompt": "the same"}
    load(draft, [item(1, **shared), item(2, **shared)])
    assert stored() == (2, 1, 4)


def test_importing_twice_changes_nothing(draft: Campaign) -> None:
    load(draft, [item(1), item(2)])
    again = load(draft, [item(1), item(2)])
    assert (again.items, again.unchanged) == (0, 2)
    assert stored() == (2, 2, 4)


def test_chat_turns_gzip_and_a_byte_order_mark_are_read(draft: Campaign) -> None:
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    blob = b"\xef\xbb\xbf" + lines([item(1, prompt=chat)]).getvalue() + b"\n\n"
    import_items(campaign=draft, stream=io.BytesIO(gzip.compress(blob, mtime=0)))
    assert Prompt.objects.get().content == chat


def without(name: str) -> dict[str, Any]:
    row = item(1)
    del row[name]
    return row


LONG = "x" * 10_000_000


@pytest.mark.parametrize(
    ("row", "field", "expectation"),
    [
        (without("id"), "id", "is missing"),
        (item(1, id=""), "id", "expected some text"),
        (item(1, id=7), "id", "expected text, got a number"),
        (without("prompt"), "prompt", "is missing"),
        (item(1, prompt="  "), "prompt", "expected some text"),
        (item(1, prompt=[]), "prompt", "at least one chat turn"),
        (item(1, prompt=[{"role": "robot", "content": "x"}]), "prompt[0].role", "expected one of"),
        (item(1, prompt=[{"role": "user"}]), "prompt[0].content", "expected text, got null"),
        (item(1, prompt=LONG), "prompt", "10,000,000 characters; the limit is 1,000,000"),
        (without("responses"), "responses", "is missing"),
        (item(1, responses=[{"text": "one"}]), "responses", "expected 2 to 10 responses"),
        (item(1, responses="two"), "responses", "expected a list"),
        (item(1, responses=[{"text": "a"}, {}]), "responses[1].text", "is missing"),
        (item(1, responses=[{"text": "a"}, {"text": None}]), "responses[1].text", "got null"),
        (item(1, responses=[{"text": "a"}, {"text": LONG}]), "responses[1].text", "the limit"),
        (item(1, task="guess"), "task", "expected one of pairwise"),
        (item(1, task=[]), "task", "expected one of pairwise"),
        (
            item(1, responses=[{"text": "a"}, {"text": "b", "model": "m" * 201}]),
            "responses[1].model",
            "the limit is 200",
        ),
        (item(1, annotations=[{"strength": 10**400}]), "annotations[0].strength", "a number"),
        (item(1, task="edit", responses=[{"text": "a"}]), "responses", "expected 2 to 10"),
        (item(1, split="dev"), "split", "'train' or 'test'"),
        (item(1, annotations=[{"choice": 2}]), "annotations[0].choice", "0 to 1, 'tie' or null"),
        (item(1, annotations=[{"ranking": [1]}]), "annotations[0].ranking", "a list of 2 ranks"),
        (item(1, annotations=[{"kind": "dog"}]), "annotations[0].kind", "'human' or 'llm'"),
        (item(1, annotations={}), "annotations", "expected a list of objects"),
        (item(1, prompt="a\0b"), "(row)", "NUL"),
        (item(1, meta={"a\0": 1}), "(row)", "NUL"),
        (item(1, meta=[1]), "meta", "expected an object"),
        (
            item(1, annotations=[{"annotator": "n" * 201}]),
            "annotations[0].annotator",
            "at most 200",
        ),
        (item(1, prompt="a\ud800b"), "(row)", "surrogate"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_stored(
    draft: Campaign, row: dict[str, Any], field: str, expectation: str
) -> None:
    with pytest.raises(ImportRejected) as caught:
        load(draft, [item(0), row])
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (2, field)
    assert expectation in problem.message
    assert stored() == (0, 0, 0)
    assert not Job.objects.exists()


def test_invalid_json_is_named_by_line(draft: Campaign) -> None:
    stream = io.BytesIO(lines([item(0)]).getvalue() + b'{"id": \n')
    with pytest.raises(ImportRejected, match=r"line 2, field '\(row\)': expected a JSON object"):
        import_items(campaign=draft, stream=stream)


@pytest.mark.parametrize("number", ["1e400", "NaN", "-Infinity"])
def test_numbers_that_are_none_are_named(draft: Campaign, number: str) -> None:
    raw = json.dumps(item(0, meta={"x": 0})).replace('"x": 0', f'"x": {number}')
    with pytest.raises(ImportRejected, match="line 1"):
        import_items(campaign=draft, stream=io.BytesIO(raw.encode()))


@pytest.mark.parametrize("depth", [200, 100_000])
def test_nesting_without_end_is_named(draft: Campaign, depth: int) -> None:
    raw = json.dumps(item(0, meta={"x": 0})).replace('"x": 0', f'"x": {"[" * depth}{"]" * depth}')
    with pytest.raises(ImportRejected, match="line 1"):
        import_items(campaign=draft, stream=io.BytesIO(raw.encode()))


def test_the_words_that_name_the_nul_character_are_text_like_any_other(draft: Campaign) -> None:
    load(draft, [item(1, prompt=r"What does \u0000 mean in C? And \\u0000?")])
    assert r"\u0000" in Prompt.objects.get().content


def test_an_item_may_repeat_a_response(draft: Campaign) -> None:
    twins = [{"text": "same"}, {"text": "same"}]
    said = [{"annotator": "w", "kind": "human", "choice": 0}]
    assert load(draft, [item(1, responses=twins, annotations=said)], history=True).annotations == 1


def test_an_import_that_waited_for_the_start_joins_the_holdout(draft: Campaign) -> None:
    from annotator.services.campaigns import start_campaign

    load(draft, [item(number) for number in range(30)])
    stale = Campaign.objects.get(pk=draft.pk)
    start_campaign(campaign=draft)
    load(stale, [item(number) for number in range(30, 90)])
    assert (
        Prompt.objects.filter(is_holdout=True).count() == Prompt.objects.filter(lot__lt=0.2).count()
    )


def test_rejected_rows_are_written_whole(draft: Campaign) -> None:
    load(draft, [item(1)])
    rejects = io.StringIO()
    load(draft, [item(1, prompt="changed")], keep_good=True, rejects=rejects)
    assert json.loads(json.loads(rejects.getvalue())["row"])["prompt"] == "changed"


def test_every_bad_row_is_named_not_only_the_first(draft: Campaign) -> None:
    with pytest.raises(ImportRejected) as caught:
        load(draft, [item(0, id=""), item(1), item(2, prompt="")])
    assert [problem.line for problem in caught.value.problems] == [1, 3]


def test_an_id_with_other_content_is_refused(draft: Campaign) -> None:
    load(draft, [item(1)])
    with pytest.raises(ImportRejected, match="imported before with different content"):
        load(draft, [item(2), item(1, prompt="something else")])
    assert stored() == (1, 1, 2)


def test_duplicate_ids_inside_a_file(draft: Campaign) -> None:
    report = load(draft, [item(1), item(1)])
    assert (report.items, report.unchanged) == (1, 1)
    with pytest.raises(ImportRejected, match="different content"):
        load(draft, [item(3), item(3, prompt="other")])
    assert stored() == (1, 1, 2)


def test_keep_good_stores_the_good_and_writes_the_rejects(draft: Campaign) -> None:
    rejects = io.StringIO()
    report = load(draft, [item(1), item(2, prompt=""), item(3)], keep_good=True, rejects=rejects)
    assert (report.items, report.rejected) == (2, 1)
    said = json.loads(rejects.getvalue())
    assert said["line"] == 2
    assert json.loads(said["row"])["id"] == "toy:2"
    assert "field 'prompt'" in said["problems"][0]


@pytest.mark.parametrize(
    ("blob", "expectation"),
    [
        (b"", "no rows"),
        (b"PK\x03\x04zip", "a ZIP archive"),
        (b"%PDF-1.7", "a PDF"),
        (b"\xff\xfe{\x00", "this is text in UTF-16"),
        (b'{"id": "\xff"}', "line 1: expected UTF-8 text, got byte 0xff at position 8"),
        (b"PAREgarbage", "an encrypted Parquet file"),
        (b"PAR1 and garbage", "row 1: expected a Parquet file"),
        (b'[{"id": 1}, {"id', "row 2: expected a JSON array of objects"),
        (b'a,b\n1,"2', "line 2: expected CSV"),
        (b"a,a\n1,2", "the column 'a' is there twice"),
        (gzip.compress(b'{"id": 1}' * 1000, mtime=0)[:40], "the gzip stream is broken here"),
        (b"\x1f\x8bnot really", "the gzip stream is broken here"),
    ],
)
def test_a_wrong_file_is_refused_as_a_whole(draft: Campaign, blob: bytes, expectation: str) -> None:
    with pytest.raises(InvalidInput, match=expectation):
        import_items(campaign=draft, stream=io.BytesIO(blob))
    assert stored() == (0, 0, 0)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    draft: Campaign, settings: Any
) -> None:
    settings.MAX_FIELD_CHARS = 100
    with pytest.raises(InvalidInput, match="line 1: longer than 4,000 bytes"):
        import_items(campaign=draft, stream=io.BytesIO(b"{" * 10_000))


def test_an_element_without_end_is_refused_before_it_fills_the_memory(
    draft: Campaign, settings: Any
) -> None:
    settings.MAX_FIELD_CHARS = 100
    blob = b'[{"id": "' + b"x" * 1_000_000
    with pytest.raises(InvalidInput, match="row 1: longer than 4,000 bytes"):
        import_items(campaign=draft, stream=io.BytesIO(blob))


ANSWERS = [
    {"annotator": "w1", "kind": "human", "choice": 0, "strength": 2, "time_s": 3.5},
    {"annotator": None, "kind": "human", "choice": 1},
    {"annotator": None, "kind": "human", "choice": 1},
    {"annotator": "gpt", "kind": "llm", "choice": "tie", "rationale": "level"},
]


def test_annotations_become_history_once(draft: Campaign) -> None:
    row = item(1, annotations=ANSWERS)
    assert load(draft, [row], history=True, strength_max=2).annotations == 4
    assert load(draft, [row], history=True, strength_max=2).annotations == 0
    first, second, third, judge = Annotation.objects.order_by("pk")
    a, b = (place.response_id for place in Item.objects.get().places.all())
    assert (first.tiers, first.strength, first.active_ms) == ([[a], [b]], 3, 3500)
    assert second.tiers == third.tiers == [[b], [a]]
    assert (judge.outcome, judge.annotator.kind, judge.rationale) == ("tie", "llm", "level")
    assert Query.objects.get().arm == "imported"
    assert Annotation.objects.standing().count() == 4


def test_strength_is_learnt_only_when_its_scale_is_known(draft: Campaign) -> None:
    load(draft, [item(1, annotations=ANSWERS)], history=True)
    assert Annotation.objects.order_by("pk")[0].strength is None


def test_a_ranking_becomes_tiers(draft: Campaign) -> None:
    row = item(
        1,
        task="listwise",
        responses=[{"text": text} for text in "abc"],
        annotations=[{"annotator": "w", "kind": "human", "choice": None, "ranking": [2, 1, 2]}],
    )
    load(draft, [row], history=True)
    a, b, c = (place.response_id for place in Item.objects.get().places.all())
    assert Annotation.objects.get().tiers == [[b], [a, c]]


def test_items_imported_after_the_start_join_the_holdout_by_lot(draft: Campaign) -> None:
    from annotator.services.campaigns import start_campaign

    rows = [item(number) for number in range(60)]
    load(draft, rows[:30])
    start_campaign(campaign=draft)
    draft.refresh_from_db()
    load(draft, rows[30:])
    held = set(Prompt.objects.filter(is_holdout=True).values_list("digest", flat=True))
    assert held == set(Prompt.objects.filter(lot__lt=0.2).values_list("digest", flat=True))
    assert 3 <= len(held) <= 24


TEXTS = ["\\N", "\\.", "a\tb\r\nc\\n", "%s {} $1", "'; --", "\x7f\u2028🙂"]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts_are_stored_as_they_are(draft: Campaign, text: str) -> None:
    said = {"text": text, "model": text, "note": text}
    row = item(1, prompt=f"x{text}", responses=[said, {"text": ""}], context=text, meta={"m": text})
    load(draft, [row])
    stored = Item.objects.get()
    assert stored.prompt.content == f"x{text}"
    assert stored.prompt.context == text
    assert stored.extra == {"split": "train", "meta": {"m": text}}
    first, second = (place.response for place in stored.places.all())
    assert (first.text, first.model, first.extra) == (text, text, {"note": text})
    assert (second.text, second.parent) == ("", None)


def test_ids_go_on_where_an_import_ended(draft: Campaign) -> None:
    load(draft, [item(1)])
    made = Response.objects.create(prompt=Prompt.objects.get(), digest="x", text="later")
    assert made.pk > max(Response.objects.exclude(pk=made.pk).values_list("pk", flat=True))
