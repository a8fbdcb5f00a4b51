"""What an upload of pictures brings: files, archives, folders; and what each of them really is."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from annotator.errors import InvalidInput
from annotator.models import Picture

MOST_BYTES = 20 * 1024 * 1024
MOST_PIXELS = 40_000_000  # decoded, each takes up to four bytes of memory
MOST_DRAWN = 200_000_000  # all frames of a moving picture together
LONGEST_NAME = 200
OPENED = ("PNG", "JPEG", "WEBP", "GIF")
KINDS = {
    "PNG": Picture.Kind.PNG,
    "JPEG": Picture.Kind.JPEG,
    "MPO": Picture.Kind.JPEG,  # as phones make them: a JPEG with another one behind it
    "WEBP": Picture.Kind.WEBP,
    "GIF": Picture.Kind.GIF,
}
EXPECTED = "expected PNG, JPEG, WebP or GIF"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
UNSAFE = re.compile(r'[\\<>"%]')  # Markdown and addresses would read them as something else
ORIENTATION, GPS = 0x0112, 0x8825  # tags of EXIF
TURNED = (5, 6, 7, 8)  # stored lying on its side
XMP_PLACE = b"GPSLatitude"


@dataclass(frozen=True)
class Source:
    """One file of an upload: the name it came under, and how to read it, up to the limit."""

    name: str
    read: Callable[[], bytes]


# --- where they come from ----------------------------------------------------------------


def from_stream(name: str, stream: IO[bytes]) -> Iterator[Source]:
    """An uploaded file, or all files of a ZIP archive (told by content).

    Raises:
        InvalidInput: the archive is broken.
    """
    if _head(stream).startswith(ZIP):
        yield from _unpacked(name, stream)
    else:
        yield Source(name, partial(_from_start, stream))


def from_path(path: Path, stack: ExitStack) -> Iterator[Source]:
    """A picture, a ZIP archive, or a folder with all below it; archives close with the stack.

    Raises:
        InvalidInput: it cannot be read.
    """
    try:
        if path.is_dir():
            for one in sorted(path.rglob("*")):
                if one.is_file():
                    yield Source(one.relative_to(path).as_posix(), partial(_from_file, one))
        elif zipfile.is_zipfile(path):
            yield from _unpacked(path.name, stack.enter_context(path.open("rb")))
        else:
            with path.open("rb"):  # it is there
                yield Source(path.name, partial(_from_file, path))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error


def _head(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read(4)


def _from_start(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read(MOST_BYTES + 1)


def _from_file(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MOST_BYTES + 1)


def _unpacked(name: str, stream: IO[bytes]) -> Iterator[Source]:
    """Names never become paths here, and nobody believes the sizes that an archive states."""
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise InvalidInput(f"{name}: the ZIP archive is broken ({error})") from error
    for info in archive.infolist():
        if not info.is_dir():
            yield Source(_packed_name(info), partial(_from_archive, archive, info))


def _packed_name(info: zipfile.ZipInfo) -> str:
    """Some systems write UTF-8 without saying so, which reads as the old code page."""
    if not info.flag_bits & 0x800:
        try:
            return info.orig_filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.orig_filename


def _from_archive(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as stream:
        return stream.read(MOST_BYTES + 1)


# --- what a file is ----------------------------------------------------------------------


def examined(source: Source, *, keep_location: bool = False) -> Picture:
    """What this file is, as a row that is not stored yet.

    Raises:
        InvalidInput: it cannot be shown, or says where it was taken and may not.
    """
    name = checked_name(source.name)
    try:
        data = source.read()
    except Exception as error:  # an archive is encrypted, cut, or packed in a strange way
        raise InvalidInput(f"cannot be read ({error})") from error
    if len(data) > MOST_BYTES:
        raise InvalidInput(f"has more than {MOST_BYTES // 1024**2} MiB, which is the limit")
    kind, width, height, located = _decoded(data)
    if located and not keep_location:
        raise InvalidInput(
            "says where it was taken (GPS), and annotators could read that; expected one "
            "without, or that you choose to keep locations"
        )
    return Picture(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        media_type=kind,
        width=width,
        height=height,
        size=len(data),
    )


def checked_name(name: str) -> str:
    """The name as texts refer to it.

    Raises:
        InvalidInput: it could not be written in a text, or looks like a way out of a folder.
    """
    name = unicodedata.normalize("NFKC", name)
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidInput(f"expected a name of 1 to {LONGEST_NAME} characters, got {len(name)}")
    if UNSAFE.search(name) or not name.isprintable():
        raise InvalidInput('expected a name without \\ < > " % and invisible characters')
    if any(part in ("", ".", "..") or part != part.strip() for part in name.split("/")):
        raise InvalidInput("expected a plain name, or folders and a name, such as charts/17.png")
    return name


def _decoded(data: bytes) -> tuple[Picture.Kind, int, int, bool]:
    """Decode the whole file: kind, width and height as shown, whether it says where it was."""
    try:
        with Image.open(BytesIO(data), formats=OPENED) as image:
            kind = KINDS[str(image.format)]
            width, height, located = _drawn(image, data)
        if kind == Picture.Kind.PNG:
            _check_chunks(data)
    except InvalidInput:
        raise
    except (UnidentifiedImageError, KeyError) as error:
        svg = " (SVG can carry scripts)" if b"<svg" in data[:4096].lower() else ""
        raise InvalidInput(f"is no picture that can be shown{svg}; {EXPECTED}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidInput(_too_large()) from error
    except Exception as error:  # decoders raise whatever they like about hostile bytes
        raise InvalidInput(f"is broken or cut off ({error}); {EXPECTED}") from error
    return kind, width, height, located


def _drawn(image: Image.Image, data: bytes) -> tuple[int, int, bool]:
    """Draw every frame, since a file may be cut anywhere; never more pixels than the limits."""
    width = height = number = drawn = 0
    located = XMP_PLACE in data
    while True:
        try:
            image.seek(number)
        except EOFError:
            return width, height, located
        pixels = image.width * image.height
        drawn += pixels
        if pixels > MOST_PIXELS or drawn > MOST_DRAWN:
            raise InvalidInput(_too_large())
        image.load()
        if number == 0:
            exif = image.getexif()
            turned = exif.get(ORIENTATION) in TURNED
            width, height = (image.height, image.width) if turned else image.size
            located = located or bool(exif.get_ifd(GPS))
        number += 1


def _check_chunks(data: bytes) -> None:
    """Whether a PNG is whole, to its end, which drawing does not look at."""
    with Image.open(BytesIO(data), formats=["PNG"]) as image:
        image.verify()


def _too_large() -> str:
    return (
        f"has too many pixels; expected at most {MOST_PIXELS // 10**6} million, "
        f"and {MOST_DRAWN // 10**6} million in all frames together"
    )
