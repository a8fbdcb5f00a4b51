"""The documentation fails the build when it lags behind the code."""

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.urls import URLPattern

from annotator.api.urls import urlpatterns
from annotator.services.exports import FORMATS
from config.env import BASE_DIR
from learning.acquisition import METHODS
from learning.heads import HEADS

DOCS = BASE_DIR / "docs"
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.md"), BASE_DIR / "README.md", BASE_DIR / "CONTRIBUTING.md"]
    if path.exists()
)
READ_HERE = re.compile(
    r"(?<![A-Za-z_])(?:text|boolean|integer|choice|words|origins|database)\(\s*[\"']([A-Z][A-Z0-9_]+)[\"']"
)
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
OF_A_MACHINE = re.compile(r"(?<![\w.~$:/-])/(?:home|Users|root|work|tmp/tiebreak|private/var)/\w")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def named(text: str) -> set[str]:
    """Everything between backticks, whole and as single words."""
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return {*spans, *(word for span in spans for word in span.split())}


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found = set()
    for heading in HEADING.findall(prose(path)):
        said = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", said).replace(" ", "-"))
    return found


def relative_links() -> list[tuple[Path, str]]:
    return [
        (path, target)
        for path in PAGES
        for target in LINK.findall(prose(path))
        if not re.match(r"[a-z]+:", target)
    ]


# --- settings, commands, addresses -------------------------------------------------------


def test_every_variable_of_the_example_is_explained() -> None:
    example = (BASE_DIR / ".env.example").read_text(encoding="utf-8")
    variables = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE))
    assert len(variables) > 20
    assert variables - named(page("reference/settings.md")) == set()


def test_every_variable_that_is_read_is_explained() -> None:
    sources = (BASE_DIR / "config").rglob("*.py")
    read = {name for path in sources for name in READ_HERE.findall(path.read_text())}
    assert {"DATABASE_URL", "TIEBREAK_VAR", "JOB_HEARTBEAT_SECONDS", "DEMO_PORT"} <= read
    assert read - named(page("reference/settings.md")) == set()


def test_no_variable_is_explained_that_nobody_reads() -> None:
    table = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", page("reference/settings.md"), re.MULTILINE)
    names = ["config/**/*.py", "docker-compose.yml", "Makefile"]
    code = "".join(path.read_text() for name in names for path in BASE_DIR.glob(name))
    assert [name for name in table if not re.search(rf"\b{name}\b", code)] == []


def test_every_management_command_has_a_heading() -> None:
    folder = BASE_DIR / "annotator" / "management" / "commands"
    commands = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    headings = " ".join(HEADING.findall(page("reference/commands.md")))
    assert commands
    assert {name for name in commands if f"`{name}" not in headings} == set()


def test_every_option_of_our_commands_is_explained() -> None:
    folder = BASE_DIR / "annotator" / "management" / "commands"
    options = {
        option
        for path in folder.glob("*.py")
        for option in re.findall(r'"(--[a-z-]+)"', path.read_text())
    }
    text = page("reference/commands.md")
    assert {option for option in options if option not in text} == set()


def test_every_verb_of_the_makefile_is_explained() -> None:
    makefile = (BASE_DIR / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {"demo", "test"} <= verbs
    spans = named(page("reference/commands.md"))
    assert {verb for verb in verbs if f"make {verb}" not in spans} == set()


def test_every_benchmark_is_listed_and_explained() -> None:
    folder = BASE_DIR / "benchmarks"
    runnable = {path.stem for path in folder.glob("[a-z]*.py") if "__main__" in path.read_text()}
    assert runnable
    for text in (page("benchmarks.md"), (folder / "__main__.py").read_text()):
        assert {name for name in runnable if not re.search(rf"\b{name}\b", text)} == set()


def test_every_rest_address_is_explained() -> None:
    text = page("reference/api.md")
    missing = []
    for route in urlpatterns:
        assert isinstance(route, URLPattern)
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"/api/{route.pattern}").replace("{pk}", "{id}")
        if not re.search(rf"^## `[A-Z]+ {re.escape(path)}`$", text, re.MULTILINE):
            missing.append(f"{route.name}: {path}")
    assert missing == []


# --- the learning side, formats, models ---------------------------------------------------


@pytest.mark.parametrize("name", [*METHODS, *HEADS])
def test_every_acquisition_function_and_head_is_explained(name: str) -> None:
    assert name in named(page("methods.md"))


def test_every_encoder_is_explained() -> None:
    import learning.encoders

    names = re.findall(r"^``([\w:]+)``", learning.encoders.__doc__ or "", re.MULTILINE)
    assert len(names) >= 4
    assert set(names) - named(page("methods.md")) == set()


@pytest.mark.parametrize("name", FORMATS)
def test_every_export_format_has_a_heading(name: str) -> None:
    assert f"`{name}`" in HEADING.findall(page("how-to/export.md"))


def test_every_field_of_the_native_schema_is_explained() -> None:
    from annotator.services.native import KNOWN, TASKS

    assert (KNOWN | set(TASKS)) - named(page("how-to/import.md")) == set()


def test_every_model_has_a_heading() -> None:
    headings = set(HEADING.findall(page("reference/data-model.md")))
    models = {model.__name__ for model in apps.get_app_config("annotator").get_models()}
    assert models - headings == set()


def test_every_named_constraint_of_the_database_is_explained() -> None:
    text = named(page("reference/data-model.md"))
    constraints = {
        constraint.name
        for model in apps.get_app_config("annotator").get_models()
        for constraint in model._meta.constraints
    }
    assert constraints - text == set()


def test_the_states_of_a_slot_are_explained_and_no_others() -> None:
    from annotator.models import Slot

    section = page("reference/data-model.md").partition("\n### Slot\n")[2].partition("\n\n|")[0]
    assert set(re.findall(r"`(\w+)`", section)) == set(Slot.State.values)


def test_every_state_of_a_job_is_explained() -> None:
    from annotator.models import Job

    assert set(Job.State.values) - named(page("how-to/operate.md")) == set()


def test_every_key_of_the_workspace_is_explained() -> None:
    from annotator.keys import DEFAULTS

    pages = "".join(path.read_text() for path in (BASE_DIR / "templates").rglob("*.html"))
    assert re.findall(r'data-key="[^{"]"', pages) == []  # each can be changed
    wanted = {key.upper() for key in DEFAULTS.values()} - set("2345678")  # those are `1` … `9`
    assert {"1", "9", "T", "H"} <= wanted
    assert wanted - named(page("how-to/annotate.md")) == set()


def test_every_setting_of_a_campaign_is_explained() -> None:
    from annotator.admin.campaigns import CampaignAdmin

    text = page("how-to/campaign.md").lower()
    fields = [name for _, box in CampaignAdmin.fieldsets for name in box["fields"]]
    assert [
        name for name in fields if name.removesuffix("_text").replace("_", " ") not in text
    ] == []


# --- links and paths -----------------------------------------------------------------------


def test_relative_links_lead_somewhere() -> None:
    broken = []
    for path, target in relative_links():
        name, _, anchor = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        if not place.exists():
            broken.append(f"{path.relative_to(BASE_DIR)}: {target}")
        elif anchor and place.suffix == ".md" and anchor not in anchors(place):
            broken.append(f"{path.relative_to(BASE_DIR)}: {target} (no such heading)")
    assert len(relative_links()) > 30
    assert broken == []


def test_every_page_is_reached_from_the_index() -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(page("index.md"))}
    decisions = DOCS / "decisions"
    ours = {path for path in DOCS.rglob("*.md") if decisions not in path.parents}
    assert ours - linked - {DOCS / "index.md"} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_no_page_holds_a_path_of_somebodys_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert str(BASE_DIR) not in text
    assert OF_A_MACHINE.findall(text) == []
