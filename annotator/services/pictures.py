"""Pictures that texts show: stored by name, once by content, all of an upload or none.

Files are kept byte for byte, so that a checksum here is the checksum of the researcher's own file.
They lie in the default storage under their SHA-256; only `annotator.views.pictures` serves them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from annotator.content import pictures_in, to_turns
from annotator.errors import FileProblem, InvalidInput, PicturesRejected, RowProblem
from annotator.models import Campaign, GoldAnswer, Guidelines, Picture, Prompt, Response
from annotator.services.locks import lock_pool
from annotator.services.native import NativeRow
from annotator.services.picture_files import EXPECTED, Source, examined

MOST_FILES = 10_000
MOST_PROBLEMS = 100  # then nobody reads on
LEFT_OUT = re.compile(r"(^|/)(\.(?!\.)[^/]*|__MACOSX/.*|Thumbs\.db|desktop\.ini)$")

Found = dict[str, tuple[Picture, Source]]


@dataclass
class PictureReport:
    """What an upload did."""

    stored: int = 0
    known: int = 0
    left_out: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = f"{self.stored:,} new pictures, {self.known:,} known already"
        if not self.left_out:
            return said
        few = ", ".join(self.left_out[:3]) + (", …" if len(self.left_out) > 3 else "")
        return f"{said}; {len(self.left_out):,} files that are no content left out ({few})"


def add_pictures(
    *,
    campaign: Campaign,
    sources: Iterable[Source],
    keep_location: bool = False,
    user: User | None = None,
) -> PictureReport:
    """Store all files of an upload, or none; the same bytes under the same name change nothing.

    Raises:
        PicturesRejected: some cannot be shown, or are not what is known under their name.
        InvalidInput: the upload as a whole cannot be used.
    """
    report = PictureReport()
    found = _examine(_wanted(sources, report), keep_location)
    if not found:
        raise InvalidInput(f"there is no picture in it; {EXPECTED}, or a ZIP archive of them")
    with transaction.atomic():
        lock_pool(campaign)
        new = _new(campaign, found, report)
        _write_files(campaign, new)
        for picture, _ in new:
            picture.uploaded_by = user
        Picture.objects.bulk_create(picture for picture, _ in new)
        report.stored = len(new)
    return report


def _wanted(sources: Iterable[Source], report: PictureReport) -> Iterator[Source]:
    """Without what systems add to folders by themselves."""
    number = 0
    for source in sources:
        if LEFT_OUT.search(source.name):
            report.left_out.append(source.name)
            continue
        number += 1
        if number > MOST_FILES:
            raise InvalidInput(f"more than {MOST_FILES:,} files; expected them in several uploads")
        yield source


def _examine(sources: Iterable[Source], keep_location: bool) -> Found:
    """Every file by the name it will have; nothing is stored yet."""
    found: Found = {}
    problems: list[FileProblem] = []
    total = 0
    for source in sources:
        try:
            picture = examined(source, keep_location=keep_location)
            if found.setdefault(picture.name, (picture, source))[0].sha256 != picture.sha256:
                raise InvalidInput("is in this upload twice, with different content")
        except InvalidInput as error:
            problems.append(FileProblem(source.name, str(error)))
        else:
            total += picture.size
        if len(problems) == MOST_PROBLEMS:
            break
        if total > settings.MAX_UPLOAD_BYTES:
            raise InvalidInput(
                f"more than {settings.MAX_UPLOAD_BYTES:,} bytes; expected several uploads"
            )
    if problems:
        raise PicturesRejected(problems)
    return found


def _new(campaign: Campaign, found: Found, report: PictureReport) -> list[tuple[Picture, Source]]:
    """Those whose names are not known; a known name must come with the same bytes."""
    known = dict(campaign.pictures.filter(name__in=found).values_list("name", "sha256"))
    said = (
        "another picture is known under this name (SHA-256 {:.8}…, this one {:.8}…); expected the "
        "same one, or another name"
    )
    problems = [
        FileProblem(name, said.format(known[name], picture.sha256))
        for name, (picture, _) in found.items()
        if known.get(name, picture.sha256) != picture.sha256
    ]
    if problems:
        raise PicturesRejected(problems[:MOST_PROBLEMS])
    report.known = len(known)
    return [pair for name, pair in found.items() if name not in known]


def _write_files(campaign: Campaign, new: Sequence[tuple[Picture, Source]]) -> None:
    """Write what no row has yet; if one fails, take back the others while others wait."""
    wanted = [picture.sha256 for picture, _ in new]
    known = campaign.pictures.filter(sha256__in=wanted)
    there = set(known.values_list("sha256", flat=True))
    written: list[str] = []
    try:
        for picture, source in new:
            picture.campaign = campaign
            if picture.sha256 not in there:
                there.add(picture.sha256)
                written.append(picture.path)
                _write(picture, source)
    except BaseException:
        for path in written:
            default_storage.delete(path)
        raise


def _write(picture: Picture, source: Source) -> None:
    """Whatever lies there belongs to no row: an upload was killed, or undone, after it wrote."""
    data = source.read()
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        raise InvalidInput(f"{source.name}: has changed while it was read; upload it again")
    if default_storage.exists(picture.path):
        default_storage.delete(picture.path)
    stored = default_storage.save(picture.path, ContentFile(data))
    if stored != picture.path:
        raise RuntimeError(f"the store wrote {stored} instead of {picture.path}")


# --- what texts name ---------------------------------------------------------------------


class Known:
    """The pictures that a campaign knows; asked for when the first text names one."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._found: dict[str, str] | None = None

    def problems(self, row: NativeRow) -> list[RowProblem]:
        """One for each name in a text of this row that no upload brought."""
        said = "the picture {!r:.80} is not known in this campaign; upload pictures before items"
        return [
            RowProblem(row.line, where, said.format(name), row.id)
            for where, text in shown_texts(row)
            for name in dict.fromkeys(pictures_in(text))
            if name not in self._checksums()
        ]

    def shown(self, prompt: Prompt, responses: Iterable[Response]) -> dict[str, Any]:
        """For the provenance of a row: `pictures`, name to SHA-256, where its texts show any."""
        turns = (turn["text"] for turn in to_turns(prompt.content))
        texts = (*turns, prompt.context, *(response.text for response in responses))
        names = sorted({name for text in texts for name in pictures_in(text)})
        found = {name: self._checksums().get(name) for name in names}  # None: it is not there
        return {"pictures": found} if found else {}

    def _checksums(self) -> dict[str, str]:
        if self._found is None:
            self._found = dict(self._campaign.pictures.values_list("name", "sha256"))
        return self._found


def shown_texts(row: NativeRow) -> Iterator[tuple[str, str]]:
    """Every text of a row that is shown as Markdown, with the name of its field."""
    if isinstance(row.prompt, str):
        yield "prompt", row.prompt
    else:
        for index, turn in enumerate(row.prompt):
            yield f"prompt[{index}].content", turn["content"]
    yield "context", row.context
    for index, response in enumerate(row.responses):
        yield f"responses[{index}].text", response["text"]
    if row.gold is not None:
        yield "meta.gold.explanation", row.gold.get("explanation") or ""


# --- taking away -------------------------------------------------------------------------


def remove_pictures(*, campaign: Campaign, names: Sequence[str]) -> int:
    """Remove pictures that no text of the campaign shows; all of these or none. Says how many.

    Raises:
        PicturesRejected: texts show some of them, and what people saw stays.
    """
    with transaction.atomic():
        lock_pool(campaign)
        said = "is shown in a text of this campaign, and what people saw stays"
        problems = [FileProblem(name, said) for name in names if _is_shown(campaign, name)]
        if problems:
            raise PicturesRejected(problems)
        gone = list(campaign.pictures.filter(name__in=names))
        campaign.pictures.filter(pk__in=[picture.pk for picture in gone]).delete()
        transaction.on_commit(partial(_delete_files, campaign, gone))
    return len(gone)


def _delete_files(campaign: Campaign, gone: Sequence[Picture]) -> None:
    """Delete what no row names, unless an upload brought it back meanwhile."""
    with transaction.atomic():
        lock_pool(campaign)
        for picture in gone:
            if not campaign.pictures.filter(sha256=picture.sha256).exists():
                default_storage.delete(picture.path)


def _is_shown(campaign: Campaign, name: str) -> bool:
    return any(name in pictures_in(text) for text in _texts_with(campaign, name))


def _texts_with(campaign: Campaign, name: str) -> Iterator[str]:
    """Texts that may name it: however it is written there, its longest plain piece is in it."""
    piece = max(re.findall(r"[A-Za-z0-9]+", name) or [""], key=len)

    def has(column: str) -> Q:
        return Q(**{f"{column}__icontains": "picture:"}) & Q(**{f"{column}__icontains": piece})

    prompts = Prompt.objects.filter(campaign=campaign).annotate(
        written=Cast("content", TextField())
    )
    named = prompts.filter(has("written") | has("context")).values_list("content", "context")
    for content, context in named.iterator():
        yield from (turn["text"] for turn in to_turns(content))
        yield context
    for rows, column in (
        (Response.objects.filter(prompt__campaign=campaign), "text"),
        (Guidelines.objects.filter(campaign=campaign), "text"),
        (GoldAnswer.objects.filter(campaign=campaign), "explanation"),
    ):
        yield from rows.filter(has(column)).values_list(column, flat=True).iterator()
