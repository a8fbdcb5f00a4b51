"""One private PostgreSQL for the whole run; nothing of the developer's is read or written.

``DATABASE_URL`` in the environment wins (CI's integration part). Under pytest-xdist the
controller starts the server and its workers find the address in the environment.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings

from config import env
from config.broker import choose_broker
from config.embedded_postgres import EmbeddedPostgres
from config.guardian import Guardian

os.environ["HF_HUB_OFFLINE"] = "1"
# Tests run side by side on small matrices: more threads would only wait for each other.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("tiebreak", deadline=None)
hypothesis.settings.load_profile("tiebreak")

# Rounds, replays, trainers, servers and fuzzing: modules that take seconds of a processor. They
# run after the fast ones; `make fast` leaves them out.
SLOW = frozenset(
    (
        *("test_asking", "test_attention", "test_bad_input", "test_bucket", "test_campaign_form"),
        *("test_cards", "test_choosing", "test_client_docs", "test_client_encoders"),
        *("test_client_site", "test_client_troubles", "test_commands", "test_content"),
        *("test_curating", "test_demo", "test_downloads", "test_embedded_postgres"),
        *("test_ensembles", "test_estimating", "test_export_options", "test_files"),
        *("test_finetune_averaging", "test_finetune_commands", "test_finetune_commands_killed"),
        *("test_finetune_compare", "test_finetune_estimate", "test_finetune_export"),
        *("test_finetune_figures", "test_finetune_gate", "test_finetune_lora_ensemble"),
        *("test_finetune_lora_ensemble_run", "test_finetune_lower", "test_finetune_model"),
        *("test_finetune_prefix", "test_finetune_train", "test_finetune_tuning"),
        *("test_finetuning_by_itself", "test_finetuning_jobs", "test_finetuning_trouble"),
        *("test_formats", "test_formats_of_tools", "test_forms_learn", "test_forms_rounds"),
        *("test_fuzz_api", "test_heads", "test_hub", "test_import_round_trips", "test_importing"),
        *("test_imports", "test_judge_budget", "test_judge_report", "test_judges_replies"),
        *("test_judging", "test_language_rounds", "test_languages"),
        *("test_learning_acquisition_pointwise", "test_learning_acquisition_rules"),
        *("test_learning_card", "test_learning_curation", "test_learning_encoders"),
        *("test_learning_ensemble", "test_learning_main", "test_learning_neighbours"),
        *("test_learning_payoff", "test_learning_replay", "test_mixing", "test_onboarding_pages"),
        *("test_pictures", "test_piloting", "test_quality", "test_ratings", "test_round_trips"),
        *("test_rounds", "test_rounds_trouble", "test_routing_frontier", "test_routing_replay"),
        *("test_schema_api", "test_snapshots", "test_startup", "test_train_reward_model"),
        *("test_trainers", "test_worker_imports"),
    )
)

STATIC = "django.contrib.staticfiles.storage.StaticFilesStorage"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the database, then point the settings, loaded by now, at it."""
    if not os.environ.get("DATABASE_URL"):
        _start_database(config)
    folder = tempfile.TemporaryDirectory(prefix="tiebreak-test-var-")
    config.add_cleanup(folder.cleanup)
    _adjust_settings(Path(folder.name))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow."""
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)


def _start_database(config: pytest.Config) -> None:
    place = Path(tempfile.mkdtemp(prefix="tiebreak-test-"))
    place.chmod(0o711)  # ours; the account that runs the server for root walks through
    server = EmbeddedPostgres(place, fast=True)
    guardian = Guardian(server, destroy=True)  # even if this process is killed
    server.start()
    os.environ["DATABASE_URL"] = server.url
    os.environ.setdefault("SECRET_KEY", settings.SECRET_KEY)  # xdist's workers need one

    def stop() -> None:
        guardian.close()
        os.environ.pop("DATABASE_URL", None)

    config.add_cleanup(stop)


def _adjust_settings(var: Path) -> None:
    """Change what tests need different; in place, for Django has read the rest already."""
    settings.VAR_DIR = var
    settings.MEDIA_ROOT, settings.STATIC_ROOT = var / "media", var / "static"
    settings.STATIC_ROOT.mkdir()
    settings.DATABASE_URL = os.environ["DATABASE_URL"]
    settings.DATABASES["default"].update(env.database("DATABASE_URL", settings.DATABASE_URL))
    # A server's thread that waits for its client's next request holds no connection: the database
    # could not be removed.
    settings.DATABASES["default"]["CONN_MAX_AGE"] = 0
    settings.BROKER = choose_broker("memory://localhost/", database=settings.DATABASES["default"])
    settings.CELERY_BROKER_URL = settings.BROKER.url
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = settings.BROKER.transport_options
    settings.CELERY_WORKER_ENABLE_REMOTE_CONTROL = True
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": STATIC}}
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Return an empty folder with a short path that every account can walk to."""
    with tempfile.TemporaryDirectory(prefix="tb-") as name:
        Path(name).chmod(0o711)
        yield Path(name)
