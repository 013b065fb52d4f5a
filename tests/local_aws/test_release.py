"""A release is made from a tag by the steps of the workflows. The commands of the documents take it, verify it, deploy
it, upgrade it and roll it back. `commands/` stands in for the command line of GitHub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from samcli.yamlhelper import yaml_parse

import deployment
from local_aws import REGION, ROOT, TOOLS, LocalAws
from stack import Stack

COMMANDS = Path(__file__).resolve().parent / "commands"
REPOSITORY = "octo-org/github-trust"
GIT = ("git", "-c", "user.name=a test", "-c", "user.email=test@example.com")
# The version in Cargo.toml, and the one after it.
OLD, NEW = "0.1.0", "0.2.0"
FETCH = "Fetch the bundle, and see that it is what the release workflow has built"
CONSUMER = """
Resources:
  Provider:
    Type: Custom::GitHubOidcProvider
    Properties:
      ServiceToken: !ImportValue github-trust-ServiceToken
      Tags: [{ Key: build, Value: "VALUE" }]
"""


def steps(workflow: str, job: str) -> dict[str, str]:
    """The commands of a workflow's job, by the name of the step, or by their first two words."""
    found = yaml.safe_load((ROOT / workflow).read_text())["jobs"][job]["steps"]
    return {step.get("name") or " ".join(step["run"].split()[:2]): step["run"] for step in found if "run" in step}


def block(document: str, command: str) -> str:
    """The one block of commands of a document that has this command."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    [found] = [text for text in blocks if command in text]
    return str(found)


@dataclass
class Shell:
    """Runs commands as a workflow or a person does, with the stand-in before everything else."""

    environment: dict[str, str]

    def __call__(self, commands: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )

    def must(self, commands: str, folder: Path, **environment: str) -> str:
        result = self(commands, folder, **environment)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def account() -> Iterator[LocalAws]:
    with LocalAws() as running:
        yield running


@pytest.fixture(scope="module")
def shell(account: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("commands")
    command = folder / "gh"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {COMMANDS / "gh.py"} "$@"\n')
    command.chmod(0o755)
    (folder / "sam").symlink_to(TOOLS / "bin" / "sam")
    (folder / "aws").symlink_to(TOOLS / "awscli" / "bin" / "aws")
    releases = tmp_path_factory.mktemp("releases")
    (releases / "attestations.json").write_text("[]")
    path = f"{folder}:/usr/bin:/bin"
    return Shell({**account.environment(), "PATH": path, "RELEASES_FOLDER": str(releases), "AWS_REGION": REGION})


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed here, as `main`, with the tags of two versions and of a branch that was never merged."""
    folder = tmp_path_factory.mktemp("clone")
    run = lambda *command: subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: E731
    run("git", "clone", "--quiet", "--no-tags", str(ROOT), ".")
    run("git", "checkout", "--quiet", "-B", "main")
    run("git", "tag", f"v{OLD}")
    for name in ("Cargo.toml", "Cargo.lock"):
        text = (folder / name).read_text()
        changed = text.replace(f'name = "github-trust"\nversion = "{OLD}"', f'name = "github-trust"\nversion = "{NEW}"')
        assert changed != text, name
        (folder / name).write_text(changed)
    run(*GIT, "commit", "--quiet", "--all", "--message", f"Release {NEW}")
    run("git", "tag", f"v{NEW}")
    run("git", "update-ref", "refs/remotes/origin/main", "main")
    run("git", "checkout", "--quiet", "-b", "not-merged")
    run(*GIT, "commit", "--quiet", "--allow-empty", "--message", "Nobody has reviewed this")
    run("git", "tag", "v6.6.6")
    return folder


def checks(shell: Shell, clone: Path, tag: str, *, at: str | None = None) -> list[str]:
    """The checks of build.yml that a tag fails."""
    subprocess.run(["git", "checkout", "--quiet", at or tag], cwd=clone, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True).stdout
    build = steps(".github/workflows/build.yml", "bundle")
    names = ("The tag names the version", "The tag is on main")
    environment = {"GITHUB_REF_NAME": tag, "GITHUB_SHA": commit.strip()}
    return [name for name in names if shell(build[name], clone, **environment).returncode]


def release(shell: Shell, clone: Path, version: str, bootstrap: bytes) -> None:
    """The jobs `build` and `release` of release.yml, but for the build of the binary and for the signature."""
    tag = f"v{version}"
    assert checks(shell, clone, tag) == []
    (clone / "bootstrap").write_bytes(bootstrap)
    packing = [sys.executable, "bundle/pack.py", "--architecture", deployment.ARCHITECTURE, "--bootstrap", "bootstrap"]
    subprocess.run([*packing, "--into", f"target/{version}"], cwd=clone, check=True, capture_output=True)
    assets = clone / "target" / version
    attestations = Path(shell.environment["RELEASES_FOLDER"]) / "attestations.json"
    statement = {
        "digest": hashlib.sha256(next(assets.iterdir()).read_bytes()).hexdigest(),
        "repository": REPOSITORY,
        "workflow": f"{REPOSITORY}/.github/workflows/build.yml",
        "ref": f"refs/tags/{tag}",
        "runner": "github-hosted",
    }
    attestations.write_text(json.dumps([*json.loads(attestations.read_text()), statement]))
    environment = {
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_REF": f"refs/tags/{tag}",
        "GITHUB_REF_NAME": tag,
        "GH_REPO": REPOSITORY,
        "GIT_DIR": str(clone / ".git"),
    }
    for commands in steps(".github/workflows/release.yml", "release").values():
        shell.must(commands, assets, **environment)


@pytest.fixture(scope="module")
def released(shell: Shell, clone: Path, unpacked: Path) -> Shell:
    """The shell, where both versions are released. The second one's code differs in what nothing reads."""
    with zipfile.ZipFile(unpacked / "function.zip") as function:
        bootstrap = function.read("bootstrap")
    release(shell, clone, OLD, bootstrap)
    release(shell, clone, NEW, bootstrap + b"\n")
    return shell


def take(version: str) -> str:
    """The documented commands that fetch, verify and unpack a release."""
    commands = block("docs/operations.md", "gh release download")
    settings = {"RELEASES": REPOSITORY, "VERSION": version, "ARCHITECTURE": deployment.ARCHITECTURE}
    for name, value in settings.items():
        commands, replaced = re.subn(rf"\b{name}=\S+", f"{name}={shlex.quote(value)}", commands)
        assert replaced == 1, name
    return commands


def archive(version: str) -> str:
    return f"github-trust-{version}-{deployment.ARCHITECTURE}.zip"


def code(account: LocalAws) -> str:
    return str(account.client("lambda").get_function(FunctionName="github-trust")["Configuration"]["CodeSha256"])


def planned(account: LocalAws, stack: Stack, template: str) -> list[str]:
    """What the new function would do with a template."""
    question = {"Plan": {"Template": yaml_parse(template), "StackId": stack.id}}
    answer = account.client("lambda").invoke(FunctionName="github-trust:plan", Payload=json.dumps(question))
    [resource] = json.loads(answer["Payload"].read())["Resources"]
    return list(resource["Actions"])


def test_only_a_tag_of_the_version_on_main_is_built(shell: Shell, clone: Path) -> None:
    assert checks(shell, clone, f"v{OLD}") == []
    assert checks(shell, clone, f"v{NEW}") == []
    assert checks(shell, clone, f"v{NEW}", at=f"v{OLD}") == ["The tag names the version"]
    assert checks(shell, clone, "v6.6.6") == ["The tag names the version", "The tag is on main"]


def test_a_release_has_the_archive_with_its_checksum(released: Shell) -> None:
    folder = Path(released.environment["RELEASES_FOLDER"]) / REPOSITORY
    for version in (OLD, NEW):
        assert {path.name for path in (folder / f"v{version}").iterdir()} == {archive(version), "SHA256SUMS"}
        released.must("sha256sum --check SHA256SUMS", folder / f"v{version}")


def test_what_is_not_that_release_is_not_unpacked(released: Shell, tmp_path: Path) -> None:
    original = Path(released.environment["RELEASES_FOLDER"])
    old, new = (f"{REPOSITORY}/v{version}/{archive(version)}" for version in (OLD, NEW))
    others = {
        "one byte is another": (original / new).read_bytes()[:-1] + b"x",
        "an older release": (original / old).read_bytes(),
    }
    for name, content in others.items():
        releases, folder = tmp_path / name / "releases", tmp_path / name / "here"
        shutil.copytree(original, releases)
        folder.mkdir()
        (releases / new).write_bytes(content)
        result = released(take(NEW), folder, RELEASES_FOLDER=str(releases))
        assert "no attestation of" in result.stderr, name
        assert [path.suffix for path in folder.iterdir()] == [".zip"], name


def test_a_file_that_was_changed_after_unpacking_is_found(released: Shell, tmp_path: Path) -> None:
    released.must(take(OLD), tmp_path)
    folder = tmp_path / f"github-trust-{OLD}"
    (folder / "template.yaml").write_text("Resources: {}\n")
    result = released("sha256sum --check SHA256SUMS", folder)
    assert "template.yaml: FAILED" in result.stdout


def test_all_documents_verify_a_release_by_the_same_command() -> None:
    texts = [
        block("docs/operations.md", "gh attestation verify"),
        block("bundle/README.md", "gh attestation verify"),
        steps("examples/workflows/deploy-github-trust.yml", "deploy")[FETCH],
    ]
    flags = [
        sorted(re.findall(r"--[a-z-]+", re.findall(r"gh attestation verify (?:.*\\\n)*.*", text)[0])) for text in texts
    ]
    assert flags[0] == ["--deny-self-hosted-runners", "--repo", "--signer-workflow", "--source-ref"]
    assert flags[1:] == [flags[0]] * 2


def test_the_pipeline_of_the_examples_and_the_plain_template_deploy_a_release(
    released: Shell, account: LocalAws, tmp_path: Path
) -> None:
    path = "examples/workflows/deploy-github-trust.yml"
    job = yaml.safe_load((ROOT / path).read_text())["jobs"]["deploy"]
    settings = {**job["env"], "RELEASES": REPOSITORY, "VERSION": NEW, "ARCHITECTURE": deployment.ARCHITECTURE}
    regions = settings["REGIONS"].split(",")
    for region in regions:
        account.client("s3").create_bucket(Bucket=f"{settings['BUCKET']}-{region}")
    for name in (FETCH, "Give all regions the code"):
        released.must(steps(path, "deploy")[name], tmp_path, **settings)
    for region in regions:
        found = account.client("s3").list_objects_v2(Bucket=f"{settings['BUCKET']}-{region}")["Contents"]
        folder = f"github-trust/{NEW}-{deployment.ARCHITECTURE}"
        assert {entry["Key"] for entry in found} == {f"{folder}/function.zip", f"{folder}/github-trust.template.yaml"}

    unpacked = tmp_path / "bundle"
    released.must(block("bundle/README.md", "aws cloudformation deploy"), unpacked, BUCKET=settings["BUCKET"])
    digest = hashlib.sha256((unpacked / "function.zip").read_bytes()).digest()
    assert code(account) == base64.b64encode(digest).decode()


def test_a_release_is_taken_deployed_upgraded_and_rolled_back(
    released: Shell, account: LocalAws, tmp_path: Path
) -> None:
    deploy = block("docs/quick-start.md", "sam deploy").splitlines()[-1]
    assert deploy == "sam deploy --parameter-overrides AllowedGitHubOwners=octo-org"
    # The issuers are on this machine.
    released.must(f"{take(OLD)}\n{deploy} PrivateIssuers=true", tmp_path)
    consumer, first = Stack(account, "consumer"), code(account)
    assert consumer.create(CONSUMER.replace("VALUE", "old")) == "CREATE_COMPLETE", consumer.reasons()
    product = Stack.existing(account, "github-trust")
    outputs = product.outputs()

    released.must(f"{take(NEW)}\nsam deploy", tmp_path)
    second = code(account)
    assert second != first
    assert product.outputs() == outputs
    parameters = product.parameters()
    assert (parameters["AllowedGitHubOwners"], parameters["PrivateIssuers"]) == ("octo-org", "true")
    assert planned(account, consumer, CONSUMER.replace("VALUE", "old")) == []
    assert planned(account, consumer, CONSUMER.replace("VALUE", "new")) != []
    assert consumer.update(CONSUMER.replace("VALUE", "new")) == "UPDATE_COMPLETE", consumer.reasons()

    released.must("sam deploy", tmp_path / f"github-trust-{OLD}")
    assert code(account) == first
    assert product.outputs() == outputs
    assert consumer.delete() == "DELETE_COMPLETE"
    assert deployment.owned(account) == []
