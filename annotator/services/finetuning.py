"""Fine-tuning a campaign's encoder: asked for, stopped, promoted by the gate, rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from annotator import dispatch
from annotator.catalogue import Refused, normalised_finetuning
from annotator.errors import InvalidInput, WrongState
from annotator.models import Campaign, EncoderVersion, Job
from annotator.services import rounds, webhooks
from annotator.services.snapshots import Part, local_path

State = EncoderVersion.State
FRESH = 500  # training comparisons since the last attempt, before the next begins by itself
WITHOUT_MODEL = "the encoder `hashed` counts words: there is nothing in it that could be trained"


@dataclass(frozen=True)
class Outcome:
    """What the gate found.

    Attributes:
        promoted: Whether the version is used from now on.
        reason: Why, in a sentence.
        figures: Of both models, ready for JSON.
        against: The version that was in use while it was examined, if any.
        archive: The file to download: `name`, `sha256`, `bytes`.
    """

    promoted: bool
    reason: str
    figures: Mapping[str, Any]
    against: int | None
    archive: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def request_finetuning(
    *,
    campaign: Campaign,
    method: str = EncoderVersion.Method.FULL,
    options: Mapping[str, Any] | None = None,
    user: User | None = None,
    trigger: str = "asked for",
) -> EncoderVersion | None:
    """Have a worker train the encoder on the answers; None while another training is under way.

    It starts from the version in use.

    Raises:
        InvalidInput: no such method or option, or a value that cannot be.
        WrongState: the campaign was not started, or its encoder has nothing to train.
    """
    plan = checked(method, options or {})
    locked = trainable(campaign)
    if locked.encoders.live().exists():
        return None
    last = locked.encoders.aggregate(last=Max("number"))["last"] or 0
    made = EncoderVersion.objects.create(
        campaign=locked,
        number=last + 1,
        base=locked.encoder,
        base_version=in_use(locked),
        method=method,
        plan=plan,
        trigger=trigger,
        requested_by=user,
    )
    _enqueue(made)
    return made


def checked(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from their defaults.

    Raises:
        InvalidInput: no such method or option, or a value that cannot be.
    """
    if method not in EncoderVersion.Method.values:
        known = ", ".join(EncoderVersion.Method.values)
        raise InvalidInput(f"method: expected one of {known}, got {method!r}")
    try:
        return normalised_finetuning(options)
    except Refused as refused:
        raise InvalidInput(str(refused)) from refused


def trainable(campaign: Campaign) -> Campaign:
    """The campaign, its row locked.

    Raises:
        WrongState: it was not started, or its encoder has nothing to train.
    """
    locked = _lock(campaign.pk)
    if locked.state == Campaign.State.DRAFT:
        raise WrongState(
            "the campaign was not started: what is held out, and never trained on, is drawn then"
        )
    if locked.encoder == "hashed":
        raise WrongState(WITHOUT_MODEL)
    return locked


def _lock(campaign_id: int) -> Campaign:
    """Which encoder a campaign uses is decided under this row."""
    locked: Campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)
    return locked


def _enqueue(made: EncoderVersion) -> None:
    dispatch.enqueue(
        kind="finetune",
        key=dispatch.finetune_key(made.campaign),
        arguments={"version": made.pk},
        campaign=made.campaign,
    )


def revive(*, version: EncoderVersion) -> bool:
    """Give a job to a training that is under way without one, whatever became of its job."""
    with transaction.atomic():
        _lock(version.campaign_id)
        key = dispatch.finetune_key(version.campaign)
        alone = not Job.objects.live().filter(key=key).exists()
        still = EncoderVersion.objects.filter(pk=version.pk).live().exists()
        if still and alone:
            _enqueue(version)
        return still and alone


def request_when_saturated(*, campaign: Campaign, labels: int, said: str) -> EncoderVersion | None:
    """The head has stopped getting better: train, where the campaign wants that and it may pay.

    Not again before as many training comparisons have come in as `FRESH`.
    """
    if campaign.finetune != Campaign.Finetune.SATURATED or campaign.encoder == "hashed":
        return None
    last = campaign.encoders.aggregate(seen=Max("comparisons"))["seen"] or 0
    if labels < last + FRESH:
        return None
    method = in_use(campaign)
    return request_finetuning(
        campaign=campaign,
        method=method.method if method else EncoderVersion.Method.FULL,
        options=method.plan if method else {},
        trigger=said,
    )


def in_use(campaign: Campaign) -> EncoderVersion | None:
    """The fine-tuned encoder in use; None where the campaign's own is.

    A version that began with another encoder than the campaign has now is not used.
    """
    version = campaign.encoder_version
    return version if version is not None and version.base == campaign.encoder else None


def job_of(version: EncoderVersion) -> Job | None:
    """The job that works on it, if one does."""
    key = dispatch.finetune_key(version.campaign)
    return Job.objects.live().filter(key=key).first() if version.under_way else None


def cancel_finetuning(*, version: EncoderVersion) -> bool:
    """Stop a training; what is in use stays so. False when it had ended already."""
    from annotator.services.jobs import cancel  # which needs this module

    job = job_of(version)
    return job is not None and cancel(job=job)


# --- what workers say ----------------------------------------------------------------------


def report_state(*, version: EncoderVersion, state: str, detail: str = "") -> None:
    """Say where it is. Ended ones stay as they are."""
    EncoderVersion.objects.filter(pk=version.pk).live().update(state=state, detail=detail[:500])


def keep(*, version: EncoderVersion, **columns: Any) -> None:
    """Store what was found out on the way: the training record, the key, where the files are."""
    EncoderVersion.objects.filter(pk=version.pk).live().update(**columns)
    for name, value in columns.items():
        setattr(version, name, value)


def fail_finetuning(*, version_id: int, error: str, cancelled: bool = False) -> None:
    """End one that comes to nothing; what is in use stays in use."""
    EncoderVersion.objects.filter(pk=version_id).live().update(
        state=State.CANCELLED if cancelled else State.FAILED,
        error=error,
        detail="",
        finished_at=timezone.now(),
    )


def conclude(*, version: EncoderVersion, outcome: Outcome) -> bool:
    """Store what the gate found, and use the version if it is better. Inside the job's fence.

    False, and nothing stored, when another encoder is in use than it was compared with.
    """
    campaign = _lock(version.campaign_id)
    against = in_use(campaign)
    if (against.pk if against else None) != outcome.against:
        return False
    now = timezone.now()
    stored = EncoderVersion.objects.filter(pk=version.pk).live()
    changed = stored.update(
        state=State.PROMOTED if outcome.promoted else State.NOT_PROMOTED,
        reason=outcome.reason,
        gate=dict(outcome.figures),
        archive=dict(outcome.archive),
        detail="",
        finished_at=now,
        promoted_at=now if outcome.promoted else None,
    )
    if changed and outcome.promoted:
        _take(campaign, version, why=f"encoder version {version.number} was promoted")
        told = {"encoder": version.pk, "number": version.number, "reason": outcome.reason}
        webhooks.emit(campaign_id=campaign.pk, event=webhooks.Event.ENCODER, data=told)
    return True


# --- what people decide --------------------------------------------------------------------


@transaction.atomic
def use(*, version: EncoderVersion) -> None:
    """Take back a version that the gate once found better.

    Raises:
        WrongState: it was never promoted, is in use, or began with another encoder.
    """
    campaign = _lock(version.campaign_id)
    version.refresh_from_db()
    if version.promoted_at is None:
        raise WrongState(
            f"encoder version {version.number} was never found better; it cannot be used"
        )
    if version.base != campaign.encoder:
        raise WrongState(
            f"encoder version {version.number} began with {version.base!r}, and the campaign "
            f"has {campaign.encoder!r} now"
        )
    if campaign.encoder_version_id == version.pk:
        raise WrongState(f"encoder version {version.number} is in use already")
    EncoderVersion.objects.filter(pk=version.pk).update(rolled_back_at=None)
    _take(campaign, version, why=f"encoder version {version.number} was taken back into use")


@transaction.atomic
def roll_back(*, version: EncoderVersion) -> EncoderVersion | None:
    """Leave a version: the one before is used again, or the campaign's own encoder (None).

    Raises:
        WrongState: it is not in use.
    """
    campaign = _lock(version.campaign_id)
    current = in_use(campaign)
    if current is None or current.pk != version.pk:
        raise WrongState(f"encoder version {version.number} is not in use")
    EncoderVersion.objects.filter(pk=version.pk).update(rolled_back_at=timezone.now())
    before = before_it(version)
    _take(campaign, before, why=f"encoder version {version.number} was rolled back")
    return before


def before_it(version: EncoderVersion) -> EncoderVersion | None:
    """What a roll back leads to; None is the campaign's own encoder."""
    earlier = EncoderVersion.objects.filter(
        Q(promoted_at__isnull=False, rolled_back_at__isnull=True),
        campaign_id=version.campaign_id,
        number__lt=version.number,
        base=version.base,
    )
    return earlier.order_by("-number").first()


def archive_of(version: EncoderVersion) -> Part:
    """The trained model as one file.

    Raises:
        InvalidInput: there is none: the training has not ended, or came to nothing.
    """
    about = version.archive
    if not about:
        raise InvalidInput(
            f"encoder version {version.number} is {version.get_state_display()}; there is "
            "nothing to download"
        )
    key = f"{about['folder']}/{about['name']}"
    return Part(key, about["name"], about["sha256"], local_path(key))


def _take(campaign: Campaign, version: EncoderVersion | None, *, why: str) -> None:
    """Use it from the next round on, which is asked for where the campaign runs."""
    Campaign.objects.filter(pk=campaign.pk).update(encoder_version=version)
    if campaign.state == Campaign.State.RUNNING:
        rounds.request_round(campaign=campaign, trigger=why)
