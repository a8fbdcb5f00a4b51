"""What people do with jobs; workers claim, renew and end them in `worker.jobs`."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from annotator.models import Job
from annotator.services import curation, routes
from annotator.services.estimates import fail_estimate
from annotator.services.finetuning import fail_finetuning
from annotator.services.intake import fail_import
from annotator.services.rounds import fail_round
from annotator.services.snapshots import fail_snapshot

CANCELLED = "cancelled by a person"


@transaction.atomic
def cancel(*, job: Job) -> bool:
    """End a job that waits or runs; its worker may write nothing from now on.

    False when it had ended already.
    """
    live = Job.objects.live().filter(pk=job.pk)
    if not live.update(state=Job.State.CANCELLED, finished_at=timezone.now(), lease_until=None):
        return False
    give_up(kind=job.kind, arguments=job.arguments, error=CANCELLED, cancelled=True)
    return True


def give_up(
    *, kind: str, arguments: dict[str, str | int], error: str, cancelled: bool = False
) -> None:
    """Tell the row that people look at that its job will not be finished."""
    if kind == "round":
        fail_round(round_id=int(arguments["round"]), error=error)
    elif kind == "curation":
        curation.let_go(arguments)
    elif kind == "estimate":
        fail_estimate(estimate_id=int(arguments["estimate"]), error=error)
    elif kind == "finetune":
        version = int(arguments["version"])
        fail_finetuning(version_id=version, error=error, cancelled=cancelled)
    elif kind == "import":
        fail_import(import_id=str(arguments["import"]), error=error, cancelled=cancelled)
    elif kind == "judge":
        routes.give_up_judging(campaign_id=int(arguments["campaign"]), error=error)
    elif kind == "snapshot":
        fail_snapshot(snapshot_id=str(arguments["snapshot"]), error=error, cancelled=cancelled)
