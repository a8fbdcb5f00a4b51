"""Small pictures for tests, drawn on the spot; and archives of them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from django.contrib.auth.models import User
from PIL import Image

from annotator.models import Campaign
from annotator.services.picture_files import Source, from_stream
from annotator.services.pictures import PictureReport, add_pictures


def drawn(
    kind: str = "PNG", *, size: tuple[int, int] = (60, 40), shade: int = 9, **more: Any
) -> bytes:
    """A picture file: stripes, so that it cannot be packed into nothing."""
    image = Image.new("RGB", size)
    image.putdata([((x * 7 + shade) % 256, x % 251, shade) for x in range(size[0] * size[1])])
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def moving(kind: str = "GIF", frames: int = 3) -> bytes:
    """A picture that moves."""
    images = [Image.new("RGB", (30, 20), (n * 40, 0, 0)) for n in range(frames)]
    out = io.BytesIO()
    images[0].save(out, kind, save_all=True, append_images=images[1:])
    return out.getvalue()


def with_exif(*, orientation: int = 1, gps: bool = False) -> bytes:
    """A JPEG with the metadata of a camera."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    if gps:
        exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    return drawn("JPEG", exif=exif)


def packed(files: dict[str, bytes], **more: Any) -> bytes:
    """A ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, **more)
    return out.getvalue()


def sources(files: dict[str, bytes]) -> list[Source]:
    """Files as an upload brings them."""
    return [s for name, data in files.items() for s in from_stream(name, io.BytesIO(data))]


def put(
    campaign: Campaign, files: dict[str, bytes], *, user: User | None = None, **options: Any
) -> PictureReport:
    """Upload pictures."""
    return add_pictures(campaign=campaign, sources=sources(files), user=user, **options)
