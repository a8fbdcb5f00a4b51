"""What a page must keep: axe without violations, no sideways scroll, a walk with Tab in order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("vendor") / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
THEMES = ("light", "dark")
WIDTHS = {1280: 860, 640: 430, 360: 740}  # 640: 1280 at 200 %

# Bars that stick to an edge are let go meanwhile: what lies behind one can be scrolled clear of it.
RUN = """async ([tags, within]) => {
  const stuck = [...document.querySelectorAll("*")].filter(
    (element) => getComputedStyle(element).position === "sticky");
  const free = { position: "relative", inset: "auto" };
  for (const element of stuck) Object.assign(element.style, free);
  const found = await axe.run(within ?? document, {
    runOnly: tags, rules: {"target-size": {enabled: true}}, resultTypes: ["violations"],
  });
  for (const element of stuck) Object.assign(element.style, { position: "", inset: "" });
  return found.violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`));
}"""

# Where Tab may stop, in the order of the document; of the radio buttons of a group only one.
STOPS = """() => {
  const all = "a[href], button, input, select, textarea, summary, [tabindex], [contenteditable]";
  const groups = new Set();
  const found = [...document.querySelectorAll(all)].filter((element) => {
    if (element.tabIndex < 0 || element.disabled || element.type === "hidden") return false;
    const shut = element.closest("details:not([open])");
    if (shut && !(element.matches("summary") && element.parentElement === shut)) return false;
    if (!element.checkVisibility({ visibilityProperty: true })) return false;
    if (element.type !== "radio") return true;
    const members = [...document.querySelectorAll(`input[type=radio][name="${element.name}"]`)];
    const stop = members.find((member) => member.checked) ?? element;
    if (groups.has(element.name) || stop !== element) return false;
    groups.add(element.name);
    return true;
  });
  found.forEach((element, place) => { element.dataset.stop = place; });
  getSelection().removeAllRanges();
  document.body.tabIndex = -1; // Tab goes on from what had the focus last
  document.body.focus();
  document.body.removeAttribute("tabindex");
  return found.map((element) => element.outerHTML.slice(0, 120));
}"""

# The stop that has the focus: its place, whether its focus shows, and whether it can be seen.
HERE = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const near = [element, element.closest("label"), element.parentElement].filter(Boolean);
  const shows = near.some((part) => {
    const style = getComputedStyle(part);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)
      || style.boxShadow !== "none";
  });
  const box = (element.closest("label") ?? element).getBoundingClientRect();
  const points = [[.5, .5], [.1, .1], [.9, .1], [.1, .9], [.9, .9]];
  const seen = points.some(([x, y]) => {
    const top = document.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
    return top && near.slice(0, 2).some((part) => part.contains(top) || top.contains(part));
  });
  return { stop: element.dataset.stop ?? null, shows, seen, html: element.outerHTML.slice(0, 120) };
}"""

# A new width has been laid out and told to the page: its listeners hear of it before the frame.
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

NAMELESS = """() => [...document.querySelectorAll(
  "[role=radiogroup], [role=group], [role=region], fieldset, dialog, nav, section[aria-labelledby]",
)].filter((group) => {
  const by = (group.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
  const said = by.map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const legend = group.querySelector(":scope > legend")?.textContent ?? "";
  return !(group.getAttribute("aria-label") || said || legend).trim();
}).map((group) => group.outerHTML.slice(0, 160))"""

HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter((heading) => heading.checkVisibility() && !heading.closest(".response-text, .prose"))
  .map((heading) => Number(heading.tagName[1]))"""

LANDMARKS = """() => ({
  header: document.querySelectorAll("body > header").length,
  main: document.querySelectorAll("main").length,
  outside: [...document.querySelectorAll("h1")].filter((h) => !h.closest("main")).length,
})"""


def violations(page: Any, within: str | None = None) -> list[str]:
    """What axe finds against WCAG 2.2 AA."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(SOURCE.read_text(encoding="utf-8") + ";undefined")
    found: list[str] = page.evaluate(RUN, [TAGS, within])
    return found


def check(page: Any, where: str) -> None:
    """Both themes, a desk, a phone and 200 % zoom; then the structure of the page."""
    troubles: list[str] = []
    for width, height in WIDTHS.items():
        _resize(page, width, height)
        if (beyond := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            troubles.append(f"{width} px: scrolls sideways by {beyond} px")
        for theme in THEMES if width != 640 else ():
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            troubles += [f"{width} px, {theme}: {said}" for said in violations(page)]
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    _resize(page, 1280, 860)
    assert not troubles, (where, troubles)
    check_structure(page, where)


def _resize(page: Any, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(SETTLED)


def check_structure(page: Any, where: str) -> None:
    """One h1 first, no level skipped, one main, every group with a name."""
    levels = page.evaluate(HEADINGS)
    assert (levels[:1], levels.count(1)) == ([1], 1), (where, levels)
    assert all(after <= before + 1 for before, after in pairwise(levels)), (where, levels)
    marks = page.evaluate(LANDMARKS)
    assert marks == {"header": 1, "main": 1, "outside": 0}, (where, marks)
    nameless = page.evaluate(NAMELESS)
    assert not nameless, (where, nameless)


def walk(page: Any) -> None:
    """Tab goes through everything in the order of the document; focus shows and is not covered."""
    wanted = page.evaluate(STOPS)
    here = []
    for _ in range(len(wanted) + 1):
        page.keyboard.press("Tab")
        now = page.evaluate(HERE)
        if now is None:
            break
        here.append(now)
    walked = [now["stop"] for now in here if now["stop"] is not None][: len(wanted)]
    assert walked == [str(n) for n in range(len(wanted))], (
        [wanted[n] for n in range(len(wanted)) if str(n) not in walked],
        [now["html"] for now in here],
    )
    unmarked = [now["html"] for now in here if not now["shows"]]
    assert not unmarked, f"focus does not show: {unmarked}"
    covered = [now["html"] for now in here if not now["seen"]]
    assert not covered, f"covered while focused: {covered}"
