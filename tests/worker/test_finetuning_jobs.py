"""Fine-tuning in the loop: trained, examined, used; stopped, killed, refused; rolled back."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, EncoderCard, EncoderVersion, Job, ModelVersion, Query
from annotator.services import finetuning as services
from annotator.services import jobs as job_services
from annotator.services.campaigns import create_campaign, start_campaign
from annotator.services.snapshots import local_path
from learning.finetune import Diverged, OutOfMemory
from tests.campaigns import join, load
from tests.worker.loops import work
from tests.worker.tunable import asked, begin, tunable
from worker import encoderfiles, finetuning, jobs, promotion, space, turns
from worker.embedding import Source

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("place"),
]


@pytest.fixture
def campaign(base: Path, ada: User) -> Campaign:
    made = tunable(base)
    join(made, ada)
    work()
    return made


def ended(version: EncoderVersion) -> EncoderVersion:
    """After the workers had their turn."""
    work()
    version.refresh_from_db()
    version.campaign.refresh_from_db()
    return version


def test_what_only_a_trained_encoder_sees_is_learnt_promoted_and_used(campaign: Campaign) -> None:
    made = ended(begin(campaign))
    assert made.state == "promoted", (made.error, made.reason)
    assert made.reason.startswith("better on the holdout: log-loss")
    gate = made.gate
    assert gate["prompts"] >= 30
    assert gate["log_loss"]["high"] < 0
    assert gate["accuracy"]["new"] > 0.95
    assert gate["accuracy"]["old"] < 0.7
    assert made.comparisons == made.record["labels"] == gate["labels"]
    assert made.annotations_seen == 280

    work()  # the round that the promotion asked for
    newest = campaign.rounds.first()
    assert newest is not None
    assert (newest.state, newest.trigger) == ("published", "encoder version 1 was promoted")
    assert newest.report["encoder"] == made.key
    models = ModelVersion.objects.filter(round=newest)
    assert {one.encoder_key for one in models} == {made.key}
    assert models.get(kind="all").metrics["accuracy"]["value"] > 0.95


def test_the_next_questions_are_chosen_with_a_posterior_as_before(campaign: Campaign) -> None:
    ended(begin(campaign))
    Campaign.objects.filter(pk=campaign.pk).update(acquisition="dopt", fall_back=False)
    before = set(Query.objects.values_list("pk", flat=True))
    Query.objects.filter(arm="policy").delete()  # room for a batch
    Query.objects.filter(arm__in=["random", "holdout"], round__isnull=False).delete()
    campaign.refresh_from_db()
    services.roll_back(version=EncoderVersion.objects.get())
    services.use(version=EncoderVersion.objects.get())
    work()
    made = campaign.rounds.first()
    assert made is not None
    assert made.state == "published", made.error
    chosen = Query.objects.filter(round=made, arm="policy").exclude(pk__in=before)
    assert {one.acquisition for one in chosen} == {"dopt"}
    assert all(np.isfinite(one.score) for one in chosen if one.score is not None)


def test_an_encoder_that_can_learn_no_more_is_kept_and_not_promoted(base: Path, ada: User) -> None:
    """Labels by lot: nothing is better than anything."""
    lots = np.random.default_rng(1).integers(0, 2, 200)
    made = create_campaign(
        slug="loop", name="Loop", encoder=f"hf:{base}", holdout_prompts=0.3, batch_size=4
    )
    load(made, [asked(n, int(lot)) for n, lot in enumerate(lots)], history=True)
    campaign = start_campaign(campaign=made)
    work()
    version = ended(begin(campaign, epochs=2))
    assert version.state == "not_promoted"
    assert "on the holdout" in version.reason
    assert services.in_use(version.campaign) is None
    assert encoderfiles.folder(version).is_dir()
    assert not encoderfiles.work(version).exists()


def test_few_holdout_prompts_promote_nothing(base: Path) -> None:
    version = ended(begin(tunable(base, items=60, holdout_prompts=0.2), epochs=1))
    assert version.state == "not_promoted"
    assert "it takes at least 30" in version.reason
    assert version.gate["log_loss"] is None


def test_rolling_back_leaves_the_loop_working(campaign: Campaign) -> None:
    version = ended(begin(campaign))
    work()
    services.roll_back(version=version)
    work()
    newest = campaign.rounds.first()
    assert newest is not None
    assert (newest.state, newest.trigger) == ("published", "encoder version 1 was rolled back")
    assert newest.report["encoder"].startswith("hf:")


def test_training_further_starts_at_the_version_in_use(campaign: Campaign) -> None:
    first = ended(begin(campaign))
    second = ended(begin(campaign, epochs=1))
    assert second.base_version == first
    assert second.record["base_key"] != first.record["base_key"]
    assert second.state in ("promoted", "not_promoted"), second.error
    assert second.gate["against"] == 1


def test_the_archive_is_a_folder_that_transformers_load(campaign: Campaign, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    version = ended(begin(campaign))
    path = local_path(f"{version.archive['folder']}/{version.archive['name']}")
    assert path is not None
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    folder = tmp_path / "out" / "loop-encoder-1"
    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
    assert model.config.num_labels == 1
    card = (folder / "README.md").read_text()
    assert "held out" in card
    assert str(tmp_path) not in card
    assert "A17" not in card  # no text of the campaign


def test_the_holdout_is_never_trained_on(campaign: Campaign, monkeypatch: Any) -> None:
    seen: list[Any] = []

    def look(base: Path, examples: Any, plan: Any, **named: Any) -> Any:
        seen.append(examples)
        raise OutOfMemory("enough")

    monkeypatch.setattr(finetuning, "finetune", look)
    ended(begin(campaign))
    held = set(campaign.prompts.filter(is_holdout=True).values_list("content", flat=True))
    (examples,) = seen
    assert held
    assert not held & set(examples.prompts)
    assert len(examples) == 280 - len(
        [number for number in range(280) if asked(number)["prompt"] in held]
    )


def test_a_training_that_is_stopped_keeps_what_is_in_use(
    campaign: Campaign, monkeypatch: Any
) -> None:
    version = begin(campaign)
    tell = jobs.RunningJob.progress

    def stop(job: jobs.RunningJob, done: int, total: int, message: str = "") -> None:
        tell(job, done, total, message)
        if "training" in message and done:
            services.cancel_finetuning(version=version)

    monkeypatch.setattr(finetuning, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(jobs.RunningJob, "progress", stop)
    ended(version)
    assert (version.state, version.error) == ("cancelled", job_services.CANCELLED)
    assert services.in_use(version.campaign) is None
    assert Job.objects.get(kind="finetune").state == "cancelled"


def test_another_attempt_trains_on_the_same_labels_and_does_not_train_again(
    campaign: Campaign, monkeypatch: Any
) -> None:
    version = begin(campaign)

    def die(*args: Any, **named: Any) -> Any:
        raise KeyError("the machine")

    with monkeypatch.context() as broken:
        broken.setattr(finetuning, "examine", die)
        ended(version)
    assert version.state == "examining"
    assert version.sha256
    load(campaign, [asked(900)], history=True)  # comes too late

    def never(*args: Any, **named: Any) -> Any:
        raise AssertionError("it is trained already")

    monkeypatch.setattr(finetuning, "finetune", never)
    Job.objects.filter(kind="finetune").update(lease_until=None)
    ended(version)
    assert version.state == "promoted", version.error
    assert version.annotations_seen == 280


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Diverged(12), "not a number at step 12"),
        (OutOfMemory("It needs 40 GiB."), "It needs 40 GiB."),
    ],
    ids=["NaN", "memory"],
)
def test_what_goes_wrong_is_said_in_a_sentence_and_not_tried_again(
    campaign: Campaign, monkeypatch: Any, error: Exception, words: str
) -> None:
    def fail(*args: Any, **named: Any) -> Any:
        raise error

    monkeypatch.setattr(finetuning, "finetune", fail)
    version = ended(begin(campaign))
    assert (version.state, Job.objects.get(kind="finetune").attempt) == ("failed", 1)
    assert words in version.error
    assert services.in_use(version.campaign) is None


def test_a_campaign_without_answers_says_that_there_is_nothing_to_learn(base: Path) -> None:
    version = ended(begin(tunable(base, items=0, unanswered=40)))
    assert (version.state, version.error) == ("failed", "There are no labels to learn from.")


def test_a_folder_with_pickle_weights_is_refused(base: Path, tmp_path: Path) -> None:
    import shutil

    import torch

    folder = tmp_path / "pickled"
    shutil.copytree(base, folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    version = begin(tunable(folder, items=20))
    ended(version)
    assert version.state == "failed"
    assert "safetensors" in version.error


def test_more_memory_than_is_set_aside_is_refused_before_the_start(
    campaign: Campaign, settings: Any
) -> None:
    settings.FINETUNE_MEMORY_MB = 1
    version = ended(begin(campaign))
    assert version.state == "failed"
    assert "are free" in version.error
    assert version.record == {}


def test_files_that_were_changed_are_not_used_for_new_texts(campaign: Campaign) -> None:
    version = ended(begin(campaign))
    (encoderfiles.folder(version) / "config.json").write_text("{}")
    load(campaign, [asked(901)])
    with pytest.raises(Exception, match="not what was trained"):
        space.load(version.campaign, progress=lambda done, total: None)


def test_a_gate_that_another_promotion_overtakes_looks_again(
    campaign: Campaign, monkeypatch: Any
) -> None:
    first = ended(begin(campaign))
    second = begin(campaign, epochs=1)
    looked: list[int | None] = []
    examine = promotion.examine

    def slow(version: EncoderVersion, **named: Any) -> Any:
        found = examine(version, **named)
        looked.append(found.against)
        if len(looked) == 1:
            services.roll_back(version=first)
        return found

    monkeypatch.setattr(finetuning, "examine", slow)
    ended(second)
    assert looked == [first.pk, None]
    assert second.state == "promoted", second.reason
    assert second.gate["against"] is None


def test_the_head_on_trained_features_has_the_prior_that_was_found_out_of_fold(
    campaign: Campaign,
) -> None:
    version = ended(begin(campaign))
    EncoderVersion.objects.filter(pk=version.pk).update(
        record={**version.record, "prior_precision": 37.5}
    )
    campaign.refresh_from_db()
    assert Source.of(campaign).precision == 37.5
    work()
    services.roll_back(version=version)
    services.use(version=version)
    work()
    newest = ModelVersion.objects.filter(kind="all").order_by("-round__number").first()
    assert newest is not None
    assert newest.hyperparameters["prior_precision"] == 37.5


def test_the_card_of_a_trained_encoder_says_that_it_is_flattered(campaign: Campaign) -> None:
    version = ended(begin(campaign))
    work()
    work()
    card = EncoderCard.objects.filter(encoder_key=version.key).first()
    assert card is not None
    assert "which flatters it" in card.sentence


def test_one_training_at_a_time_in_a_worker(campaign: Campaign) -> None:
    """A round finds a place beside it; a second training waits for the next ring."""
    begin(campaign)
    training, other = Job.objects.get(kind="finetune"), Job.objects.filter(kind="round").first()
    assert other is not None
    with turns.taken(training.pk) as first, turns.taken(training.pk) as second:
        assert (first, second) == (True, False)
        with turns.taken(other.pk) as beside:
            assert beside
    with turns.taken(training.pk) as again:
        assert again
