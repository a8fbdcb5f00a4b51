"""What a fresh process sees: the web side starts light, and bad settings stop it by name."""

import json
import os
import subprocess
import sys
import time

import pytest

from config.env import BASE_DIR

HEAVY = {
    *("learning", "worker", "numpy", "torch", "scipy", "sklearn", "transformers", "safetensors"),
}


def fresh(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new process with nothing but these settings."""
    base = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings"}
    configured = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "x"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env={**base, **configured, **environment},
        capture_output=True,
        text=True,
    )


def setting(name: str, **environment: str) -> object:
    code = f"import json; from config import settings as s; print(json.dumps(s.{name}))"
    done = fresh(code, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_web_side_loads_without_the_learning_side() -> None:
    code = (
        "import sys, config.wsgi; from django.urls import get_resolver;"
        "get_resolver().url_patterns; print(*{m.partition('.')[0] for m in sys.modules})"
    )
    began = time.monotonic()
    done = fresh(code)
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert HEAVY.isdisjoint(done.stdout.split())
    assert seconds < 15, "a start takes about one second; this is out of all proportion"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "perhaps"),
        ("DATABASE_URL", "mysql://db/labels"),
        ("BROKER_URL", "filesystem://"),
        ("BROKER_URL", "pgmq://elsewhere:5432/db"),
        ("JOB_LEASE_SECONDS", "0"),
        ("LOG_FORMAT", "xml"),
        ("CSRF_TRUSTED_ORIGINS", "labels.example.org"),
        ("SECRET_KEY_FILE", "/nowhere"),
    ],
)
def test_a_bad_setting_stops_the_start_by_name(name: str, value: str) -> None:
    emptied = name.removesuffix("_FILE")
    done = fresh("import config.settings", **{emptied: "", name: value})
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr
    assert emptied in done.stderr.splitlines()[-1]


def test_https_secures_cookies_and_redirects_but_not_the_probes() -> None:
    assert setting("SESSION_COOKIE_SECURE", HTTPS="yes") is True
    assert setting("CSRF_COOKIE_SECURE", HTTPS="yes") is True
    assert setting("SECURE_SSL_REDIRECT", HTTPS="yes") is True
    assert setting("SECURE_SSL_REDIRECT", HTTPS="yes", SSL_REDIRECT="no") is False
    assert "^readyz$" in setting("SECURE_REDIRECT_EXEMPT")  # type: ignore[operator]


def test_the_heartbeat_follows_the_lease() -> None:
    assert setting("JOB_HEARTBEAT_SECONDS", JOB_LEASE_SECONDS="40") == 10
    assert setting("JOB_HEARTBEAT_SECONDS", JOB_LEASE_SECONDS="40", JOB_HEARTBEAT_SECONDS="3") == 3


def test_without_a_broker_the_queues_are_in_the_database() -> None:
    options = setting("CELERY_BROKER_TRANSPORT_OPTIONS", PGPASSWORD="unused")
    assert isinstance(options, dict)
    assert "host=127.0.0.1" in options["conn_string"]
    assert options["init_extension"] is False
    assert setting("CELERY_WORKER_ENABLE_REMOTE_CONTROL") is False


def test_sending_works_from_every_thread() -> None:
    code = (
        "import django, threading; django.setup(); from celery import current_app; seen = [];"
        "t = threading.Thread(target=lambda: seen.append(current_app.main)); t.start(); t.join();"
        "print(*seen)"
    )
    assert fresh(code).stdout.strip() == "tiebreak"


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"])
def test_a_doorbell_fails_fast_when_the_broker_is_down(broker: str) -> None:
    code = (
        "import django, time; django.setup(); from celery import current_app\n"
        "for _ in range(2):\n"
        "    began = time.monotonic()\n"
        "    try: current_app.send_task('worker.run_job', args=[1], queue='default')\n"
        "    except Exception as error: print(time.monotonic() - began)\n"
    )
    waits = [float(line) for line in fresh(code, BROKER_URL=broker).stdout.split()]
    assert len(waits) == 2
    assert max(waits) < 5
