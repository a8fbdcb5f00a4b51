"""docker-compose.yml, .env.example and the Dockerfile keep their promises to operators."""

import re
from typing import Any

import pytest
import yaml

from annotator.models.judging import KEY_NAMES
from config.env import BASE_DIR

COMPOSE = (BASE_DIR / "docker-compose.yml").read_text()
EXAMPLE = (BASE_DIR / ".env.example").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
READERS = r"\b(?:text|boolean|integer|choice|rate|words|origins)\(\s*\"([A-Z][A-Z_]+)\""


def explained() -> set[str]:
    """Return the variables of .env.example, each with a comment above it."""
    lines = EXAMPLE.splitlines()
    found = set()
    for number, line in enumerate(lines):
        variable = re.fullmatch(r"#?([A-Z][A-Z_]+)=.*", line)
        if variable:
            assert lines[number - 1].startswith("#"), f"{line} is not explained"
            found.add(variable[1])
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_or_a_reason(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if check.get("disable"):
        block = COMPOSE.split(f"\n  {name}:\n")[1].split("\n\n")[0]
        assert "# No health check: " in block
    else:
        assert check["test"]
        assert check["interval"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_fixed_tag(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.search(r":[^/]+$", image), image
    assert "latest" not in image


def test_nothing_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|TOKEN", name):
                assert re.fullmatch(r"\$\{\w+:\?.*\}", value), name
    assert not re.search(r"://[^@\s/]+:[^@\s/]+@", COMPOSE), "a password in an address"


def test_every_variable_of_the_file_is_explained() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    assert used <= explained()


def test_every_setting_that_is_read_is_explained_and_the_other_way_round() -> None:
    sources = [path.read_text() for path in (BASE_DIR / "config").glob("*.py")]
    read = {name for source in sources for name in re.findall(READERS, source)}
    only_compose = {"POSTGRES_PASSWORD", "TIEBREAK_VERSION", "WEB_PUBLISH"}
    of_judges = {name for name in explained() if name.startswith(KEY_NAMES)}  # workers read these
    assert of_judges
    assert explained() - of_judges == read | only_compose


def test_the_examples_secrets_are_empty() -> None:
    assert re.search(r"^SECRET_KEY=$", EXAMPLE, re.MULTILINE)
    assert re.search(r"^POSTGRES_PASSWORD=$", EXAMPLE, re.MULTILINE)


def test_everybody_waits_for_the_migrations() -> None:
    waiting = {name for name, one in SERVICES.items() if "migrate" in one.get("depends_on", {})}
    assert waiting == {"web", "worker-default", "worker-learning", "beat"}
    for name in waiting:
        needs = SERVICES[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["db"]["condition"] == "service_healthy"


def test_every_queue_has_a_worker() -> None:
    from config.broker import QUEUES

    commands = [part for one in SERVICES.values() for part in one.get("command", [])]
    served = [part.partition("=")[2].split(",") for part in commands if "--queues=" in part]
    assert sorted(queue for queues in served for queue in queues) == sorted(QUEUES)


def test_there_is_exactly_one_beat() -> None:
    assert [name for name, one in SERVICES.items() if "beat" in one.get("command", [])] == ["beat"]


def test_the_image_runs_unprivileged_and_without_developer_tools() -> None:
    dockerfile = (BASE_DIR / "Dockerfile").read_text()
    assert re.search(r"^USER (?!root)\w+$", dockerfile, re.MULTILINE)
    assert "dev]" not in dockerfile
    assert "requirements.lock" in dockerfile
    assert not re.search(r"https?://", dockerfile)
