"""Marks of single responses on their way into a training: read, kept, learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from numpy.typing import NDArray

from annotator.models import Campaign, EncoderVersion, Prompt, Response
from annotator.services import finetuning as services
from annotator.services.annotations import record_annotation
from annotator.services.campaigns import create_campaign, start_campaign
from learning.encoders import load_encoder
from learning.text import joined
from tests.annotator.acts import lease
from tests.campaigns import ask, item, load, make_campaign
from tests.learning.finetune import tinymodels
from tests.worker.loops import work
from tests.worker.tunable import FIELDS, PLAN, asked, tunable
from worker import examples
from worker.embedding import Source
from worker.ratings import Ratings, ratings

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(240)]


def told(campaign: Campaign) -> dict[tuple[str, str], float]:
    """Mark by aspect and text."""
    ids = np.fromiter(Response.objects.values_list("pk", flat=True), np.int64)
    return named(ratings(campaign, ids))


def named(found: Ratings) -> dict[tuple[str, str], float]:
    texts = dict(Response.objects.values_list("pk", "text"))
    return {
        (aspect, texts[pk]): float(found.marks[row, column])
        for row, pk in enumerate(found.ids.tolist())
        for column, aspect in enumerate(found.aspects)
        if not np.isnan(found.marks[row, column])
    }


def came(number: int, ratings: Any, **annotation: Any) -> dict[str, Any]:
    """An item with recorded ratings of its two responses, `first N` and `second N`."""
    said = {"annotator": "w", "kind": "human", "choice": 0, "ratings": ratings, **annotation}
    responses = [{"text": f"first {number}"}, {"text": f"second {number}"}]
    return item(number, responses=responses, annotations=[said])


def test_marks_that_people_gave_here_are_read(ada: User, ben: User) -> None:
    campaign = make_campaign(
        prompts=1,
        people=(ada, ben),
        form="rate",
        form_options={"rate": {"aspects": ["overall", "clear"]}},
        overlap=2,
    )
    ask(campaign)
    for person, marks in ((ada, (4, 0)), (ben, (3, 1))):
        assignment = lease(campaign, person)
        texts = dict(Response.objects.values_list("pk", "text"))
        data: dict[str, str] = {}
        for letter, pk in zip("AB", assignment.display_order, strict=True):
            mark = marks[0] if texts[pk].startswith("Because") else marks[1]
            data |= {f"rate-{letter}-0": str(mark), f"rate-{letter}-1": str(4 - mark)}
        record_annotation(
            assignment_id=assignment.pk,
            user=person,
            submission_key=assignment.submission_key,
            data=data,
        )
    because, unknown = "Because of *scattering* (0).", "I do not know (0)."
    assert told(campaign) == {
        ("overall", because): 3.5,
        ("overall", unknown): 0.5,
        ("clear", because): 0.5,
        ("clear", unknown): 3.5,
    }


def test_marks_that_came_with_an_import_are_read(db: None) -> None:
    campaign = make_campaign(rows=[item(99)])
    rows = [
        came(0, {"clear": [3, None], "acceptable": [1, 0]}),
        came(1, {"clear": [2.5, 4], "true": [True, 10**30], "long": [1]}),
        came(2, {"clear": [1, 1]}, kind="llm"),
    ]
    load(campaign, rows, history=True)
    assert told(campaign) == {
        ("clear", "first 0"): 3.0,
        ("clear", "first 1"): 2.5,
        ("clear", "second 1"): 4.0,
    }


def test_marks_about_held_out_prompts_are_not_read(db: None) -> None:
    campaign = make_campaign(rows=[item(99)])
    load(campaign, [came(0, {"clear": [3, 1]}), came(1, {"clear": [2, 4]})], history=True)
    held = Response.objects.get(text="first 1").prompt_id
    assert Prompt.objects.filter(pk=held).update(is_holdout=True) == 1
    assert told(campaign) == {("clear", "first 0"): 3.0, ("clear", "second 0"): 1.0}


def test_of_many_aspects_those_that_were_rated_most_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.ratings.MOST", 1)
    campaign = make_campaign(rows=[item(99)])
    load(campaign, [came(0, {"rare": [3, None], "usual": [2, 4]})], history=True)
    assert {aspect for aspect, _ in told(campaign)} == {"usual"}


# --- learnt from ---------------------------------------------------------------------------


def rated(number: int) -> dict[str, Any]:
    """An x is always preferred; only the marks say which letter suits the prompt."""
    row = asked(number, 0)
    row["annotations"][0]["ratings"] = {"suits": [4, 0] if number % 2 == 0 else [0, 4]}
    return row


def suits(response: Response) -> bool:
    prompt, text = str(response.prompt.content), response.text
    return text.startswith("x" if prompt.startswith("A") else "y")


@pytest.fixture
def campaign(tmp_path: Path, settings: Any) -> Campaign:
    settings.VAR_DIR, settings.TORCH_THREADS, settings.FINETUNE_NICE = tmp_path / "var", 1, 0
    base = tinymodels.bert(tmp_path / "base", dropout=0.0)
    made = create_campaign(slug="loop", name="Loop", encoder=f"hf:{base}", **FIELDS)
    load(made, [rated(number) for number in range(280)], history=True)
    return start_campaign(campaign=made)


def trained(campaign: Campaign, **options: Any) -> EncoderVersion:
    made = services.request_finetuning(campaign=campaign, options={**PLAN, **options})
    assert made is not None
    work()
    made.refresh_from_db()
    return made


def explained(version: EncoderVersion) -> float:
    """Share of the variance of held-out responses' marks that a line through the features takes."""
    features, marks = {}, {}
    encoder = load_encoder(Source.tuned(version).name, threads=1)
    for held in (False, True):
        rows = Response.objects.filter(prompt__is_holdout=held).order_by("pk")
        texts = [joined(one.prompt.content, one.text) for one in rows.select_related("prompt")]
        features[held] = np.asarray(encoder.encode(texts), np.float64)
        marks[held] = np.array([4.0 * suits(one) for one in rows])
    return _fit(features[False], marks[False], features[True], marks[True])


def _fit(
    x: NDArray[np.float64], y: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]
) -> float:
    centre, mean = x.mean(axis=0), y.mean()
    x = x - centre
    weight = np.linalg.solve(x.T @ x + 1e-6 * len(x) * np.eye(x.shape[1]), x.T @ (y - mean))
    error = (u - centre) @ weight + mean - v
    return float(1 - np.square(error).mean() / v.var())


def test_a_training_learns_what_was_rated_beside_what_was_preferred(campaign: Campaign) -> None:
    with_marks, without = trained(campaign), trained(campaign, aspects=False)
    assert with_marks.record["aspects"] == ["suits"]
    assert without.record["aspects"] == []
    assert explained(with_marks) > 0.7
    assert explained(without) < 0.3


def test_marks_are_kept_for_the_next_attempt(campaign: Campaign) -> None:
    made = services.request_finetuning(campaign=campaign)
    assert made is not None
    assert examples.kept(made) is None
    gathered = examples.gather(made, progress=lambda done, total: None)
    kept = examples.kept(made)
    assert kept is not None
    assert kept.digest() == gathered.digest()
    assert kept.aspects is not None
    suited = [float(mark) for mark in kept.aspects[:, 0]]
    texts = zip(kept.prompts, kept.responses, strict=True)
    assert suited == [4.0 * text.startswith("x" if one[0] == "A" else "y") for one, text in texts]


def test_answers_without_marks_are_learnt_from_as_before(tmp_path: Path, settings: Any) -> None:
    settings.VAR_DIR = tmp_path / "var"
    campaign = tunable(tinymodels.bert(tmp_path / "base"), items=20, unanswered=0)
    made = services.request_finetuning(campaign=campaign)
    assert made is not None
    gathered = examples.gather(made, progress=lambda done, total: None)
    assert gathered.aspects is None
    assert examples.aspects(made) == []
    kept = examples.kept(made)
    assert kept is not None
    assert kept.digest() == gathered.digest()
