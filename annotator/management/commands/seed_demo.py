"""`manage.py seed_demo`: a campaign for every form, on real data, and two people to sign in as."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from annotator.models import Campaign, Judge, Membership
from annotator.services.campaigns import add_member, create_campaign, start_campaign
from annotator.services.imports import ImportOptions, import_items
from annotator.services.judges import add_judge, change_judge
from annotator.services.picture_files import from_stream
from annotator.services.pictures import add_pictures

DATA = Path(__file__).resolve().parents[2] / "demo"
SLUG = "everyday"
COMPARING = """\
# What we ask of you

You see a request that somebody made of an assistant, and two answers, **A** and **B**.
Choose the answer that you would rather have received.

- Read both answers to the end before you choose.
- A correct, complete answer beats an eloquent wrong one. Longer is not better.
- **Much better**: you would not accept the other one. **Clearly better**: you could say why in
  one sentence. **Slightly better**: a matter of taste.
- **Equally good**: you would not mind which one you got.
- **Neither is good enough**: both would have to be written again.
- **Skip** what you cannot judge. **Flag** what should not be here, and say why.

A reason in a few words helps the researchers, but you need not give one.
"""

RANKING = """\
# What we ask of you

Three versions of one paragraph. Put them in order, the one you would rather read first.

- Drag the letters, move them with the arrow keys, or type a place for each: all three do the same.
- Two that you like equally may share a place.
- What you cannot judge stays in the tray.
"""
PICKING = """\
# What we ask of you

Four answers to one request. Which one would you rather have received, and which one least? You
need not order the two in between.
"""
RATING = """\
# What we ask of you

Judge each answer by itself, from very poor to excellent: how good it is on the whole, and how much
of it is true. Thumbs up means that you would send it as it is.
"""
ACCEPTING = """\
# What we ask of you

Is each answer good enough to be sent as it is? Both may be, or neither.
"""
EDITING = """\
# What we ask of you

Rewrite the paragraph until you would put your name under it. Change as little as that takes, and
say why. If there is nothing to change, say so.
"""
CHARTS = """\
# What we ask of you

A few numbers, and two charts of them. Which chart would you rather be shown?

- A fair chart beats a striking one: look where the axis begins.
- Enter, or a click, enlarges a chart.
"""


@dataclass(frozen=True)
class Demo:
    """One campaign of the demo: a form of feedback on real data.

    `pictures` names an archive of those that the texts show, `judge` has the settings of the
    judge that answers beside people.
    """

    slug: str
    name: str
    description: str
    guidelines: str
    files: dict[str, ImportOptions]
    fields: dict[str, Any] = field(default_factory=dict)
    pictures: str = ""
    judge: dict[str, Any] = field(default_factory=dict)


ANSWERED = ImportOptions(history=True)
DEMOS = [
    Demo(
        SLUG,
        "Everyday requests",
        "Which of two assistants' answers would people rather have? "
        "160 requests with the answers of several models.",
        COMPARING,
        {
            "everyday_answered": ImportOptions(history=True, strength_max=3),
            "everyday_pool": ImportOptions(),
        },
        {"batch_size": 20, "labels_per_round": 10, "queue_low": 10},
    ),
    Demo(
        "paragraph-rank",
        "Three versions, ranked",
        "Paragraphs by a model, edited by a model, edited by a writer.",
        RANKING,
        {"stories": ANSWERED},
        {"form": "rank"},
    ),
    Demo(
        "advice-best-worst",
        "Best and worst advice",
        "Four answers to one request, written to differ.",
        PICKING,
        {"advice": ANSWERED},
        {"form": "best_worst"},
    ),
    Demo(
        "everyday-rate",
        "Everyday requests, rated",
        "Each answer by itself: on the whole, and for truth.",
        RATING,
        {"everyday_pool": ImportOptions()},
        {
            "form": "rate",
            "form_options": {"rate": {"aspects": ["overall", "truthful"], "thumbs": True}},
        },
    ),
    Demo(
        "everyday-accept",
        "Good enough to send?",
        "Everyday requests again: is each answer good enough?",
        ACCEPTING,
        {"everyday_answered": ANSWERED, "everyday_pool": ImportOptions()},
        {"form": "accept"},
    ),
    Demo(
        "paragraph-edit",
        "Paragraphs to rewrite",
        "A model's paragraph, until you would sign it.",
        EDITING,
        {"paragraphs": ANSWERED},
        {"form": "edit"},
    ),
    Demo(
        "everyday-trained",
        "Everyday requests, with practice",
        "Practice with explanations, a short test, then requests with gold and repeats among them.",
        COMPARING,
        {"everyday_known": ImportOptions(), "everyday_pool": ImportOptions()},
        {"qualification_pass": 0.6, "gold_share": 0.1, "repeat_share": 0.05},
    ),
    Demo(
        "everyday-judged",
        "Everyday requests, people and a judge",
        "A judge on this machine answers first; people get what is worth their time, and an audit.",
        COMPARING,
        {
            "everyday_answered": ImportOptions(history=True, strength_max=3),
            "everyday_pool": ImportOptions(),
        },
        {"batch_size": 20, "labels_per_round": 8, "queue_low": 6, "human_share": 0.4}
        | {"routing_config": {"pilot": 30}},  # which the history gives at once
        judge={"name": "demo-judge", "model": "tiebreak-demo-judge", "history_sample": 60},
    ),
    Demo(
        "charts",
        "Two charts of the same numbers",
        "Responses that are pictures: uploaded ones, seen by people of the campaign only.",
        CHARTS,
        {"charts": ImportOptions()},
        pictures="charts.zip",
    ),
]
SMALL = {"batch_size": 8, "labels_per_round": 4, "queue_low": 4}


class Command(BaseCommand):
    help = "Create the demo campaigns and their people; running it again changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        place = Path(settings.VAR_DIR) / "demo.json"
        with transaction.atomic():
            people = self._people(place)
            there = set(Campaign.objects.values_list("slug", flat=True))
            for demo in DEMOS:
                if demo.slug not in there:
                    self._campaign(demo, people)
            ours = [demo.judge["name"] for demo in DEMOS if demo.judge]
            moved = Judge.objects.filter(campaign__slug__in=[demo.slug for demo in DEMOS])
            for judge in moved.filter(name__in=ours).exclude(base_url=_judge_url()):
                change_judge(judge=judge, base_url=_judge_url())
        self.stdout.write(f"sign-ins in {place}")

    def _people(self, place: Path) -> dict[str, User]:
        """The demo's two users; somebody else of the same name is never touched."""
        stored = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
        people = {}
        for role, username in (("annotator", "ada"), ("researcher", "ruth")):
            user = User.objects.filter(username=username).first()
            if user is not None and role not in stored:
                raise CommandError(
                    f"there is a user {username!r} who was not made by the demo, and {place} does "
                    "not say otherwise; the demo needs that name"
                )
            if user is None:
                password = secrets.token_urlsafe(9)
                user = User.objects.create_user(
                    username, password=password, is_staff=role == "researcher"
                )
                stored[role] = {"username": username, "password": password}
            people[role] = user
        if Campaign.objects.filter(slug=SLUG).exists():
            return people
        allowed = Permission.objects.filter(content_type__app_label="annotator")
        people["researcher"].user_permissions.set(
            allowed.filter(codename__regex="^view_")
            | allowed.filter(codename__endswith="_campaign")
        )
        people["researcher"].user_permissions.add(
            *Permission.objects.filter(codename__in=["view_user", "add_membership"]),
            *allowed.filter(codename__in=["change_membership", "delete_membership"]),
        )
        stored["url_path"] = "/"
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(stored, file, indent=2)
        return people

    def _campaign(self, demo: Demo, people: dict[str, User]) -> None:
        campaign = create_campaign(
            slug=demo.slug,
            name=demo.name,
            description=demo.description,
            owner=people["researcher"],
            guidelines=demo.guidelines,
            **{**SMALL, **demo.fields},
        )
        add_member(campaign=campaign, user=people["annotator"], role=Membership.Role.ANNOTATOR)
        if demo.pictures:
            with (DATA / demo.pictures).open("rb") as stream:
                add_pictures(campaign=campaign, sources=from_stream(demo.pictures, stream))
        for name, options in demo.files.items():
            with (DATA / f"{name}.jsonl").open("rb") as stream:
                import_items(campaign=campaign, stream=stream, options=options)
        if demo.judge:
            add_judge(campaign=campaign, base_url=_judge_url(), **demo.judge)
        start_campaign(campaign=campaign)


def _judge_url() -> str:
    """Where the demo's judge listens this time."""
    return os.environ.get("DEMO_JUDGE_URL", "http://127.0.0.1:8001/v1")
