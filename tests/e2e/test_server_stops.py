"""The server is killed while an answer is typed and sent, and started again: it arrives once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User

from annotator.models import Annotation, Campaign
from config.broker import install_queue_schema
from config.demo import answers
from tests.campaigns import ask, make_campaign
from tests.e2e.keyboard import arrived, question, sign_in
from tests.worker.processes import process, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


@pytest.fixture
def campaign(ada: User) -> Campaign:
    install_queue_schema()
    # The server is a process of its own, with the hashers of a deployment.
    User.objects.update(password=PBKDF2PasswordHasher().encode("ada", "salt-for-tests"))
    made = make_campaign(people=(ada,))
    ask(made)
    return made


def test_an_answer_given_while_the_server_was_down_arrives_once(
    campaign: Campaign, page: Any, free_port: int, tmp_path: Path
) -> None:
    site = f"http://127.0.0.1:{free_port}"
    web = {"WEB_BIND": f"127.0.0.1:{free_port}", "DEBUG": "true"}
    with process("web", tmp_path, **web) as running:
        until(lambda: answers(free_port), what="the site")
        page.goto(f"{site}/c/{campaign.slug}/")
        sign_in(page, "ada")
        first = question(page)
        page.wait_for_timeout(500)
        page.keyboard.press("r")
        page.keyboard.type("typed while it fell")
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        page.keyboard.type(" over")
        page.wait_for_selector("#saved.bad")
        page.keyboard.press("Escape")
        page.keyboard.press("2")
        page.wait_for_selector("#notice :text('Not sent yet')")
    with process("web", tmp_path, **web):
        until(lambda: answers(free_port), what="the site again")
        arrived(page)
        assert question(page) != first
    said = Annotation.objects.get()
    assert (str(said.assignment_id), said.strength) == (first, 2)
    assert said.rationale == "typed while it fell over"
