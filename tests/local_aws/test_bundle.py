"""The archive of `make bundle`: what is in it, and that it is deployed without Rust, from an empty directory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import deployment
from local_aws import REGION, ROOT, TOOLS, LocalAws
from stack import Stack

sys.path.insert(0, str(ROOT / "bundle"))

import binary
import templates

FILES = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "SHA256SUMS",
    "THIRD-PARTY-LICENSES.txt",
    "function.zip",
    "github-trust.template.yaml",
    "samconfig.toml",
    "sbom.cdx.json",
    "template.yaml",
}
# CreateStack and CreateStackSet take no longer one in the call itself.
LONGEST_TEMPLATE = 51_200
CONSUMER = """
Resources:
  Provider:
    Type: Custom::GitHubOidcProvider
    Properties:
      ServiceToken: !ImportValue TOKEN
  Role:
    Type: Custom::GitHubRole
    Properties:
      ServiceToken: !ImportValue TOKEN
      ProviderArn: !Ref Provider
      Trust: [{ Repository: octo-org/octo-repo, Branches: [main] }]
"""


@pytest.fixture(scope="module")
def account() -> Iterator[LocalAws]:
    """An account in which nothing has been deployed yet."""
    with LocalAws() as running:
        yield running


def test_the_archive_holds_what_it_should_with_its_checksums(archive: Path, unpacked: Path) -> None:
    assert archive.name == f"github-trust-{_version()}-{deployment.ARCHITECTURE}.zip"
    copied = [path for folder in ("examples", "schemas", "templates") for path in (ROOT / folder).rglob("*.*")]
    copied = [path for path in copied if ".ruff_cache" not in path.parts and path.is_file()]
    own = {path.relative_to(ROOT).as_posix() for path in copied if path.suffix not in (".md", ".toml", ".pyc")}
    own |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {"examples/static-site.yaml", "schemas/template.json", "templates/hook.yaml"} <= own
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert found == FILES | own
    sums = dict(line.split()[::-1] for line in (unpacked / "SHA256SUMS").read_text().splitlines())
    assert sums.keys() == found - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((unpacked / name).read_bytes()).hexdigest() == digest, name
    with zipfile.ZipFile(unpacked / "function.zip") as function:
        (entry,) = function.infolist()
        assert (entry.filename, entry.external_attr >> 16) == ("bootstrap", 0o100755)


def test_packing_again_elsewhere_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    bootstrap = ROOT / "target" / "lambda" / "bootstrap" / "bootstrap"
    command = [sys.executable, str(ROOT / "bundle" / "pack.py"), "--architecture", deployment.ARCHITECTURE]
    again = tmp_path / "another" / "place"
    subprocess.run([*command, "--bootstrap", str(bootstrap), "--into", str(again)], cwd=tmp_path, check=True)
    assert (again / archive.name).read_bytes() == archive.read_bytes()


def test_no_path_of_this_machine_is_in_the_binary(unpacked: Path) -> None:
    with zipfile.ZipFile(unpacked / "function.zip") as function:
        content = function.read("bootstrap")
    assert b"/cargo/registry/" in content
    for place in {ROOT, Path.home()}:
        assert str(place).encode() + b"/" not in content


def test_the_bill_of_materials_is_valid_and_names_what_is_linked(unpacked: Path) -> None:
    path = unpacked / "sbom.cdx.json"
    program = (
        "import sys; from cyclonedx.schema import SchemaVersion;"
        "from cyclonedx.validation.json import JsonStrictValidator;"
        "error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read());"
        "sys.exit(str(error) if error else 0)"
    )
    python = TOOLS / "linters" / "bin" / "python"
    result = subprocess.run([python, "-c", program, path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    bill = json.loads(path.read_text())
    names = {component["name"] for component in bill["components"]}
    assert {"aws-sdk-iam", "ring", "rustls", "tokio"} <= names
    # For tests only; a procedural macro; a build script's.
    assert not {"proptest", "serde_derive", "cc"} & names
    with zipfile.ZipFile(unpacked / "function.zip") as function:
        digest = hashlib.sha256(function.read("bootstrap")).hexdigest()
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    references = {component["bom-ref"] for component in [*bill["components"], bill["metadata"]["component"]]}
    assert {dependency["ref"] for dependency in bill["dependencies"]} == references
    assert all(set(dependency["dependsOn"]) <= references for dependency in bill["dependencies"])


def test_every_crate_in_the_binary_has_its_licence_in_the_archive(unpacked: Path) -> None:
    text = (unpacked / "THIRD-PARTY-LICENSES.txt").read_text()
    for component in json.loads((unpacked / "sbom.cdx.json").read_text())["components"]:
        assert f"\n{component['name']} {component['version']} (" in text, component["name"]
    assert "Copyright 2015-2025 Brian Smith." in text  # ring's own text
    assert "[authors]" not in text


@pytest.mark.parametrize("name", ["template.yaml", "github-trust.template.yaml"])
def test_cfn_lint_finds_nothing_in_the_templates(unpacked: Path, name: str) -> None:
    # W3002: the code is beside the template, for `sam deploy` to take.
    command = [TOOLS / "bin" / "cfn-lint", "--ignore-checks", "W3002", "--", unpacked / name]
    result = subprocess.run(command, env={**os.environ, "AWS_DEFAULT_REGION": REGION}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_the_plain_template_fits_into_a_call(unpacked: Path) -> None:
    content = (unpacked / "github-trust.template.yaml").read_bytes()
    assert len(content) <= LONGEST_TEMPLATE
    assert "Transform" not in yaml.safe_load(content)


def test_sam_deploy_alone_deploys_it_where_there_is_no_rust(account: LocalAws, unpacked: Path, tmp_path: Path) -> None:
    directory = tmp_path / "empty"
    shutil.copytree(unpacked, directory)
    environment = {**account.environment(), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for tool in ("cargo", "rustc", "cargo-lambda"):
        assert shutil.which(tool, path=environment["PATH"]) is None
    # All of it but the parameter, which lets the function ask issuers on this machine.
    command = [str(TOOLS / "bin" / "sam"), "deploy", "--parameter-overrides", "PrivateIssuers=true"]
    result = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    _use(account, "github-trust-ServiceToken")
    # A pipeline runs again.
    result = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_plain_template_takes_over_a_sam_deployment(account: LocalAws, unpacked: Path) -> None:
    code = Stack(account, "code")
    bucket = deployment.example("account-vending/code-bucket.yaml")
    assert code.create(bucket, Name="octo-code", OrganizationId="o-0123456789") == "CREATE_COMPLETE", code.reasons()
    assert code.outputs() == {"BucketName": f"octo-code-{REGION}"}
    content = (unpacked / "function.zip").read_bytes()
    key = f"github-trust/{hashlib.sha256(content).hexdigest()[:16]}.zip"
    account.client("s3").put_object(Bucket=f"octo-code-{REGION}", Key=key, Body=content)

    product = Stack(account, "github-trust")
    before = (product.outputs(), product.physical_ids())
    plain = (unpacked / "github-trust.template.yaml").read_text()
    parameters = {"CodeBucket": "octo-code", "CodeKey": key, "PrivateIssuers": "true"}
    assert product.update(plain, **parameters) == "UPDATE_COMPLETE", product.reasons()
    assert (product.outputs(), product.physical_ids()) == before
    _use(account, "github-trust-ServiceToken")


def test_the_plain_template_deploys_it_where_nothing_was(account: LocalAws, unpacked: Path) -> None:
    product = Stack(account, "vended")
    plain = (unpacked / "github-trust.template.yaml").read_text()
    (code,) = account.client("s3").list_objects_v2(Bucket=f"octo-code-{REGION}")["Contents"]
    parameters = {"CodeBucket": "octo-code", "CodeKey": code["Key"], "PrivateIssuers": "true"}
    assert product.create(plain, FunctionName="vended", **parameters) == "CREATE_COMPLETE", product.reasons()
    _use(account, "vended-ServiceToken")
    assert product.delete() == "DELETE_COMPLETE"


def test_a_binary_that_amazon_linux_could_not_start_is_not_packed() -> None:
    def elf(machine: int, *symbols: bytes) -> bytes:
        return b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + b"\0".join(symbols)

    binary.check(elf(62, b"GLIBC_2.2.5", b"GLIBC_2.34"), "x86_64")
    binary.check(elf(183, b"GLIBC_2.17"), "arm64")
    with pytest.raises(binary.Unfit, match="not for arm64"):
        binary.check(elf(62), "arm64")
    with pytest.raises(binary.Unfit, match=r"needs glibc 2\.36, and Amazon Linux 2023 has 2\.34"):
        binary.check(elf(62, b"GLIBC_2.4", b"GLIBC_2.36"), "x86_64")
    with pytest.raises(binary.Unfit, match="no ELF file"):
        binary.check(b"#!/bin/sh", "x86_64")


def test_the_template_of_an_archive_is_for_its_architecture_only() -> None:
    source = (ROOT / "template.yaml").read_text()
    for architecture in ("x86_64", "arm64"):
        found = templates.for_sam(source, architecture)
        assert f"    Default: {architecture}\n    AllowedValues: [{architecture}]\n" in found
        parameter = yaml.safe_load(templates.plain(found))["Parameters"]["Architecture"]
        assert (parameter["Default"], parameter["AllowedValues"]) == (architecture, [architecture])
    with pytest.raises(templates.Unexpected, match="CodeUri"):
        templates.for_sam(source.replace("CodeUri: .", "CodeUri: src"), "arm64")


def _use(account: LocalAws, export: str) -> None:
    """A stack that knows the export and nothing else."""
    stack = Stack(account, "consumer")
    made: Any = stack.create(CONSUMER.replace("TOKEN", export))
    assert made == "CREATE_COMPLETE", stack.reasons()
    assert stack.delete() == "DELETE_COMPLETE"
    assert deployment.owned(account) == []


def _version() -> str:
    found = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]
