"""From the press of a key to the next question on the screen, in a real browser.

    .venv/bin/python -m benchmarks.keypress [--answers 60]

Chromium answers a toy campaign by key, a second apart. Once with the next question leased ahead,
once without (the request for it is blocked): what one waits for otherwise. Measured inside the
page, from the key event to the second frame after the question changed. Every press has to bring a
question that was not there before, or the benchmark fails. Also: what the first visit brings over
the wire.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import Any

from benchmarks.pages import prepare
from benchmarks.stack import running

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WATCH = """() => {
  window.spent = [];
  window.again = 0; // questions that came back after they were answered
  let pressed = 0;
  const shown = () => document.getElementById("question")?.dataset.answer ?? "";
  let before = shown();
  const seen = new Set([before]);
  document.addEventListener("keydown", (event) => (pressed = event.timeStamp), true);
  new MutationObserver(() => {
    if (shown() === before) return;
    before = shown();
    window.again += seen.has(before);
    seen.add(before);
    if (!pressed) return;
    const from = pressed;
    pressed = 0;
    requestAnimationFrame(() => requestAnimationFrame((now) => window.spent.push(now - from)));
  }).observe(document.getElementById("workspace"), { childList: true });
}"""


def answer(browser: Any, base: str, name: str, answers: int, *, ahead: bool) -> list[float]:
    """Milliseconds of each answer, the fastest first.

    Raises:
        RuntimeError: a press brought no question, or one that had been answered.
    """
    window = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    weight = [0]
    session = window.context.new_cdp_session(window)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda e: weight.append(int(e["encodedDataLength"])))
    if not ahead:
        window.route("**/ahead/", lambda route: route.abort())
    window.goto(f"{base}/c/pages/")
    window.fill("input[name=username]", name)
    window.fill("input[name=password]", name)
    weight.clear()
    window.keyboard.press("Enter")
    window.wait_for_selector("#question")
    window.wait_for_timeout(1000)
    print(f"  first question: {sum(weight) / 1000:.0f} kB over the wire", flush=True)
    window.evaluate(WATCH)
    for number in range(answers):
        window.keyboard.press(["1", "2", "3", "4", "5", "6", "7"][number % 7])
        window.wait_for_timeout(1000)
    spent = [float(one) for one in window.evaluate("() => window.spent")]
    again = window.evaluate("() => window.again")
    if len(spent) != answers or again:
        raise RuntimeError(
            f"{len(spent)} of {answers} presses brought a question; {again} came back answered"
        )
    return sorted(spent)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--answers", type=int, default=60)
    options = parser.parse_args()
    with running() as stack:
        prepare(2, 4 * options.answers)
        # After Django has read the database: the browser's loop runs in this thread.
        from playwright.sync_api import sync_playwright

        path = shutil.which("chromium")
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=path, args=ARGUMENTS)
            for name, ahead in (("p0", True), ("p1", False)):
                how = "leased ahead" if ahead else "asked for when answered"
                print(how, flush=True)
                spent = answer(browser, stack.base, name, options.answers, ahead=ahead)
                print(
                    f"  {len(spent)} presses; key to next question painted: "
                    f"p50 {spent[len(spent) // 2]:.0f} ms, p95 {spent[int(len(spent) * 0.95)]:.0f} "
                    f"ms, max {spent[-1]:.0f} ms",
                    flush=True,
                )
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
