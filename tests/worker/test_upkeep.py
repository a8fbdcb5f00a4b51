"""Once an hour: what workers keep of campaigns that are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured

from annotator.models import EncoderVersion
from annotator.services.campaigns import create_campaign
from worker import encoderfiles, tasks

pytestmark = pytest.mark.django_db


def test_models_and_indexes_go_with_their_campaign(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR, settings.MEDIA_ROOT = tmp_path, tmp_path / "media"
    pk = create_campaign(slug="sky", name="Sky").pk
    for number in (pk, 999_999):
        for name in (
            f"models/campaign-{number}/00001-all-1.safetensors",
            f"index/campaign-{number}.npz",
            f"index/campaign-{number}-prompts.npz",
            f"features/.campaign-{number}.lock",
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"x")
    (tmp_path / "features" / "shard").write_bytes(b"shared")
    assert "; 4 models and indexes of campaigns that are gone, 0 folders" in tasks.tidy()
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == [
        f"features/.campaign-{pk}.lock",
        "features/shard",
        f"index/campaign-{pk}-prompts.npz",
        f"index/campaign-{pk}.npz",
        f"models/campaign-{pk}/00001-all-1.safetensors",
    ]


def test_of_a_training_that_ended_the_model_stays_and_the_checkpoints_go(
    settings: Any, tmp_path: Path
) -> None:
    settings.VAR_DIR, settings.MEDIA_ROOT = tmp_path, tmp_path / "media"
    campaign = create_campaign(slug="sky", name="Sky")
    ends = {1: "promoted", 2: "failed", 3: "training"}
    for number, state in ends.items():
        version = EncoderVersion.objects.create(
            campaign=campaign, number=number, base="default", trigger="test", state=state
        )
        sha256 = "" if state == "failed" else "x"
        EncoderVersion.objects.filter(pk=version.pk).update(sha256=sha256)
        for name in ("model/config.json", "work/checkpoint"):
            path = encoderfiles.place(version) / name
            path.parent.mkdir(parents=True)
            path.write_text("x")
    assert tasks.tidy().endswith("2 folders of trainings that ended")
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    place = f"models/campaign-{campaign.pk}/encoder"
    assert left == [
        f"{place}-00001/model/config.json",
        f"{place}-00003/model/config.json",
        f"{place}-00003/work/checkpoint",
    ]


def test_beat_asks_for_it_every_hour() -> None:
    assert configured.CELERY_BEAT_SCHEDULE["tidy"]["task"] == tasks.tidy.name
    assert configured.CELERY_BEAT_SCHEDULE["tidy"]["schedule"] == 3600
