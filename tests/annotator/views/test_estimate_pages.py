"""What a training would take, on the page where it is started."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Campaign, Job, TrainingEstimate
from annotator.services import estimates
from annotator.services.campaigns import add_member
from annotator.tuned import span_of_time
from tests.annotator.finetuned import FIGURES, begun, ended, measured

pytestmark = pytest.mark.django_db
WHERE = "/c/sky/encoders/"
ESTIMATE = f"{WHERE}estimate/"
HX = {"HX-Request": "true"}


def page(client: Client) -> str:
    answer = client.get(WHERE)
    assert answer.status_code == 200
    return answer.content.decode()


def told(client: Client, campaign: Campaign, **changes: Any) -> str:
    """The page after a worker measured these figures."""
    made = measured(campaign, copy.deepcopy(FIGURES) | changes)
    assert made.state == "done"
    return " ".join(page(client).split())


def test_it_is_asked_for_beside_the_start_and_watched(campaign: Campaign, as_ruth: Client) -> None:
    assert f'formaction="{ESTIMATE}"' in page(as_ruth)
    sent = {"method": "lora", "epochs": "3", "aspects": "on"}
    answer = as_ruth.post(ESTIMATE, sent, headers=HX)
    assert answer.status_code == 200
    part = answer.content.decode()
    assert part.lstrip().startswith('<div id="estimate"')
    assert f'hx-get="{ESTIMATE}"' in part
    assert "Waiting for a worker" in part
    made = TrainingEstimate.objects.get()
    assert (made.method, made.plan, made.requested_by) == ("lora", {"epochs": 3}, made.requested_by)
    assert made.requested_by is not None
    job = Job.objects.get(kind="estimate")
    assert (job.queue, job.arguments) == ("learning", {"estimate": made.pk})
    Job.objects.filter(pk=job.pk).update(state="running", message="timing some steps")
    assert "Timing some steps" in as_ruth.get(ESTIMATE, headers=HX).content.decode()
    again = as_ruth.post(ESTIMATE, sent, headers=HX)
    assert "Timing some steps" in again.content.decode()
    assert TrainingEstimate.objects.count() == 1


def test_without_scripts_the_page_comes_back_with_the_options(
    campaign: Campaign, as_ruth: Client
) -> None:
    answer = as_ruth.post(ESTIMATE, {"method": "lora", "epochs": "3", "aspects": "on"})
    assert (answer.status_code, answer["Location"]) == (302, WHERE)
    form = as_ruth.get(WHERE).context["form"]
    assert (form["method"].value(), form["epochs"].value()) == ("lora", 3)
    assert form["batch"].value() == 32
    assert as_ruth.get(ESTIMATE)["Location"] == WHERE


def test_time_memory_and_counts_are_said(campaign: Campaign, as_ruth: Client) -> None:
    shown = told(as_ruth, campaign)
    assert "about <strong>12 to 25 minutes</strong> and 1.2 GB of memory" in shown
    assert "of 21.3 GB that are free" in shown
    assert "1 012 comparisons of 1 800 responses" in shown
    assert "3 to find out how well it goes" in shown
    assert "1 to 4 passes" in shown
    assert "95 to 380." in shown
    assert "at 850 a second on 1 thread of the processor" in shown
    assert "12.0 % of the responses" in shown
    assert "all weights, epochs 2" in shown
    assert 'hx-trigger="every 2s"' not in shown


def test_what_does_not_fit_is_said(campaign: Campaign, as_ruth: Client) -> None:
    memory = {**FIGURES["memory"], "fits": False, "available": 2**28}
    shown = told(as_ruth, campaign, memory=memory, duration=None)
    assert "It does not fit into memory." in shown
    assert "needs 984.8 MB, and 256.0 MB are free" in shown
    assert "It would take" not in shown


def test_too_few_held_out_prompts_are_said(campaign: Campaign, as_ruth: Client) -> None:
    assert "Nothing would be promoted" not in told(as_ruth, campaign)
    shown = told(as_ruth, campaign, held_out=1)
    assert "Nothing would be promoted:</strong> 1 held-out prompt has a clear answer" in shown


def test_what_cannot_be_trained_on_is_said(campaign: Campaign, as_ruth: Client) -> None:
    made = estimates.request_estimate(campaign=campaign)
    assert made is not None
    estimates.fail_estimate(estimate_id=made.pk, error="There are no <labels> to learn from.")
    shown = page(as_ruth)
    assert "A training could not begin." in shown
    assert "There are no &lt;labels&gt; to learn from." in shown
    assert "Start the training" in shown


def test_nothing_to_hold_out_and_missing_features_are_said(
    campaign: Campaign, as_ruth: Client
) -> None:
    shown = told(as_ruth, campaign, folds=0, epochs=[2, 2], judges_counted=False, aspects=1)
    assert "nothing can be held out; 2 passes" in shown
    assert "Features are not computed yet" in shown
    assert "ratings of 1 aspect." in shown.replace("aspect. Features", "aspect. ")


def test_an_ensemble_comes_on_top(campaign: Campaign, as_ruth: Client) -> None:
    assert "Ensemble:" not in told(as_ruth, campaign)
    duration = FIGURES["duration"] | {"ensemble": [1260.0, 4800.0]}
    said = told(as_ruth, campaign, members=8, duration=duration)
    assert "its 8 adapters are trained only if the version is promoted" in said
    assert "and take about 21 to 80 minutes more" in said


def test_an_estimate_is_shown_until_a_training_begins(campaign: Campaign, as_ruth: Client) -> None:
    assert "It would take" in told(as_ruth, campaign)
    ended(campaign)
    assert "It would take" not in page(as_ruth)
    assert "It would take" in told(as_ruth, campaign)


@pytest.mark.parametrize("headers", [{}, HX], ids=["plain", "htmx"])
def test_a_value_that_cannot_be_is_named(
    campaign: Campaign, as_ruth: Client, headers: dict[str, str]
) -> None:
    answer = as_ruth.post(ESTIMATE, {"method": "full", "epochs": "1000"}, headers=headers)
    assert answer.status_code == 422
    assert "less than or equal to 100" in answer.content.decode()
    assert not TrainingEstimate.objects.exists()


def test_beside_a_training_nothing_is_measured(campaign: Campaign, as_ruth: Client) -> None:
    begun(campaign)
    answer = as_ruth.post(ESTIMATE, {"method": "full"}, headers=HX)
    assert answer.status_code == 422
    assert "a training is under way" in answer.content.decode()
    assert not TrainingEstimate.objects.exists()


def test_only_those_who_steer_ask(
    campaign: Campaign, sam: User, as_sam: Client, as_ada: Client
) -> None:
    for client in (as_sam, as_ada):
        assert client.post(ESTIMATE, {"method": "full"}).status_code == 404
        assert client.get(ESTIMATE, headers=HX).status_code == 404
    add_member(campaign=campaign, user=sam, role="viewer")
    assert as_sam.post(ESTIMATE, {"method": "full"}).status_code == 404
    assert "Estimate first" not in page(as_sam)
    assert Client().post(ESTIMATE)["Location"].startswith("/signin/")
    assert not TrainingEstimate.objects.exists()


def test_the_page_takes_few_queries(
    campaign: Campaign, as_ruth: Client, django_assert_max_num_queries: Any
) -> None:
    ended(campaign)
    estimates.request_estimate(campaign=campaign)
    with django_assert_max_num_queries(12):
        page(as_ruth)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.2, 0.9, "1 second"),
        (12, 80, "12 to 80 seconds"),
        (40, 100, "1 to 2 minutes"),
        (720, 1500, "12 to 25 minutes"),
        (5000, 9000, "1 to 2 hours"),
        (90_000, 400_000, "1 to 5 days"),
    ],
)
def test_durations_are_said_as_people_say_them(low: float, high: float, said: str) -> None:
    assert span_of_time(low, high) == said
