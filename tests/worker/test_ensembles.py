"""An ensemble of adapters in the loop: trained with a version, chosen with, told of later answers.

One model of a few thousand weights is trained to promotion, and the tests look at that campaign
from all sides.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator import wording
from annotator.models import Annotation, Campaign, EncoderVersion, Job, Query, Round
from annotator.services import finetuning as services
from annotator.services import rounds
from annotator.services.finetuning import Outcome
from annotator.services.snapshots import local_path
from learning.acquisition.wrappers import screen
from learning.data import Ensemble, Pool, Posterior
from learning.errors import LearningError
from learning.finetune import Diverged, OutOfMemory, Tuned
from learning.finetune.lora_ensemble import LoraEnsemble, read_record
from tests.annotator.acts import answer, lease
from tests.campaigns import join, load
from tests.worker.loops import work
from tests.worker.tunable import PLAN, asked, tunable
from worker import (
    choosing,
    embedding,
    encoderfiles,
    ensembles,
    finetuning,
    fitting,
    jobs,
    members,
    shipping,
    space,
    store,
    trained,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("place"),
]
MEMBERS = {"members": 4, "lora_rank": 4, "lora_alpha": 8.0}


def begin(campaign: Campaign, **named: Any) -> EncoderVersion:
    """A training of adapters, the model's own included, that waits for a worker."""
    options = {**PLAN, **MEMBERS, **named}
    made = services.request_finetuning(campaign=campaign, method="lora", options=options)
    assert made is not None
    return made


@pytest.fixture
def campaign(base: Path, ada: User) -> Campaign:
    made = tunable(base, acquisition="bald", fall_back=False)
    join(made, ada)
    work()
    return made


def ended(version: EncoderVersion) -> EncoderVersion:
    """After the workers had their turn."""
    work()
    version.refresh_from_db()
    version.campaign.refresh_from_db()
    return version


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first test has trained: the others begin with copies."""
    return tmp_path_factory.mktemp("done")


def once(train: Any, done: Path, out: Callable[[dict[str, Any]], Path]) -> Any:
    """The same training, done once: its folder and what it returned."""
    kept: dict[str, Any] = {}

    def trained(*args: Any, **named: Any) -> Any:
        where = out(named)
        if not kept:
            kept["made"] = train(*args, **named)
            shutil.copytree(where, done / train.__name__)
        elif not where.exists():
            shutil.copytree(done / train.__name__, where)
        made = kept["made"]
        return replace(made, folder=where) if isinstance(made, Tuned) else made

    return trained


@pytest.fixture(scope="module")
def trainers(done: Path) -> dict[str, Any]:
    return {
        "finetune": once(finetuning.finetune, done, lambda named: named["folder"] / "model"),
        "train_ensemble": once(ensembles.train_ensemble, done, lambda named: named["out"]),
    }


@pytest.fixture
def version(campaign: Campaign, trainers: dict[str, Any], monkeypatch: Any) -> EncoderVersion:
    monkeypatch.setattr(finetuning, "finetune", trainers["finetune"])
    monkeypatch.setattr(ensembles, "train_ensemble", trainers["train_ensemble"])
    made = ended(begin(campaign))
    assert made.state == "promoted", (made.error, made.reason)
    return made


def nobody(done: int, total: int) -> None:
    """Progress is told to nobody."""


def again(campaign: Campaign) -> Round:
    """Another round with room for a batch; returns it."""
    Query.objects.filter(campaign=campaign, annotations=None, round__isnull=False).delete()
    rounds.request_round(campaign=campaign, trigger="test")
    work()
    newest = campaign.rounds.first()
    assert newest is not None
    assert newest.state == "published", newest.error
    return newest


def seen(campaign: Campaign, function: str = "bald") -> members.View:
    """What a function would be shown now."""
    campaign = Campaign.objects.get(pk=campaign.pk)
    found = space.load(campaign, progress=nobody)
    labels = store.labels(campaign, found.index)
    belief = fitting.fit(campaign, found, labels, "all").belief
    return members.view(campaign, found, labels, belief, function, progress=nobody)


def test_the_next_round_chooses_with_the_adapters_and_says_so(
    campaign: Campaign, version: EncoderVersion, monkeypatch: Any
) -> None:
    about = version.record["ensemble"]
    assert (about["members"], about["labels"]) == (4, version.comparisons)
    beliefs: list[Any] = []
    compose = choosing.compose

    def spy(campaign: Any, policy: Any, space: Any, sides: Any, belief: Any, *a: Any, **k: Any):
        beliefs.append(belief)
        return compose(campaign, policy, space, sides, belief, *a, **k)

    def never(source: Any) -> Any:
        raise AssertionError("a pass through the encoder")

    monkeypatch.setattr(choosing, "compose", spy)
    monkeypatch.setattr(embedding.Source, "open", never)
    made = again(campaign)
    assert isinstance(beliefs[-1], Ensemble)
    assert made.report["policy"]["ensemble"] == {
        "version": 1, "members": 4, "labels": version.comparisons, "since": 0, "left": 1.0,
    }  # fmt: skip
    assert made.report["head"] == "linear_bt"  # head and metrics stay
    chosen = Query.objects.filter(round=made, arm="policy")
    assert chosen
    assert {one.acquisition for one in chosen} == {"bald"}
    (said,) = [text for text in wording.sentences(made.report) if "adapters" in text]
    assert said.startswith("The choice used 4 adapters of encoder version 1, trained on ")


def test_its_belief_is_that_of_the_adapters_that_were_kept(
    campaign: Campaign, version: EncoderVersion
) -> None:
    """Against the files: rewards computed anew, scale and answers read from the record."""
    view = seen(campaign)
    assert isinstance(view.belief, Ensemble)
    kept = embedding.Source.ensemble(version).open()
    index = view.space.index
    rewards = kept.encode(index.texts(np.arange(len(index.ids)))).astype(np.float64)
    scale = read_record(encoderfiles.members(version)).scale
    pairs = view.space.candidates.pairs
    margin = scale * (rewards[pairs[:, 0]] - rewards[pairs[:, 1]])
    mu, s2 = view.belief.margin(view.space.phi, pairs)
    np.testing.assert_allclose(mu, margin.mean(axis=1), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(s2, margin.var(axis=1, ddof=1), rtol=1e-4, atol=1e-3)


def test_the_screen_looks_at_texts_not_at_what_adapters_make_of_them(
    campaign: Campaign, version: EncoderVersion
) -> None:
    """It would leave out the very pairs about which they differ most."""
    plain, view = seen(campaign, "dopt").space, seen(campaign).space
    screened = [
        screen(Pool.of(one.phi, one.candidates.pairs), 3.0)[0].eligible for one in (plain, view)
    ]
    np.testing.assert_array_equal(*screened)


def test_answers_since_the_training_are_taken_in_each_once(
    campaign: Campaign, version: EncoderVersion, ada: User
) -> None:
    before = seen(campaign)
    load(campaign, [asked(n) for n in range(900, 940)], history=True)
    same = [{**asked(3)["annotations"][0], "annotator": "another"}]  # one more of the same
    load(campaign, [{**asked(3), "annotations": same}], history=True)
    after = seen(campaign)
    held = campaign.prompts.filter(is_holdout=True).values_list("content", flat=True)
    fresh = [n for n in [*range(900, 940), 3] if asked(n)["prompt"] not in held]
    assert after.told["since"] == len(fresh)
    assert after.told["left"] < before.told["left"] == 1.0
    assert after.belief.n_comparisons == before.belief.n_comparisons + len(fresh)


def test_an_answer_that_was_taken_back_and_given_anew_is_new(
    campaign: Campaign, version: EncoderVersion
) -> None:
    view = seen(campaign)
    labels = store.labels(campaign, view.space.index)
    said = trained.read(version)
    assert not members.new(labels, view.space, said).any()
    assert len(said) == version.comparisons
    turned = said.copy()
    turned[0, 2] *= -1  # as if it had said the opposite then
    assert members.new(labels, view.space, turned).sum() == 1
    assert members.new(labels, view.space, said[1:]).sum() == 1
    usable = int((~labels.holdout & ~labels.line).sum())
    assert members.new(labels, view.space, said[:0]).sum() == usable


def test_other_functions_and_other_encoders_see_the_head(
    campaign: Campaign, version: EncoderVersion
) -> None:
    for function in ("dopt", "random", "entropy"):
        view = seen(campaign, function)
        assert isinstance(view.belief, Posterior)
        assert view.told == {}
    for function in members.USING:
        assert isinstance(seen(campaign, function).belief, Ensemble)
    services.roll_back(version=version)
    assert isinstance(seen(campaign).belief, Posterior)
    made = again(campaign)
    assert "ensemble" not in made.report["policy"]
    services.use(version=version)
    assert isinstance(seen(campaign).belief, Ensemble)


def test_rewards_of_new_responses_are_computed_and_of_old_ones_not(
    campaign: Campaign, version: EncoderVersion, monkeypatch: Any
) -> None:
    texts: list[str] = []
    source = embedding.Source.ensemble(version)
    real = source.open()

    class Counting:
        def encode(self, given: list[str]) -> Any:
            texts.extend(given)
            return real.encode(given)

    load(campaign, [{**asked(950), "annotations": []}])
    opened = embedding.Source.open
    monkeypatch.setattr(
        embedding.Source, "open", lambda self: Counting() if self.members else opened(self)
    )
    assert isinstance(seen(campaign).belief, Ensemble)
    assert len(texts) == 2
    assert isinstance(seen(campaign).belief, Ensemble)
    assert len(texts) == 2


@pytest.mark.parametrize("name", ["adapters.safetensors", "adapters.json"])
def test_adapters_that_were_changed_leave_the_choice_to_the_head_and_the_page_says_why(
    campaign: Campaign, version: EncoderVersion, name: str
) -> None:
    path = encoderfiles.members(version) / name
    path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
    assert isinstance(seen(campaign).belief, Ensemble)  # what is embedded already is used
    load(campaign, [{**asked(951), "annotations": []}])
    made = again(campaign)
    told = made.report["policy"]["ensemble"]
    assert "not what was trained (checksum)" in told["unused"]
    (said,) = [text for text in wording.sentences(made.report) if "adapters" in text]
    assert "were not used" in said
    assert Query.objects.filter(round=made, arm="policy", acquisition="bald").exists()


def test_without_what_they_were_trained_on_nothing_is_taken_in_twice(
    campaign: Campaign, version: EncoderVersion
) -> None:
    (encoderfiles.members(version) / trained.TRAINED).write_bytes(b"PK")
    view = seen(campaign)
    assert isinstance(view.belief, Posterior)
    assert "is gone or was changed" in view.told["unused"]


def test_adapters_that_have_nothing_more_to_say_are_left(
    campaign: Campaign, version: EncoderVersion, monkeypatch: Any
) -> None:
    load(campaign, [asked(n) for n in range(900, 906)], history=True)
    assert isinstance(seen(campaign).belief, Ensemble)
    monkeypatch.setattr(members, "LEAST_LEFT", 1.0)
    view = seen(campaign)
    assert isinstance(view.belief, Posterior)
    assert "have settled what they disagreed about" in view.told["unused"]


def test_the_archive_has_the_adapters_and_no_labels(
    version: EncoderVersion, base: Path, tmp_path: Path
) -> None:
    from learning.encoders.huggingface import fingerprint
    from learning.finetune.model import load as load_model

    path = local_path(f"{version.archive['folder']}/{version.archive['name']}")
    assert path is not None
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    folder = tmp_path / "out" / "loop-encoder-1" / "members"
    assert {one.name for one in folder.iterdir()} == {"adapters.json", "adapters.safetensors"}
    model = load_model(base, max_tokens=read_record(folder).max_tokens)
    assert LoraEnsemble.load(folder, model, base=fingerprint(base)).shape.members == 4


def test_adapters_that_were_changed_stay_out_of_the_archive(version: EncoderVersion) -> None:
    (encoderfiles.members(version) / "adapters.json").write_text("{}")
    outcome = shipping.ship(version, Outcome(True, "better", {}, None))
    path = local_path(f"{outcome.archive['folder']}/{outcome.archive['name']}")
    assert path is not None
    with tarfile.open(path) as archive:
        names = archive.getnames()
    assert "loop-encoder-1/model.safetensors" in names
    assert not [name for name in names if "members" in name]


def test_no_member_learns_from_a_held_out_prompt(campaign: Campaign, monkeypatch: Any) -> None:
    given: list[Any] = []

    def look(base: Path, examples: Any, plan: Any, **named: Any) -> Any:
        given.append(examples)
        raise Diverged(3)

    monkeypatch.setattr(ensembles, "train_ensemble", look)
    ended(begin(campaign))
    held = set(campaign.prompts.filter(is_holdout=True).values_list("content", flat=True))
    (examples,) = given
    assert held
    assert not held & set(examples.prompts)


def test_an_ensemble_that_comes_to_nothing_costs_neither_version_nor_rounds(
    campaign: Campaign, monkeypatch: Any
) -> None:
    def fail(*args: Any, **named: Any) -> Any:
        raise Diverged(3)

    monkeypatch.setattr(ensembles, "train_ensemble", fail)
    version = ended(begin(campaign))
    assert version.state == "promoted"
    assert "not a number at step 3" in version.record["ensemble"]["error"]
    made = again(campaign)
    assert "not a number at step 3" in made.report["policy"]["ensemble"]["unused"]


def test_rewards_that_are_no_numbers_are_not_used(campaign: Campaign, monkeypatch: Any) -> None:
    opened = embedding.Source.open

    class Broken:
        def encode(self, given: list[str]) -> Any:
            return np.full((len(given), 4), np.nan, np.float32)

    monkeypatch.setattr(
        embedding.Source, "open", lambda self: Broken() if self.members else opened(self)
    )
    version = ended(begin(campaign))
    assert version.state == "promoted"
    assert "gives no usable numbers" in version.record["ensemble"]["error"]


def test_an_ensemble_that_cannot_fit_is_refused_before_anything_is_trained(
    campaign: Campaign, monkeypatch: Any
) -> None:
    def full(needed: Any, members: int) -> None:
        raise OutOfMemory(f"The ensemble of {members} adapters does not fit.")

    monkeypatch.setattr("worker.room.ensembles.refuse_too_large", full)
    version = ended(begin(campaign))
    assert (version.state, version.record) == ("failed", {})
    assert "4 adapters does not fit" in version.error


def test_a_version_that_is_not_promoted_gets_no_ensemble(base: Path) -> None:
    version = ended(begin(tunable(base, items=60, holdout_prompts=0.2), epochs=1))
    assert version.state == "not_promoted"
    assert "ensemble" not in version.record


def test_an_attempt_after_a_kill_goes_on_with_the_ensemble_alone(
    campaign: Campaign, monkeypatch: Any
) -> None:
    """Killed in its fifth step: neither the model nor the first steps are trained again."""
    version = begin(campaign)
    plan = {**version.plan, "checkpoint_seconds": 0.0}
    EncoderVersion.objects.filter(pk=version.pk).update(plan=plan)
    tell, said = jobs.RunningJob.progress, []

    def die(job: jobs.RunningJob, done: int, total: int, message: str = "") -> None:
        tell(job, done, total, message)
        if "ensemble" in message and done >= 5:
            raise KeyError("the machine")

    def note(job: jobs.RunningJob, done: int, total: int, message: str = "") -> None:
        tell(job, done, total, message)
        said.append((done, total, message))

    def never(*args: Any, **named: Any) -> Any:
        raise AssertionError("it is trained already")

    monkeypatch.setattr(finetuning, "TELL_SECONDS", 0.0)
    monkeypatch.setattr("learning.finetune.train_state.Teller.tell", _at_once)
    with monkeypatch.context() as broken:
        broken.setattr(jobs.RunningJob, "progress", die)
        ended(version)
    assert version.state == "training"
    assert version.detail.startswith("ensemble, loss")
    monkeypatch.setattr(finetuning, "finetune", never)
    monkeypatch.setattr(jobs.RunningJob, "progress", note)
    Job.objects.filter(kind="finetune").update(lease_until=None)
    ended(version)
    assert version.state == "promoted", version.error
    steps = [done for done, total, message in said if "ensemble" in message and total]
    assert steps[0] == 5
    assert version.record["ensemble"]["members"] == 4
    assert not encoderfiles.work(version).exists()


def _at_once(teller: Any, progress: Any, *, now: bool = False) -> None:
    teller._now = progress
    teller.report(progress)


def test_a_training_that_is_stopped_while_adapters_are_trained_is_cancelled(
    campaign: Campaign, monkeypatch: Any
) -> None:
    version = begin(campaign)
    tell = jobs.RunningJob.progress

    def stop(job: jobs.RunningJob, done: int, total: int, message: str = "") -> None:
        tell(job, done, total, message)
        if "ensemble" in message:
            services.cancel_finetuning(version=version)

    monkeypatch.setattr(finetuning, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(jobs.RunningJob, "progress", stop)
    ended(version)
    assert version.state == "cancelled"
    assert services.in_use(version.campaign) is None


def test_the_loop_goes_on_to_new_questions_and_answers(
    campaign: Campaign, version: EncoderVersion, ada: User
) -> None:
    again(campaign)
    done = 0
    while done < 6 and (assignment := lease(campaign, ada)) is not None:
        texts = dict(assignment.query.responses.values_list("pk", "text"))
        wants_x = assignment.query.prompt.content.startswith("A")
        first = texts[assignment.display_order[0]].startswith("x")
        answer(assignment, ada, "a2" if first == wants_x else "b2")
        done += 1
    made = again(campaign)
    fresh = Annotation.objects.filter(campaign=campaign, annotator__user=ada)
    told = made.report["policy"]["ensemble"]
    training = fresh.exclude(query__prompt__is_holdout=True).count()
    assert training
    assert told["since"] == training


def test_broken_files_are_errors_of_the_library(version: EncoderVersion) -> None:
    encoderfiles.members(version).rename(encoderfiles.members(version).with_name("gone"))
    with pytest.raises(LearningError, match="are gone"):
        embedding.Source.ensemble(version).open()
