"""The client against the running site: encoders that are trained, stopped, rolled back."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from annotator.models import Campaign as Stored
from annotator.models import EncoderVersion
from annotator.services import estimates
from annotator.services.snapshots import store
from tests.annotator.finetuned import FIGURES, REASON, ended
from tiebreak.client import Campaign, Client, Conflict, Invalid, TimedOut

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def trainable(sky: Campaign) -> None:
    """With an encoder that has weights."""
    Stored.objects.update(encoder="default")


def test_a_training_is_started_and_stopped(sky: Campaign, site: Client) -> None:
    made = sky.finetune("lora", epochs=2)
    assert (made.state, made.method, made.plan) == ("waiting", "lora", {"epochs": 2})
    assert sky.finetune().id == made.id  # under way already
    with pytest.raises(TimedOut):
        made.wait(timeout=0.0)
    assert made.cancel().state == "cancelled"
    assert made.wait().state == "cancelled"
    with pytest.raises(Conflict):
        made.cancel()
    assert [one.id for one in sky.encoders()] == [site.encoder(made.id).id] == [made.id]


def test_what_a_training_would_take_is_asked_first(sky: Campaign) -> None:
    made = sky.estimate_finetuning("lora", epochs=2)
    assert (made.state, made.method, made.plan) == ("waiting", "lora", {"epochs": 2})
    assert sky.estimate_finetuning().id == made.id  # being measured already
    with pytest.raises(TimedOut):
        made.wait(timeout=0.0)
    estimates.record_estimate(estimate_id=made.id, figures=FIGURES)
    assert made.wait().figures == FIGURES
    sky.finetune()
    with pytest.raises(Conflict, match="a training is under way"):
        sky.estimate_finetuning()


def test_options_that_cannot_be_are_refused(sky: Campaign) -> None:
    with pytest.raises(Invalid, match="epochs must be at least 0"):
        sky.finetune(epochs=-1)


def test_rolled_back_taken_back_and_downloaded(sky: Campaign, site: Client, tmp_path: Path) -> None:
    stored = ended(Stored.objects.get())
    made = site.encoder(stored.pk)
    assert (made.in_use, made.reason, made.gate["prompts"]) == (True, REASON, 84)
    with pytest.raises(Invalid, match="nothing to download"):
        made.download(tmp_path)
    assert not made.roll_back().in_use
    assert made.use().in_use
    store().save("encoder-1/sky-encoder-1.tar", ContentFile(b"weights"))
    about = {"folder": "encoder-1", "name": "sky-encoder-1.tar", "bytes": 7, "sha256": "abc"}
    EncoderVersion.objects.filter(pk=stored.pk).update(archive=about)
    assert made.refresh().download(tmp_path).read_bytes() == b"weights"
