"""Texts of every kind, and how to find and select in them."""

from __future__ import annotations

from typing import Any

CODE = (
    "Use this:\n\n```python\ndef f(x):\n\treturn 'a  b' + " + "x + " * 60 + "''\n```\n\nand `f(1)`."
)
MATHS = (
    "Then $x^2 + y^2 = r^2$, so\n\n$$\n\\int_0^1 \\frac{1}{1 + x^2}\\,dx = \\frac{\\pi}{4}\n$$\n\n"
    "and \\(a \\le b\\). It costs $5 and $10.\n\n"
    "\\begin{align}\na &= b + c \\\\\nd &= e\n\\end{align}"
)
MIXED = (
    "English first, then:\n\nمرحبا بالعالم، هذا نص `x = 1` عربي.\n\n- one\n- اثنان وثلاثة\n\n"
    "> שלום עולם\n\n| a | ب |\n|---|---|\n| 1 | نعم |"
)
LONG = "\n\n".join(f"Paragraph {n} of a long text about light and air." for n in range(60))
LONGER = "\n\n".join(f"Line {n} of a longer text, which goes on and on." for n in range(160))
MARKING = {"rationale": {"tags": ["correct", "unsafe"], "highlights": True}}
TABLE = (
    "| " + " | ".join(f"a long heading {n}" for n in range(9)) + " |\n" + "|---" * 9 + "|\n| 1 |"
)


def with_text(page: Any, part: str) -> Any:
    """The response that has this in it: sides are drawn."""
    return page.locator(".response").filter(has_text=part).first


def select(page: Any, part: str, where: str) -> None:
    """As a mouse would: a range over one piece of text."""
    page.evaluate(
        """([part, where]) => {
          for (const root of document.querySelectorAll(`.columns ${where}`)) {
            const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
              const at = walker.currentNode.data.indexOf(part);
              if (at >= 0) return getSelection().setBaseAndExtent(
                walker.currentNode, at, walker.currentNode, at + part.length);
            }
          }
          throw new Error(part);
        }""",
        [part, where],
    )
    page.wait_for_timeout(100)
