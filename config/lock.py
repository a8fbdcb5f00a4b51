"""``make lock``: writes requirements.lock from what is installed, names and versions only.

No address and no local version is written, so the file serves every platform and index:
``torch`` with or without a GPU is the same line. What only one platform's ``torch`` brings
is left out, and so is what is there to install packages.
"""

import re
import sys
from importlib.metadata import distributions

from config.env import BASE_DIR

LOCK = BASE_DIR / "requirements.lock"
TOOLS = {"pip", "tiebreak", "wheel"}
PLATFORM = re.compile(r"nvidia-|cuda-|triton(-|$)|pytorch-triton")
# Wanted elsewhere: by redis on Python before 3.11.3, which Debian 12 has.
ELSEWHERE = {"async-timeout": "5.0.1"}
HEADER = "# Written by `make lock`. Used as constraints: pip install -c requirements.lock …\n"


def canonical(name: str) -> str:
    """Spell a package's name the one way that indexes compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """Map each package of this environment to its version, without the build's local part."""
    found = {canonical(one.name): one.version.partition("+")[0] for one in distributions()}
    return {
        name: found[name]
        for name in sorted(found)
        if name not in TOOLS and not PLATFORM.match(name)
    }


def locked() -> dict[str, str]:
    """Read the lock back."""
    lines = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)  # type: ignore[misc, unused-ignore]


def main() -> None:
    """Write the lock."""
    versions = ELSEWHERE | installed()
    lines = sorted(f"{name}=={version}\n" for name, version in versions.items())
    LOCK.write_text(HEADER + "".join(lines))
    sys.stdout.write(f"{LOCK.name}: {len(lines)} packages\n")


if __name__ == "__main__":
    main()
