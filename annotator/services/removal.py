"""Taking away a campaign with everything that it has, its files after the commit."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from django.db import models, transaction

from annotator.errors import WrongState
from annotator.models import Campaign, EncoderVersion, Snapshot
from annotator.services.locks import lock_pool
from annotator.services.snapshots import drop_files

FOLDERS = ("pictures", "imports", "curation")  # in the default storage, a folder a campaign
Table = tuple[type[models.Model], str]  # rows, and the way from them to their campaign


def tables() -> list[Table]:
    """All tables whose rows belong to a campaign, those first that refer to others."""
    found: dict[type[models.Model], str] = {}
    level: list[Table] = [(Campaign, "")]
    while level:
        further: list[Table] = []
        for model, path in level:
            for relation in model._meta.related_objects:
                owner = relation.related_model
                cascades = relation.on_delete is models.CASCADE
                if cascades and isinstance(owner, type) and owner not in found:
                    name = relation.field.name
                    found[owner] = f"{name}__{path}" if path else name
                    further.append((owner, found[owner]))
        level = further
    return [*reversed(found.items())]


def contents(campaign: Campaign) -> dict[str, int]:
    """How many rows of what belong to it."""
    counts = {
        str(model._meta.verbose_name_plural): _rows(model, path, campaign).count()
        for model, path in reversed(tables())
    }
    return {name: count for name, count in counts.items() if count}


def _rows(model: type[models.Model], path: str, campaign: Campaign) -> Any:
    return model._default_manager.filter(**{path: campaign}).order_by()


@transaction.atomic
def delete_campaign(*, campaign: Campaign) -> None:
    """Delete it and all that belongs to it; one statement a table, however large.

    Raises:
        WrongState: somebody answered; what people answered is never deleted.
    """
    lock_pool(campaign)
    # Nobody's first answer comes in between: it would have to share this row.
    Campaign.objects.select_for_update().get(pk=campaign.pk)
    if campaign.annotations.exists():
        raise WrongState("a campaign with answers stays: what people answered is never deleted")
    exports = list(Snapshot.objects.filter(campaign=campaign).values_list("path", flat=True))
    encoders = EncoderVersion.objects.filter(campaign=campaign)
    exports += [made.archive.get("folder", "") for made in encoders]
    for model, path in tables():
        _rows(model, path, campaign)._raw_delete("default")
    number = campaign.pk
    Campaign.objects.filter(pk=number)._raw_delete("default")
    files = partial(_delete_files, number, [name for name in exports if name])
    transaction.on_commit(files, robust=True)  # what fails here, the sweep finds


def _delete_files(campaign_id: int, exports: list[str]) -> None:
    for name in exports:
        drop_files(name=name)
    for folder in FOLDERS:
        remove_folder(f"{folder}/{campaign_id}")


def remove_folder(name: str) -> None:
    """A folder of the default storage with everything in it; nothing where there is none."""
    folders, files = listed(name)
    for file in files:
        default_storage.delete(f"{name}/{file}")
    for folder in folders:
        remove_folder(f"{name}/{folder}")
    default_storage.delete(name)


def listed(name: str) -> tuple[list[str], list[str]]:
    """Folders and files in a folder of the default storage."""
    try:
        return default_storage.listdir(name)
    except FileNotFoundError:
        return [], []
