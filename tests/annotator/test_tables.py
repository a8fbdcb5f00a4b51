"""Tables of hostile or careless text: what stands in a row is on the page."""

import re

import pytest

from annotator.content import to_html
from tests.annotator.parsed import Page


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        ("| 1 | 2 | 3 |", ["1", "2", "3"]),
        ("1 | 2 | **3** | | 5", ["1", "2", "3", "", "5"]),
        ("| 1 | 2 |  |  |", ["1", "2"]),
        ("|| 2 | a\\|b", ["", "2", "a|b"]),
        ("| 1", ["1", ""]),
    ],
)
def test_cells_beyond_the_header_of_a_table_are_shown(row: str, cells: list[str]) -> None:
    html = to_html(f"| a | b |\n|---|---|\n| x | y |\n{row}\n\nafter")
    last = html.rpartition("<tr>")[2].partition("</tr>")[0]
    assert [Page(cell).text for cell in re.findall(r"<td[^>]*>(.*?)</td>", last)] == cells
    assert html.endswith("<p>after</p>\n")


def test_what_stands_behind_a_table_in_its_row_is_not_lost() -> None:
    assert "word" in to_html("| a |\n|:-:|\n| <b onmouseover=alert(1)> | word")
