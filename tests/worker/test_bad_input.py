"""Input that no policy can use: a documented fallback or words, never a crash in mid-round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator import wording
from annotator.models import Campaign, Query, Round
from annotator.services import rounds
from annotator.services.campaigns import create_campaign, start_campaign
from tests.campaigns import item, join, load
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from worker import embedding

pytestmark = pytest.mark.django_db
POLICIES: dict[str, dict[str, Any]] = {"dopt": {"after": 16}, "balpm": {}, "random_unique": {}}
Vectors = Callable[[Sequence[str]], Any]


class Encoder:
    """An encoder that gives what the test wants."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors

    def encode(self, texts: Sequence[str]) -> Any:
        return self.vectors(texts)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Any:
    """Set what the encoder gives; features are kept for this test only."""
    settings.VAR_DIR = tmp_path

    def use(vectors: Vectors) -> None:
        monkeypatch.setattr(embedding, "load_encoder", lambda name, threads: Encoder(vectors))

    return use


def begin(rows: list[dict[str, Any]], ada: User, **fields: Any) -> Campaign:
    """Start a campaign on these rows."""
    campaign = create_campaign(slug="loop", name="Loop", **(FIELDS | fields))
    load(campaign, rows)
    join(campaign, ada)
    return start_campaign(campaign=campaign)


def by(name: str) -> dict[str, Any]:
    """Settings of one of the policies, which does not wait for many answers."""
    return {"acquisition": name, "acquisition_config": POLICIES[name]}


def rounds_of(campaign: Campaign, ada: User, n: int = 3) -> Round:
    """Answer everything, n rounds long; the last round."""
    for _ in range(n):
        work()
        prefer_longer(campaign, ada)
        rounds.request_round(campaign=campaign, trigger="test")
    work()
    last = Round.objects.order_by("-number").first()
    assert last is not None
    assert last.state == "published", last.error
    return last


@pytest.mark.parametrize("name", POLICIES)
def test_a_batch_larger_than_the_pool_takes_it_all(ada: User, name: str) -> None:
    campaign = begin([rich(n) for n in range(40)], ada, **by(name), batch_size=25)
    last = rounds_of(campaign, ada, n=1)
    assert last.report["chosen"].get("policy", 0) > 0
    assert last.report["pool_left"] == 0
    said = wording.sentences(last.report)
    assert "25 questions were wanted, the pool had 15 left." in said


def test_a_pool_with_nothing_to_compare_fails_in_words_that_say_what_to_do(
    ada: User, as_ruth: Any
) -> None:
    twins = item(0, responses=[{"text": "same", "model": "a"}, {"text": "same", "model": "b"}])
    campaign = begin([twins], ada, holdout_prompts=0)
    work()
    made = Round.objects.get()
    assert made.words == (
        "failed: there is nothing to ask: no prompt of the pool has two different responses; "
        "import more items"
    )
    assert "Retry this round" in as_ruth.get(f"/c/{campaign.slug}/progress/").content.decode()
    load(campaign, [rich(1), rich(2)])
    rounds.retry_round(made=made)
    work()
    assert Query.objects.count() == 2


@pytest.mark.parametrize("name", POLICIES)
def test_one_prompt_is_enough(ada: User, name: str) -> None:
    rows = [rich(n) | {"prompt": "The only question?"} for n in range(12)]
    campaign = begin(rows, ada, **by(name), candidates="prompt", holdout_prompts=0)
    last = rounds_of(campaign, ada)
    assert last.report["policy"]["fallback"] is None
    assert last.report["chosen"]["policy"] > 1
    if name != "random_unique":
        said = wording.sentences(last.report)
        assert any("there are too few for 1 each" in text for text in said)


@pytest.mark.parametrize("name", POLICIES)
def test_duplicate_responses_are_asked_about_without_harm(ada: User, name: str) -> None:
    """The same two texts under every prompt: all pairs are the same question to the features."""
    texts = [{"text": "a short one"}, {"text": "a rather longer one, said with more words"}]
    rows = [item(n, responses=texts) for n in range(60)]
    last = rounds_of(begin(rows, ada, **by(name)), ada)
    assert last.report["chosen"]["policy"] > 0


@pytest.mark.parametrize("name", POLICIES)
def test_features_without_any_variation_do_not_stop_the_loop(
    ada: User, encoder: Any, name: str
) -> None:
    encoder(lambda texts: np.ones((len(texts), 256)))
    rows = [item(n, responses=[{"text": f"{n:03}ab"}, {"text": f"{n:03}ba"}]) for n in range(60)]
    last = rounds_of(begin(rows, ada, **by(name)), ada)
    assert last.report["chosen"]["policy"] > 0
    assert last.report["curve"][-1]["accuracy"]["value"] == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6], ids=["NaN", "infinite", "beyond half"])
def test_an_encoder_that_gives_no_numbers_is_named_with_how_many_texts(
    ada: User, encoder: Any, as_ruth: Any, bad: float
) -> None:
    def broken(texts: Sequence[str]) -> Any:
        vectors = np.random.default_rng(0).standard_normal((len(texts), 256))
        vectors[[text.startswith("short 1") for text in texts], 3] = bad
        return vectors

    encoder(broken)
    campaign = begin([rich(n) for n in range(60)], ada)  # short 1, short 10 to short 19
    work()
    made = Round.objects.get()
    assert "'hashed' gives no usable numbers" in made.words
    assert "for 11 of 120 texts, the first of response" in made.words
    assert not Query.objects.exists()
    assert "Retry this round" in as_ruth.get(f"/c/{campaign.slug}/progress/").content.decode()
    encoder(lambda texts: np.random.default_rng(1).standard_normal((len(texts), 256)))
    rounds.retry_round(made=made)
    work()
    made.refresh_from_db()
    assert made.state == "published"


def test_a_head_that_has_seen_too_little_leaves_the_choice_to_chance_and_says_so(
    ada: User,
) -> None:
    campaign = begin([rich(n) for n in range(60)], ada, fall_back=False)
    work()
    report = Round.objects.get().report
    assert report["policy"]["asked_for"] == campaign.acquisition == "dopt"
    assert report["policy"]["name"] == "random_unique"
    assert report["chosen"] == {"policy": 6, "random": 3, "holdout": 3}
    assert "the head has seen 0; until then" in wording.sentences(report)[0]


@pytest.mark.parametrize("name", POLICIES)
def test_junk_of_many_times_the_norm_is_screened_and_said(
    ada: User, encoder: Any, name: str
) -> None:
    def some_junk(texts: Sequence[str]) -> Any:
        seeds = [int.from_bytes(text.encode()[-8:], "big") for text in texts]
        vectors = np.stack([np.random.default_rng(seed).standard_normal(256) for seed in seeds])
        vectors[[text.endswith("junk") for text in texts]] *= 40
        return vectors

    encoder(some_junk)
    rows = [rich(n) for n in range(57)]
    rows += [item(n, responses=[{"text": f"{n} junk"}, {"text": f"{n} ok"}]) for n in range(90, 93)]
    last = rounds_of(begin(rows, ada, **by(name), holdout_prompts=0), ada, n=2)
    if name == "random_unique":
        return  # it looks at no features
    assert last.report["policy"]["selection"]["screened"] >= 1
    asked = Query.objects.filter(round=last, arm="policy", item__external_id__regex=r"toy:9\d")
    assert not asked.exists()
    assert any("implausibly large" in text for text in wording.sentences(last.report))
