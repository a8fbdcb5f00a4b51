"""Uploads of pictures: what is stored, and what is refused without a trace."""

from __future__ import annotations

import struct
import zlib
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotator.content import pictures_in
from annotator.errors import ImportRejected, InvalidInput, PicturesRejected
from annotator.models import Campaign, Item, Picture
from annotator.services import picture_files, pictures
from annotator.services.campaigns import create_campaign, publish_guidelines
from annotator.services.native import NativeRow
from annotator.services.picture_files import Source, checked_name, examined, from_path
from annotator.services.pictures import add_pictures, remove_pictures
from tests.campaigns import item, known, load
from tests.drawn import drawn, moving, packed, put, with_exif

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_store(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def sea(db: None) -> Campaign:
    return create_campaign(slug="sea", name="Sea")


def files() -> list[Path]:
    """What lies in the store."""
    root = Path(default_storage.location)  # type: ignore[attr-defined]
    return sorted(path for path in root.rglob("*") if path.is_file())


def stored_bytes(picture: Picture) -> bytes:
    with default_storage.open(picture.path) as file:
        return file.read()  # type: ignore[no-any-return]


def refused(campaign: Campaign, upload: dict[str, bytes], **options: Any) -> str:
    """The words of a refusal that left nothing."""
    before = files(), list(Picture.objects.values_list("name", "sha256"))
    with pytest.raises(InvalidInput) as caught:
        put(campaign, upload, **options)
    assert (files(), list(Picture.objects.values_list("name", "sha256"))) == before
    return str(caught.value)


def look(data: bytes) -> Picture:
    return examined(Source("a.png", lambda: data))


# --- it works ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("GIF", "image/gif")],
)
def test_a_picture_is_stored_as_it_came_with_its_size(
    sea: Campaign, kind: str, media_type: str
) -> None:
    data = drawn(kind)
    assert str(put(sea, {"anything.bin": data})) == "1 new pictures, 0 known already"
    stored = sea.pictures.get()
    assert (stored.name, stored.media_type) == ("anything.bin", media_type)
    assert (stored.width, stored.height, stored.size) == (60, 40, len(data))
    assert stored.sha256 == sha256(data).hexdigest()
    assert stored_bytes(stored) == data


def test_the_same_upload_again_changes_nothing(sea: Campaign) -> None:
    upload = {"a.png": drawn(), "b.png": drawn(shade=3)}
    put(sea, upload)
    before = list(Picture.objects.values_list("pk", flat=True))
    assert str(put(sea, upload)) == "0 new pictures, 2 known already"
    assert list(Picture.objects.values_list("pk", flat=True)) == before


def test_the_same_bytes_are_stored_once_under_two_names(sea: Campaign) -> None:
    put(sea, {"a.png": drawn(), "b.png": drawn()})
    put(sea, {"c.png": drawn()})
    assert sea.pictures.count() == 3
    assert len(files()) == 1


def test_campaigns_have_names_and_files_of_their_own(sea: Campaign) -> None:
    moon = create_campaign(slug="moon", name="Moon")
    put(sea, {"a.png": drawn(shade=1)})
    put(moon, {"a.png": drawn(shade=2)})
    assert len(files()) == 2


def test_an_archive_brings_all_it_holds_under_their_paths(sea: Campaign) -> None:
    archive = packed({"charts/1.png": drawn(), "charts/2.png": drawn(shade=2)})
    assert put(sea, {"charts.zip": archive}).stored == 2
    assert list(sea.pictures.values_list("name", flat=True)) == ["charts/1.png", "charts/2.png"]


def test_what_systems_add_to_archives_is_left_out_and_said(sea: Campaign) -> None:
    extra = {"__MACOSX/._a.png": b"x", ".DS_Store": b"x", "sub/Thumbs.db": b"x"}
    report = put(sea, {"a.zip": packed({"a.png": drawn()} | extra)})
    assert "3 files that are no content left out (__MACOSX/._a.png" in str(report)
    assert sea.pictures.get().name == "a.png"


def test_a_name_in_utf8_that_does_not_say_so_is_read(sea: Campaign) -> None:
    archive = packed({"fl\u00fcsse.png": drawn()})
    unsaid = archive.replace(struct.pack("<HH", 0x0800, 8), struct.pack("<HH", 0, 8))
    unsaid = unsaid.replace(struct.pack("<HH", 0x0800, 0), struct.pack("<HH", 0, 0))
    put(sea, {"a.zip": unsaid})
    assert sea.pictures.get().name == "fl\u00fcsse.png"


def test_a_folder_and_an_archive_on_the_server(sea: Campaign, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "a.png").write_bytes(drawn())
    (tmp_path / "b.zip").write_bytes(packed({"b.png": drawn(shade=2)}))
    with ExitStack() as stack:
        found = [s for name in ("in", "b.zip") for s in from_path(tmp_path / name, stack)]
        add_pictures(campaign=sea, sources=found)
    assert list(sea.pictures.values_list("name", flat=True)) == ["b.png", "sub/a.png"]
    with pytest.raises(InvalidInput, match=r"none\.png: No such file"):
        list(from_path(tmp_path / "none.png", ExitStack()))


def test_a_picture_that_lies_on_its_side_has_the_size_that_is_shown() -> None:
    assert (look(with_exif()).width, look(with_exif(orientation=6)).width) == (60, 40)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_moving_pictures_are_pictures(kind: str) -> None:
    assert look(moving(kind)).width == 30


# --- it refuses --------------------------------------------------------------------------


def test_one_bad_file_refuses_the_whole_upload_and_each_is_named(sea: Campaign) -> None:
    upload = {"a.png": drawn(), "b.png": b"hello", "c.gif": b"", "d.jpg": drawn("BMP")}
    said = refused(sea, upload)
    assert "3 problem(s); nothing was stored" in said
    for name in ("b.png", "c.gif", "d.jpg"):
        assert f"{name}: is no picture that can be shown; expected PNG, JPEG, WebP or GIF" in said


def test_svg_is_refused_for_its_scripts(sea: Campaign) -> None:
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'
    assert "SVG can carry scripts" in refused(sea, {"a.png": svg})


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_is_cut_is_refused(kind: str, data: st.DataObject) -> None:
    whole = drawn(kind)
    end = data.draw(st.integers(0, len(whole) * 9 // 10))
    with pytest.raises(InvalidInput, match=r"is broken or cut off|is no picture"):
        look(whole[:end])


@given(noise=st.binary(max_size=200), kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_at_all_do_more_than_be_refused(noise: bytes, kind: str) -> None:
    whole = drawn(kind)
    for hostile in (noise, whole[:20] + noise, whole[:60] + noise + whole[60 + len(noise) :]):
        with suppress(InvalidInput):
            assert look(hostile).width > 0


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that would need all memory."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    "size", [(7000, 7000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)], ids=["large", "bomb", "huge"]
)
def test_more_pixels_than_the_limit_are_never_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="too many pixels; expected at most 40 million"):
        look(bomb(*size))


def test_all_frames_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "MOST_DRAWN", 1500)
    assert look(moving(frames=2)).width == 30
    with pytest.raises(InvalidInput, match="in all frames together"):
        look(moving(frames=3))


def test_a_file_over_the_limit_is_not_read_on(
    sea: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_files, "MOST_BYTES", 1024 * 1024)
    zeros = packed({"a.png": b"\0" * 50_000_000})  # 50 kB of archive
    assert "has more than 1 MiB, which is the limit" in refused(sea, {"a.zip": zeros})
    assert "has more than 1 MiB" in refused(sea, {"a.png": b"\0" * 2_000_000})


def test_an_archive_of_too_much_is_refused(sea: Campaign, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 3 * len(drawn(shade=0))
    many = packed({f"{n}.png": drawn(shade=n) for n in range(9)})
    assert "expected several uploads" in refused(sea, {"a.zip": many})


def test_an_archive_of_too_many_is_refused(sea: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_FILES", 2)
    many = packed({f"{n}.png": drawn() for n in range(3)})
    assert "more than 2 files" in refused(sea, {"a.zip": many})


@pytest.mark.parametrize(
    "name",
    [
        *("../a.png", "/etc/a.png", "a/../../b.png", "a//b.png", "..\\a.png", " a.png"),
        *("a\u202e.png", 'a".png', "a%20.png", "<a>.png", "a\n.png", "x" * 201),
    ],
)
def test_names_that_lead_elsewhere_or_cannot_be_written_are_refused(
    sea: Campaign, name: str
) -> None:
    assert "expected a" in refused(sea, {"a.zip": packed({name: drawn()})})
    with pytest.raises(InvalidInput, match="expected a"):
        checked_name(name)


def test_an_archive_that_is_broken_or_locked_is_refused(sea: Campaign) -> None:
    whole = packed({"a.png": drawn(size=(300, 200))})
    assert "the ZIP archive is broken" in refused(sea, {"a.zip": whole[: len(whole) // 2]})
    spoilt = bytearray(whole)
    spoilt[200] ^= 255
    assert "a.png: cannot be read" in refused(sea, {"a.zip": bytes(spoilt)})
    locked = bytearray(whole)
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refused(sea, {"a.zip": bytes(locked)})
    assert "no picture that can be shown" in refused(sea, {"a.zip": packed({"b.zip": whole})})


def test_an_empty_upload_says_what_was_expected(sea: Campaign) -> None:
    assert "there is no picture in it" in refused(sea, {"a.zip": packed({})})


def test_the_same_name_with_other_bytes_is_refused(sea: Campaign) -> None:
    put(sea, {"a.png": drawn(shade=1)})
    said = refused(sea, {"a.png": drawn(shade=2), "b.png": drawn(shade=3)})
    assert "a.png: another picture is known under this name (SHA-256 " in said
    twice = packed({"a.png": drawn(shade=4)}), packed({"a.png": drawn(shade=5)})
    moon = create_campaign(slug="moon", name="Moon")
    assert "twice, with different content" in refused(moon, {"1.zip": twice[0], "2.zip": twice[1]})


@pytest.mark.parametrize("xmp", [False, True])
def test_a_picture_that_says_where_it_was_taken_needs_a_word(sea: Campaign, xmp: bool) -> None:
    placed = with_exif(gps=True)
    if xmp:
        placed = drawn("WEBP", xmp=b"<x exif:GPSLatitude='52,31N'/>")
    assert "says where it was taken (GPS)" in refused(sea, {"home.jpg": placed})
    put(sea, {"home.jpg": placed}, keep_location=True)
    assert stored_bytes(sea.pictures.get()) == placed


# --- half-way ----------------------------------------------------------------------------


def test_a_store_that_fails_half_way_keeps_nothing(
    sea: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = default_storage.save, []

    def fails_at_the_second(name: str, content: Any) -> str:
        if written:
            raise OSError("disk full")
        written.append(name)
        return real(name, content)

    monkeypatch.setattr(default_storage, "save", fails_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        put(sea, {"a.png": drawn(shade=1), "b.png": drawn(shade=2)})
    assert written
    assert (files(), Picture.objects.count()) == ([], 0)


def test_what_a_killed_upload_left_is_written_anew(sea: Campaign) -> None:
    data = drawn()
    key = sha256(data).hexdigest()
    half = Path(default_storage.path(f"pictures/{sea.pk}/{key[:2]}/{key}"))
    half.parent.mkdir(parents=True)
    half.write_bytes(data[:10])
    put(sea, {"a.png": data})
    assert [path.read_bytes() for path in files()] == [data]


def test_an_upload_that_is_undone_can_be_repeated(sea: Campaign) -> None:
    with transaction.atomic():
        put(sea, {"a.png": drawn()})
        transaction.set_rollback(True)
    assert not Picture.objects.exists()
    assert put(sea, {"a.png": drawn()}).stored == 1


# --- items -------------------------------------------------------------------------------


def shows(name: str, number: int = 1) -> dict[str, Any]:
    texts = [f"Look: ![a chart](<picture:{name}>)", "no picture"]
    return item(number, responses=[{"text": text} for text in texts])


def test_an_import_names_each_picture_that_is_unknown(sea: Campaign) -> None:
    put(sea, {"a.png": drawn()})
    turns = [{"role": "user", "content": "![](picture:d.png)"}]
    rows = [shows("a.png"), shows("b.png", 2), item(3, prompt=turns, context="![](picture:e.png)")]
    row = known(4, "practice", choice=0, explanation="![x](picture:f.png)")
    with pytest.raises(ImportRejected) as caught:
        load(sea, [*rows, row])
    problems = caught.value.problems
    assert [(p.line, p.item_id, p.field) for p in problems] == [
        (2, "toy:2", "responses[0].text"),
        (3, "toy:3", "prompt[0].content"),
        (3, "toy:3", "context"),
        (4, "practice:4", "meta.gold.explanation"),
    ]
    assert "the picture 'b.png' is not known in this campaign" in problems[0].message
    assert not Item.objects.exists()
    assert load(sea, rows, keep_good=True).rejected == 2
    assert Item.objects.get().external_id == "toy:1"


def test_a_reference_in_code_shows_nothing_and_is_no_problem(sea: Campaign) -> None:
    text = "Write `![x](picture:none.png)`, or\n\n    ![x](picture:none.png)\n"
    load(sea, [item(1, prompt=text)])


def test_items_without_pictures_ask_the_database_nothing_more(
    sea: Campaign, django_assert_num_queries: Any
) -> None:
    plain = NativeRow(1, "", "x", "pairwise", "The picture: a cat.", [{"text": "a"}])
    with django_assert_num_queries(0):
        assert pictures.Known(sea).problems(plain) == []


safe_names = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters='%\\<>"'),
    min_size=1,
    max_size=30,
)


@given(safe_names)
def test_every_name_that_is_taken_can_be_written_in_a_text(name: str) -> None:
    try:
        name = checked_name(name)
    except InvalidInput:
        return
    escaped = name.replace("&", "\\&")
    assert pictures_in(f"![words](<picture:{escaped}>)") == [name]


# --- taking away -------------------------------------------------------------------------


def test_a_picture_that_no_text_shows_is_removed_with_its_file(
    sea: Campaign, django_capture_on_commit_callbacks: Any
) -> None:
    put(sea, {"a.png": drawn(), "again.png": drawn(), "b.png": drawn(shade=2)})
    load(sea, [shows("b.png")])
    for name, left in (("a.png", 2), ("again.png", 1)):
        with django_capture_on_commit_callbacks(execute=True):
            assert remove_pictures(campaign=sea, names=[name]) == 1
        assert len(files()) == left
    assert sea.pictures.get().name == "b.png"


@pytest.mark.parametrize("name", ["b.png", "my chart, 1.png", "\u56f3.png"])
def test_a_picture_that_is_shown_stays(sea: Campaign, name: str) -> None:
    put(sea, {name: drawn(), "free.png": drawn(shade=2)})
    load(sea, [shows(name)])
    with pytest.raises(PicturesRejected, match="is shown in a text of this campaign"):
        remove_pictures(campaign=sea, names=["free.png", name])
    assert (sea.pictures.count(), len(files())) == (2, 2)


def test_a_picture_in_guidelines_or_a_chat_stays(sea: Campaign) -> None:
    put(sea, {"g.png": drawn(), "c.png": drawn(shade=2)})
    publish_guidelines(campaign=sea, text="![x](picture:g.png)")
    load(sea, [item(1, prompt=[{"role": "user", "content": "![x](picture:c.png)"}])])
    for name in ("g.png", "c.png"):
        with pytest.raises(PicturesRejected):
            remove_pictures(campaign=sea, names=[name])
