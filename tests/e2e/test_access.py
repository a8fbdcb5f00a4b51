"""WCAG 2.2 AA on every page: axe, both themes, phones and zoom, keyboard and reading order."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, Query, Round
from annotator.services import judges
from annotator.services.campaigns import add_member, publish_guidelines
from annotator.services.curation import record_report
from annotator.services.rounds import fail_round
from tests.annotator import judged
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, item, known, make_campaign
from tests.e2e.axe import SOURCE, check, violations, walk
from tests.e2e.keyboard import question
from tests.e2e.shown import FORMS_SHOWN, as_person, several

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

STILL = """() => document.getAnimations().filter((one) => one.playState === "running"
  && (one.effect.getComputedTiming().iterations === Infinity
    || one.effect.getComputedTiming().activeDuration > 100)).length"""


def test_axe_is_the_file_that_the_readme_names() -> None:
    said = SOURCE.with_name("README.md").read_text(encoding="utf-8")
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    version = re.search(r"axe v([\d.]+)", SOURCE.read_text(encoding="utf-8")[:200])
    assert version is not None
    assert f"| {version[1]} | MPL-2.0" in said
    assert f"`{digest}`" in said


def test_axe_finds_what_is_wrong(page: Any) -> None:
    page.set_content("<html lang=en><title>x</title><main><img src=x><p style='color:#bbb'>Faint")
    assert {said.split(":")[0] for said in violations(page)} == {"image-alt", "color-contrast"}


@pytest.fixture
def visit(page: Any, live_server: Any) -> Any:
    """Opens a page as somebody."""

    def go(path: str, person: User | None = None) -> Any:
        if person is not None:
            as_person(page.context, person, live_server.url)
        page.emulate_media(reduced_motion="reduce")
        page.goto(live_server.url + path)
        page.wait_for_load_state("networkidle")
        return page

    return go


@pytest.mark.parametrize("name", FORMS_SHOWN)
def test_a_question_of_every_form(ada: User, visit: Any, name: str) -> None:
    shown = FORMS_SHOWN[name]
    rows = [several(n, shown.size) for n in range(3)]
    made = make_campaign(people=(ada,), rows=rows, form=shown.form, **shown.fields)
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    check(page, name)
    walk(page)
    page.set_viewport_size({"width": 360, "height": 740})
    walk(page)
    if name == "compare":
        return  # one press answers: there is nothing to forget
    page.set_viewport_size({"width": 1280, "height": 860})
    page.keyboard.press("Escape")
    page.click("button.send")
    page.wait_for_selector("#errors")
    check(page, f"{name}, with errors")


RICH = """## Title

Some *emphasis*, `code`, a [link](https://example.org) and a picture:
![a cat](https://images.example.org/cat.png)

| what | how much |
|---|---|
| light | much |

```python
def f(x):
    return x + 1  # a comment
```

$$E = mc^2$$ and \\(a+b\\).

> quoted

1. one
2. two

שלום עולם, mixed with English.
"""


@pytest.mark.parametrize("hosts", [[], ["images.example.org"]])
def test_texts_of_every_kind(ada: User, visit: Any, hosts: list[str]) -> None:
    turns = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": RICH}]
    texts = [RICH, "word " * 800 + "`" + "x" * 300 + "`"]
    responses = [{"text": text, "model": "m"} for text in texts]
    rows = [item(0, prompt=turns, context="Long " * 900, responses=responses)]
    made = make_campaign(people=(ada,), rows=rows, image_hosts=hosts)
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    check(page, "rich texts")
    walk(page)
    page.keyboard.press("p")
    page.wait_for_selector("#as-written[aria-pressed=true]")
    check(page, "rich texts as written")


def test_responses_to_different_prompts(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,), prompts=2, candidates="any")
    first, second = made.prompts.order_by("pk")
    [asked, *others] = ask(made)
    place = asked.members.order_by("-pk")[0]
    other = second if place.response.prompt_id == first.pk else first
    asked.members.filter(pk=place.pk).update(response=other.responses.first())
    made.queries.filter(pk__in=[query.pk for query in others]).update(withdrawn=True)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    assert page.locator(".own-prompt").count() == 2
    check(page, "different prompts")
    walk(page)


def test_practice_and_the_test(ada: User, visit: Any) -> None:
    rows = [known(1, "practice", choice=0, explanation="Paint is *not* grass."), item(1), item(2)]
    rows += [known(n, "qualification") for n in (2, 3)]
    made = make_campaign(people=(ada,), rows=rows, qualification_pass=0.5)
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    check(page, "practice")
    walk(page)
    page.keyboard.press("1")
    page.wait_for_selector(":text('Paint is')")
    check(page, "practice, explained")
    walk(page)
    page = visit(f"/c/{made.slug}/qualification/")
    check(page, "test")
    walk(page)


def test_texts_as_written_and_the_drawer(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    publish_guidelines(campaign=made, text="# Be fair\n\nAnd *quick*.\n\n## Always\n\n- Read.")
    Campaign.objects.get(pk=made.pk).annotators.update(guidelines_read=9)
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    page.keyboard.press("p")
    page.wait_for_selector("#as-written[aria-pressed=true]")
    check(page, "as written")
    page.keyboard.press("g")
    page.wait_for_selector("#drawer[open] #drawer-body :text('fair')")
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []


def test_nothing_moves_for_those_who_want_no_motion(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    assert page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.hover("button.strength")
    page.keyboard.press("2")
    assert page.evaluate(STILL) == 0
    Round.objects.create(campaign=made, number=9, trigger="test")
    made.queries.update(withdrawn=True)
    page.reload()
    page.wait_for_selector(".state")
    assert page.evaluate(STILL) == 0


def test_signing_in(ada: User, visit: Any) -> None:
    page = visit("/signin/")
    check(page, "sign in")
    walk(page)
    page.fill("input[name=username]", "ada")
    page.fill("input[name=password]", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector(".errors")
    check(page, "sign in, refused")


def test_home_with_and_without_campaigns(ada: User, sam: User, ruth: User, visit: Any) -> None:
    made = make_campaign(people=(ada,), description="About the sky.")
    add_member(campaign=made, user=ruth, role="owner")
    ask(made)
    for person in (ada, ruth, sam):
        page = visit("/", person)
        check(page, f"home of {person}")
        walk(page)


def test_guidelines_before_and_after_they_are_read(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    text = (
        "# Be fair\n\nAnd *quick*: `code`, [a link](https://example.org).\n\n## Always\n\n- Read."
    )
    publish_guidelines(campaign=made, text=text)
    made.annotators.update(guidelines_read=0)
    page = visit(f"/c/{made.slug}/guidelines/", ada)
    check(page, "guidelines")
    walk(page)
    made.annotators.update(guidelines_read=1)
    check(visit(f"/c/{made.slug}/guidelines/"), "guidelines, read")


def test_an_empty_queue_for_every_reason(ada: User, ben: User, visit: Any) -> None:
    made = make_campaign(people=(ada, ben), prompts=1)
    where = f"/c/{made.slug}/"
    started = Round.objects.create(campaign=made, number=1, trigger="test")
    check(visit(where, ada), "being chosen")
    fail_round(round_id=started.pk, error="out of memory")
    check(visit(where), "failed")
    started.delete()
    ask(made)
    lease(made, ben)
    check(visit(where), "with others")
    for state in ("paused", "finished"):
        Campaign.objects.filter(pk=made.pk).update(state=state)
        check(visit(where), state)
        walk(visit(where))


def test_my_answers_and_keys(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    ask(made)
    for choice in ("a2", "tie", "neither"):
        answer(lease(made, ada), ada, choice, rationale="because")
    for path in (f"/c/{made.slug}/mine/", "/keys/"):
        page = visit(path, ada)
        check(page, path)
        walk(page)
    page = visit(f"/c/{made.slug}/mine/")
    page = visit(page.get_attribute("main a[href$='/change/']", "href"))
    check(page, "a correction")
    walk(page)


def test_the_figures(ada: User, ruth: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    add_member(campaign=made, user=ruth, role="owner")
    ask(made)
    answer(lease(made, ada), ada)
    fail_round(
        round_id=Round.objects.create(campaign=made, number=2, trigger="test").pk, error="no memory"
    )
    page = visit(f"/c/{made.slug}/progress/", ruth)
    check(page, "progress")
    walk(page)


def test_judges_and_routing(ruth: User, visit: Any) -> None:
    made = make_campaign(prompts=2)
    add_member(campaign=made, user=ruth, role="owner")
    judge = judged.add(made, "judge-" * 10, model="m" * 200, spend_limit=5)
    for number in (1, 2):
        one = Round.objects.create(campaign=made, number=number, trigger="test", state="published")
        query = Query.objects.create(
            campaign=made, round=one, prompt=made.prompts.first(), form="compare", arm="policy"
        )
        judged.route(judge, query, "human" if number == 1 else "judge")
    judges.stop_asking(judge=judge, why="the endpoint refused the key")
    judges.record_report(judge=judge, audited=40, figures=judged.figures())
    page = visit(f"/c/{made.slug}/judges/", ruth)
    for fold in page.locator("#judging summary").all():
        fold.click()
    check(page, "judges and routing")
    walk(page)


def test_the_checks_before_an_export(ruth: User, visit: Any) -> None:
    made = make_campaign(prompts=2)
    add_member(campaign=made, user=ruth, role="owner")
    first, second = made.prompts.order_by("pk")
    chosen, rejected = first.responses.order_by("pk")
    first.responses.filter(pk=chosen.pk).update(text="long" * 300, model="m" * 120)
    example = {"question": "toy:0", "prompt": first.pk, "other": second.pk, "score": 0.8}
    example |= {"chosen": chosen.pk, "rejected": rejected.pk, "votes": [2, 1, 0], "note": "nearly"}
    won = {"value": 0.8, "low": 0.7, "high": 0.9}
    rates = [{"model": "m" * 120, "rows": 9, "won": won}]
    found = {"rows": 1, "of": 2, "leaves_out": 1, "sentence": "One row looks wrong."}
    found |= {"figures": {"win_rates": rates}, "examples": [example, example]}
    record_report(
        campaign=made,
        questions=2,
        annotations_seen=0,
        against="a" * 150,
        findings=[{"name": name, **found} for name in ("duplicates", "source")],
        left_out={},
    )
    page = visit(f"/c/{made.slug}/curation/", ruth)
    for fold in page.locator("#report summary").all():
        fold.click()
    check(page, "before an export")
    walk(page)


def test_a_page_that_is_not_there(ada: User, visit: Any) -> None:
    page = visit("/c/nothing/", ada)
    check(page, "not found")


def test_the_options_of_the_campaign_form(browser: Any, ruth: User, live_server: Any) -> None:
    context = browser.new_context(bypass_csp=True, reduced_motion="reduce")  # axe styles the admin
    as_person(context, ruth, live_server.url)
    page = context.new_page()
    page.goto(f"{live_server.url}/admin/annotator/campaign/add/")
    page.select_option("#id_form", "rate")
    page.wait_for_selector("#id_asked_rate_labels")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for part in (".options.of-form", ".field-follow_ups"):
            assert violations(page, part) == []
    context.close()
