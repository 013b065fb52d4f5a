"""What the template sets for the function."""

from __future__ import annotations

import re

import pytest

from render import ACCOUNT, REGION, ROOT, Template

# For a local AWS; docs/threat-model.md names them.
LOCAL = {
    "GITHUB_TRUST_RESPONSE_ORIGIN",
    "GITHUB_TRUST_GITHUB_API",
    "GITHUB_TRUST_HOSTS",
    "GITHUB_TRUST_IAM_LAG_SECONDS",
    "GITHUB_TRUST_THUMBPRINT_CONFIRMATION_SECONDS",
}


def test_the_template_sets_all_but_what_is_for_a_local_aws() -> None:
    read = set(re.findall(r'"(GITHUB_TRUST_[A-Z_]+[A-Z])"', (ROOT / "src" / "settings.rs").read_text()))
    assert read >= LOCAL
    assert not LOCAL & Template().environment().keys()
    assert read - LOCAL <= Template().environment().keys()


def test_the_threat_model_names_what_is_for_a_local_aws() -> None:
    told = (ROOT / "docs" / "threat-model.md").read_text()
    assert not [name for name in LOCAL if name not in told]


def test_the_function_has_the_code_signing_that_a_parameter_names() -> None:
    signing = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-0123456789abcdefg"
    assert Template(CodeSigningConfigArn=signing).function_property("CodeSigningConfigArn") == signing
    assert Template().function_property("CodeSigningConfigArn") is None


def test_security_md_names_every_action_of_the_functions_role() -> None:
    parameters = (
        {},
        {"RolePermissionsBoundary": "None"},
        {"AllowClusterAdmin": "true"},
        {"GitHubSecretArn": "github", "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", "SubnetIds": "subnet-1"},
    )
    allowed: set[str] = set()
    for some in parameters:
        for document in Template(**some).function_policies().values():
            for statement in document["Statement"]:
                if statement["Effect"] == "Allow":
                    actions = statement["Action"]
                    allowed |= {actions} if isinstance(actions, str) else set(actions)
    [table] = re.findall(r"\| what \| on what \| actions \|\n(.*?)\n\n", (ROOT / "SECURITY.md").read_text(), re.DOTALL)
    told = {action for row in table.splitlines()[1:] for action in re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", row)}
    assert told == allowed


def test_a_deployment_in_a_partition_of_unknown_hosts_is_refused() -> None:
    # Each of its stacks would wait an hour for an answer that the function has no address for.
    table = (ROOT / "src" / "arn.rs").read_text().partition("const SUFFIXES")[2].partition("];")[0]
    known = dict(re.findall(r'\("(aws[a-z-]*)", "([a-z0-9.-]+)"\)', table))
    assert len(known) > 3
    assert Template().mappings()["ResponseHosts"] == {name: {"Suffix": suffix} for name, suffix in known.items()}
    # CloudFormation looks the partition up, and finds none.
    assert Template().function_property("Description").endswith(" at amazonaws.com")
    with pytest.raises(KeyError):
        Template(partition="aws-new").function_property("Description")
