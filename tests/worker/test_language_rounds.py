"""Rounds choose by the entropies of a language model that were imported, and say so."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from annotator import wording
from annotator.models import Campaign, Query, Round
from annotator.services import rounds
from annotator.services.campaigns import add_member, create_campaign
from learning.__main__ import main
from learning.acquisition import Recipe
from learning.errors import NotEnoughData
from tests.campaigns import lines, load
from tests.learning.judges.tiny import make_model
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from worker import arrays, payoffs, promptindex

pytestmark = pytest.mark.django_db


def told(number: int, entropy: float | None, model: str = "tiny:01", **more: Any) -> dict[str, Any]:
    figures = {"model": model, "entropy_per_token": entropy, "max_new_tokens": 8, **more}
    return rich(number) | {"meta": {"language_features": figures}}


def taught(campaign: Campaign, person: User) -> None:
    """Answer a round at random, so that the policy has something to go by."""
    work()
    prefer_longer(campaign, person)
    rounds.request_round_if_due(campaign=campaign)
    work()
    prefer_longer(campaign, person)


def chosen_by_apl(campaign: Campaign, **config: Any) -> Round:
    """Another round, by the function that looks at entropies."""
    config = {"oversample": 1000, **config}
    Campaign.objects.update(acquisition="apl_two_stage", acquisition_config=config)
    rounds.request_round(campaign=campaign, trigger="test")
    work()
    made = Round.objects.order_by("-number").first()
    assert made is not None
    assert made.state == Round.State.PUBLISHED, made.words
    assert made.report["policy"]["name"] == "apl_two_stage"
    return made


def number_of(external_id: str) -> int:
    return int(external_id.removeprefix("toy:"))


def asked(made: Round, arm: str = "policy") -> list[int]:
    """Which items a round asked about, by number."""
    queries = Query.objects.filter(round=made, arm=arm)
    return sorted(map(number_of, queries.values_list("item__external_id", flat=True)))


def free(campaign: Campaign) -> list[int]:
    """Items that a round may ask about, by number."""
    left = campaign.items.filter(prompt__is_holdout=False, prompt__queries=None)
    return sorted(map(number_of, left.values_list("external_id", flat=True)))


def test_a_round_asks_about_the_prompts_that_the_language_model_finds_most_open(
    running: Campaign, ada: User
) -> None:
    taught(running, ada)
    load(running, [told(number, (number * 7 % 60) / 10) for number in range(60)])
    before = free(running)
    made = chosen_by_apl(running)
    drawn = asked(made, "random")
    order = sorted(set(before) - set(drawn), key=lambda number: -(number * 7 % 60))
    assert len(asked(made)) >= 3
    assert asked(made) == sorted(order[: len(asked(made))])
    noted = made.report["policy"]["selection"]
    assert (noted["entropy"], noted["entropy_model"], noted["unknown"]) == (
        "language model",
        "tiny:01",
        0,
    )
    assert "The entropies of prompts are those of the language model tiny:01." in (
        wording.sentences(made.report)
    )


def test_prompts_of_unknown_entropy_are_counted(running: Campaign, ada: User) -> None:
    taught(running, ada)
    left = free(running)
    load(running, [told(number, 5.0 if number == left[0] else None) for number in left[:3]])
    made = chosen_by_apl(running, per_prompt=1)
    assert made.report["policy"]["selection"]["unknown"] > 3
    (said,) = [text for text in wording.sentences(made.report) if "language model" in text]
    assert "the mean of the others stood in" in said


def test_without_figures_the_head_stands_in_and_the_round_says_so(
    running: Campaign, ada: User
) -> None:
    taught(running, ada)
    made = chosen_by_apl(running)
    assert made.report["policy"]["selection"]["entropy"] == "head"
    (said,) = [text for text in wording.sentences(made.report) if "language model" in text]
    assert said.startswith("No language model's entropies of these prompts were imported")


def test_the_page_says_whose_entropies_they_were(
    running: Campaign, ada: User, ruth: User, as_ruth: Any
) -> None:
    add_member(campaign=running, user=ruth, role="researcher")
    taught(running, ada)
    load(running, [told(number, number / 10) for number in range(60)])
    chosen_by_apl(running)
    page = as_ruth.get(f"/c/{running.slug}/progress/").content.decode()
    assert "those of the language model tiny:01." in page


def test_prompts_are_not_embedded_for_their_entropies(
    running: Campaign, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    select = Recipe.select

    def spy(self: Recipe, pool: Any, belief: Any, context: Any, batch: int, **kw: Any) -> Any:
        seen.append(context.prompts)
        return select(self, pool, belief, context, batch, **kw)

    taught(running, ada)
    load(running, [told(number, 1.0) for number in range(30)])
    monkeypatch.setattr(Recipe, "select", spy)
    chosen_by_apl(running)
    assert seen[-1].vectors.shape == (len(seen[-1].ids), 0)
    assert 0 < np.isnan(seen[-1].entropy).sum() < len(seen[-1].ids)
    assert not arrays.path_of(f"campaign-{running.pk}-prompts").exists()


def test_whether_choosing_pays_is_tried_with_the_same_entropies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def payoff(world: Any, arm: Any, **kw: Any) -> Any:
        tried.append(world)
        raise NotEnoughData("too few")

    monkeypatch.setattr(payoffs, "payoff", payoff)
    campaign = create_campaign(slug="loop", name="Loop", acquisition="apl_two_stage", **FIELDS)
    load(campaign, [told(number, number / 10) for number in range(160)], history=True)
    work()
    (world,) = tried
    assert world.prompt_vectors.shape[1] == 0
    assert len(world.prompt_entropy) == len(np.unique(world.prompt))
    assert np.isfinite(world.prompt_entropy).all()


# --- which figures count -------------------------------------------------------------------


@pytest.fixture
def pool() -> Campaign:
    return create_campaign(slug="pool", name="Pool")


def known(campaign: Campaign, ids: list[int]) -> tuple[str, list[float | None]]:
    found = promptindex.entropies(campaign.pk, np.array(ids))
    assert found is not None
    return found.model, [None if np.isnan(value) else value for value in found.values]


def prompts_of(campaign: Campaign, *items: int) -> list[int]:
    pk = dict(campaign.items.values_list("external_id", "prompt"))
    return [pk[f"toy:{number}"] for number in items]


def test_of_two_models_the_one_counts_that_knows_more_prompts(pool: Campaign) -> None:
    load(pool, [told(1, 1.0), told(2, 2.0), told(3, 9.0, "large:02"), rich(4)])
    ids = prompts_of(pool, 3, 4, 2, 1)
    assert known(pool, ids) == ("tiny:01", [None, None, 2.0, 1.0])
    load(pool, [told(1, 8.0, "large:02")])
    assert known(pool, ids) == ("large:02", [9.0, None, None, 8.0])
    load(pool, [told(1, 1.0), told(1, 1.0) | {"id": "x"}])
    assert known(pool, ids) == ("tiny:01", [None, None, 2.0, 1.0])


def test_of_equals_the_newer_items_count_and_lengths_are_not_mixed(pool: Campaign) -> None:
    load(pool, [told(1, 1.0), told(1, 3.0, max_new_tokens=64) | {"id": "toy:2"}])
    assert known(pool, prompts_of(pool, 1)) == ("tiny:01", [3.0])


def test_of_several_figures_of_one_prompt_it_is_the_mean(pool: Campaign) -> None:
    load(pool, [told(1, 1.0), told(1, 2.0) | {"id": "toy:2"}, told(3, 0.0)])
    assert known(pool, prompts_of(pool, 1, 3)) == ("tiny:01", [1.5, 0.0])


def test_only_prompts_that_were_asked_for_count_and_foreign_words_say_nothing(
    pool: Campaign,
) -> None:
    load(pool, [told(1, 1.0), told(2, 1.0), told(3, 9.0, "large:02"), rich(4)])
    (fourth,) = pool.items.filter(external_id="toy:4")
    fourth.extra = {"meta": {"language_features": {"model": 3, "entropy_per_token": "high"}}}
    fourth.save()
    assert known(pool, prompts_of(pool, 3, 4)) == ("large:02", [9.0, None])
    assert promptindex.entropies(pool.pk, np.array(prompts_of(pool, 4))) is None


# --- from the model to the round -----------------------------------------------------------


def features_of(rows: list[dict[str, Any]], folder: Path) -> Path:
    """The file that the command writes of these items, with a tiny model."""
    (folder / "items.jsonl").write_bytes(lines(rows).getvalue())
    model, out = make_model(folder / "lm"), folder / "features.jsonl"
    words = ["language-features", str(model), str(folder / "items.jsonl"), "--out", str(out)]
    assert main([*words, "--samples", "3", "--max-new-tokens", "4", "--threads", "1"]) == 0
    return out


def test_what_the_command_writes_is_what_a_round_chooses_by(
    running: Campaign, ada: User, tmp_path: Path
) -> None:
    taught(running, ada)
    out = features_of([rich(number) for number in range(60)], tmp_path)
    said = StringIO()
    call_command("import_items", running.slug, str(out), stdout=said)
    assert "60 known already, 60 got language-model features" in said.getvalue()
    entropy = {
        number_of(row["id"]): row["meta"]["language_features"]["entropy_per_token"]
        for row in map(json.loads, out.read_text().splitlines())
    }
    before = free(running)
    made = chosen_by_apl(running)
    order = sorted(set(before) - set(asked(made, "random")), key=lambda n: -entropy[n])
    assert len(set(entropy.values())) > 50
    assert len(asked(made)) >= 3
    assert asked(made) == sorted(order[: len(asked(made))])
    assert made.report["policy"]["selection"]["entropy_model"].startswith("lm:")


def test_a_campaign_may_begin_with_what_the_command_writes(
    running: Campaign, as_ruth: Any, ruth: User, tmp_path: Path
) -> None:
    """Over REST, and again without a change."""
    add_member(campaign=running, user=ruth, role="researcher")
    out = features_of([rich(number) for number in range(50, 70)], tmp_path)
    where, kind = f"/api/campaigns/{running.slug}/items/", "application/x-ndjson"
    for items, unchanged, figures in ((10, 10, 20), (0, 20, 0)):
        answer = as_ruth.post(where, out.read_bytes(), content_type=kind)
        assert answer.status_code == 201, answer.content
        got = answer.json()
        assert (got["items"], got["unchanged"], got["language_features"]) == (
            items,
            unchanged,
            figures,
        )
    ids = list(running.prompts.order_by("pk").values_list("pk", flat=True))
    assert sum(value is not None for value in known(running, ids)[1]) == 20
