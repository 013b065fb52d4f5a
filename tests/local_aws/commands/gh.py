"""Stands in for GitHub's CLI where a test makes a release and takes it. Releases are folders below
`RELEASES_FOLDER`, and its `attestations.json` has what a workflow has attested.

    gh release create TAG [--verify-tag] [--generate-notes] -- FILE …      in a clone; `GH_REPO` is the repository
    gh release download TAG --repo OWNER/NAME --pattern PATTERN
    gh attestation verify FILE --repo OWNER/NAME [--source-ref …] [--signer-workflow …] [--deny-self-hosted-runners]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(os.environ["RELEASES_FOLDER"])


def create(options: argparse.Namespace) -> str | None:
    tagged = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"refs/tags/{options.tag}"], capture_output=True
    )
    if options.verify_tag and tagged.returncode:
        return f"tag {options.tag} does not exist"
    release = FOLDER / os.environ["GH_REPO"] / options.tag
    release.mkdir(parents=True)
    for file in options.files:
        shutil.copy(file, release)
    return None


def download(options: argparse.Namespace) -> str | None:
    found = list((FOLDER / options.repo / options.tag).glob(options.pattern))
    for file in found:
        shutil.copy(file, ".")
    return None if found else f"no assets match {options.pattern}"


def verify(options: argparse.Namespace) -> str | None:
    digest = hashlib.sha256(Path(options.file).read_bytes()).hexdigest()
    asked = {"repository": options.repo, "workflow": options.signer_workflow, "ref": options.source_ref}
    for statement in json.loads((FOLDER / "attestations.json").read_text()):
        named = all(value in (None, statement[member]) for member, value in asked.items())
        hosted = statement["runner"] == "github-hosted" or not options.deny_self_hosted_runners
        if statement["digest"] == digest and named and hosted:
            return None
    return f"no attestation of {options.file} matches"


def main() -> int:
    parser = argparse.ArgumentParser(prog="gh")
    commands = parser.add_subparsers(required=True)
    release = commands.add_parser("release").add_subparsers(required=True)
    creation = release.add_parser("create")
    creation.add_argument("tag")
    creation.add_argument("--verify-tag", action="store_true")
    creation.add_argument("--generate-notes", action="store_true")
    creation.set_defaults(run=create)
    taking = release.add_parser("download")
    taking.add_argument("tag")
    taking.add_argument("--repo", required=True)
    taking.add_argument("--pattern", required=True)
    taking.set_defaults(run=download)
    verifying = commands.add_parser("attestation").add_subparsers(required=True).add_parser("verify")
    verifying.add_argument("file")
    verifying.add_argument("--repo", required=True)
    verifying.add_argument("--source-ref")
    verifying.add_argument("--signer-workflow")
    verifying.add_argument("--deny-self-hosted-runners", action="store_true")
    verifying.set_defaults(run=verify)
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:end])
    options.files = arguments[end + 1 :]
    problem = options.run(options)
    if problem:
        print(f"gh: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
