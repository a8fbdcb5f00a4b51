"""Pictures in texts: from allowed hosts, uploaded, missing; and who may be named in the policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.content import Picture, origins, pictures_in, to_html
from tests.annotator.parsed import Page, check_safe

HOSTS = ["pics.example"]


def test_pictures_come_from_allowed_hosts_only() -> None:
    text = "![a cat](https://pics.example/cat.png) ![a dog](https://other.example/dog.png)"
    page = Page(to_html(text, HOSTS))
    (image,) = page.all("img")
    assert image == {
        "src": "https://pics.example/cat.png",
        "alt": "a cat",
        "loading": "lazy",
        "decoding": "async",
        "referrerpolicy": "no-referrer",
    }
    assert [link["href"] for link in page.all("a")] == [
        "https://pics.example/cat.png",
        "https://other.example/dog.png",
    ]
    assert "a dog" in page.text
    assert Page(to_html(text)).all("img") == []


def test_a_picture_without_words_is_named_by_its_address() -> None:
    assert "https://other.example/x.png" in Page(to_html("![](https://other.example/x.png)")).text


def test_a_picture_in_a_link_stays_in_that_link() -> None:
    page = Page(to_html("[![cat](https://pics.example/c.png)](https://example.org)", HOSTS))
    assert [link["href"] for link in page.all("a")] == ["https://example.org"]
    assert len(page.all("img")) == 1


UPLOADED = {
    "a.png": Picture("/c/sky/pictures/0a/", 60, 40),
    "my chart.png": Picture("/c/sky/pictures/0b/", 4000, 1000),
    "tall.png": Picture("/c/sky/pictures/0c/", 100, 3840),
}


def test_an_uploaded_picture_is_shown_with_room_for_it() -> None:
    page = Page(to_html("![a *cat*](picture:a.png 'Tom')", pictures=UPLOADED))
    (image,) = page.all("img")
    assert image == {
        "src": "/c/sky/pictures/0a/",
        "alt": "a cat",
        "title": "Tom",
        "width": "60",
        "height": "40",
        "loading": "lazy",
        "decoding": "async",
    }
    (link,) = page.all("a")
    assert (link["class"], link["href"]) == ("picture", "/c/sky/pictures/0a/")


@pytest.mark.parametrize(
    "written",
    ["<picture:my chart.png>", "picture:my%20chart.png", "PICTURE:my&#32;chart.png"],
    ids=["brackets", "percent", "entity"],
)
def test_a_name_can_be_written_in_several_ways(written: str) -> None:
    (image,) = Page(to_html(f"![x]({written})", pictures=UPLOADED)).all("img")
    assert (image["src"], image["width"], image["height"]) == ("/c/sky/pictures/0b/", "1536", "384")


def test_a_tall_picture_keeps_its_shape() -> None:
    (image,) = Page(to_html("![x](picture:tall.png)", pictures=UPLOADED)).all("img")
    assert (image["width"], image["height"]) == ("10", "384")


def test_a_picture_without_words_gets_some() -> None:
    (image,) = Page(to_html("![](picture:a.png)", pictures=UPLOADED)).all("img")
    assert image["alt"] == "Picture without words"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("![a chart](picture:none.png)", "a chart This picture could not be loaded."),
        ("![](picture:none.png)", "none.png This picture could not be loaded."),
        ("![](<picture:<b>x</b>>)", "<picture:<b>x</b>>"),
    ],
    ids=["words", "name", "no address"],
)
def test_an_uploaded_picture_that_is_missing_is_words(text: str, said: str) -> None:
    page = check_safe(to_html(text, pictures=UPLOADED))
    assert said in page.text
    assert page.all("img") == page.all("a") == []


def test_an_uploaded_picture_in_a_link_stays_in_that_link() -> None:
    page = Page(to_html("[![cat](picture:a.png)](https://example.org)", pictures=UPLOADED))
    assert [link["href"] for link in page.all("a")] == ["https://example.org"]
    assert len(page.all("img")) == 1


def test_a_link_to_an_uploaded_picture_is_no_live_link() -> None:
    page = check_safe(to_html("[words](picture:a.png)", pictures=UPLOADED))
    assert "href" not in page.all("a")[0]
    assert "words" in page.text


def test_pictures_of_a_text_are_those_that_it_shows() -> None:
    text = "![](picture:a.png) `![](picture:b.png)` [x](picture:c.png) > ![](picture:d.png)\n\n"
    assert pictures_in(text + "| ![](picture:e.png) |\n|--|\n") == ["a.png", "d.png", "e.png"]
    assert pictures_in("![](picture:a.png)" + "*" * 60_000) == []


PIECES = ["![a](picture:b.png)", "![](picture:d/é_2.png)", "[x](y)", "word", "*", "_", "> ", "- "]
PIECES += [
    "`",
    "```",
    "\n",
    "\n\n",
    "    ",
    "$",
    "\\",
    "<",
    "&",
    "[",
    "]",
    "!",
    "![b](<picture:c d.png>)",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_what_is_found_without_the_parser_is_what_the_parser_finds(pieces: list[str]) -> None:
    text = "".join(pieces)
    known = {name: Picture(name, 1, 1) for name in ("b.png", "d/é_2.png", "c d.png")}
    shown = [image["src"] for image in Page(to_html(text, pictures=known)).all("img")]
    assert pictures_in(text) == [src.replace("%20", " ").replace("%C3%A9", "é") for src in shown]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("pics.example", ["https://pics.example"]),
        ("Pics.Example:8443", ["https://pics.example:8443"]),
        ("http://localhost:8000", ["http://localhost:8000"]),
        ("*", []),
        ("*.example", []),
        ("pics.example; script-src *", []),
        ("pics.example/path", []),
        ("'self'", []),
        ("data:", []),
        ("", []),
    ],
)
def test_only_plain_host_names_reach_the_policy(host: str, origin: list[str]) -> None:
    assert sorted(origins([host])) == origin
