"""The rules for cfn-lint find the mistakes that the function would refuse, and nothing in templates that work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from local_aws import REGION, ROOT, TOOLS

PROVIDER = "Custom::GitHubOidcProvider"
ROLE = "Custom::GitHubRole"
ENTRY = "Custom::EksAccessEntry"
EXAMPLES = [path for path in sorted((ROOT / "examples").rglob("*.yaml")) if "Type: Custom::" in path.read_text()]
TOKEN = {"Fn::ImportValue": "github-trust-ServiceToken"}
PRINCIPAL = "arn:aws:iam::123456789012:role/ci"
PLAIN: dict[str, dict[str, Any]] = {
    PROVIDER: {"ServiceToken": TOKEN},
    ROLE: {
        "ServiceToken": TOKEN,
        "ProviderArn": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
        "Trust": [{"Repository": "octo-org/octo-repo", "Branches": ["main"]}],
    },
    ENTRY: {"ServiceToken": TOKEN, "ClusterName": "demo", "PrincipalArn": PRINCIPAL},
}
LEFT_OUT = object()


def lint(path: Path) -> list[tuple[str, list[Any], str]]:
    """Rule, place and message of everything that is found."""
    command = ["--append-rules", str(ROOT / "schemas" / "cfn-lint"), "--format", "json", "--", str(path)]
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    result = subprocess.run(
        [str(TOOLS / "bin" / "cfn-lint"), *command],
        env={**mine, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
        cwd=path.parent,
    )
    assert result.returncode in (0, 2, 4, 6), result.stderr
    found = json.loads(result.stdout)
    return [(match["Rule"]["Id"], match["Location"]["Path"], match["Message"]) for match in found]


def template(folder: Path, resources: dict[str, Any], **more: Any) -> Path:
    path = folder / "template.json"
    path.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", **more, "Resources": resources}))
    return path


def trust(**entry: Any) -> dict[str, Any]:
    return {"Trust": [{"Repository": "octo-org/octo-repo", "Branches": ["main"], **entry}]}


def scope(**entry: Any) -> dict[str, Any]:
    return {"AccessPolicies": [{"PolicyArn": "AmazonEKSViewPolicy", "AccessScope": entry}]}


MISTAKES: list[tuple[str, str, dict[str, Any], list[Any], str]] = [
    # a wrong type
    ("text for trust", ROLE, {"Trust": "octo-org/octo-repo"}, ["Trust"], "array"),
    ("a map for a text", ROLE, {"Description": {"a": "b"}}, ["Description"], "string"),
    ("a word for a number", ROLE, {"MaxSessionDuration": "an hour"}, ["MaxSessionDuration"], "an hour"),
    ("a word for true or false", ROLE, trust(PullRequests="maybe"), ["Trust", 0, "PullRequests"], "maybe"),
    ("a map for a list", PROVIDER, {"ClientIdList": {"a": "b"}}, ["ClientIdList"], "array"),
    ("a word for all jobs", ROLE, trust(AllJobs="maybe"), ["Trust", 0, "AllJobs"], "maybe"),
    # a missing property
    ("no service token", PROVIDER, {"ServiceToken": LEFT_OUT}, [], "ServiceToken"),
    ("no provider", ROLE, {"ProviderArn": LEFT_OUT}, [], "ProviderArn"),
    ("no repository", ROLE, {"Trust": [{"Branches": ["main"]}]}, ["Trust", 0], "'Repository', 'Subjects'"),
    ("no context", ROLE, {"Trust": [{"Repository": "octo-org/octo-repo"}]}, ["Trust", 0], "'Branches', 'Tags'"),
    (
        "no scope",
        ENTRY,
        {"AccessPolicies": [{"PolicyArn": "AmazonEKSViewPolicy"}]},
        ["AccessPolicies", 0],
        "AccessScope",
    ),
    (
        "a claim without values",
        ROLE,
        trust(TemplateClaims=[{"Name": "repo_property_tier"}]),
        ["Trust", 0, "TemplateClaims", 0],
        "Values",
    ),
    # a misspelt property
    ("a misspelt property", ROLE, {"MaxSessionDuraton": 3600}, ["MaxSessionDuraton"], "'MaxSessionDuration'"),
    ("a misspelt member", ROLE, trust(Branchs=["a"]), ["Trust", 0, "Branchs"], "'Branches'"),
    ("a misspelt list", ENTRY, {"KubernetesGroup": ["a"]}, ["KubernetesGroup"], "'KubernetesGroups'"),
    ("a property of another kind", PROVIDER, {"Trust": []}, ["Trust"], "Trust"),
    # a number out of range, or too many
    ("too short a session", ROLE, {"MaxSessionDuration": 900}, ["MaxSessionDuration"], "3600"),
    ("too long a session", ROLE, {"MaxSessionDuration": 43201}, ["MaxSessionDuration"], "43200"),
    ("the same as text", ROLE, {"MaxSessionDuration": "43201"}, ["MaxSessionDuration"], "43200"),
    ("too short a patience", PROVIDER, {"ServiceTimeout": 60}, ["ServiceTimeout"], "240"),
    ("six thumbprints", PROVIDER, {"ThumbprintList": [c * 40 for c in "abcdef"]}, ["ThumbprintList"], "5"),
    ("too long a name", ROLE, {"RoleName": "a" * 65}, ["RoleName"], "64"),
    # what no value can be
    ("a thumbprint that is none", PROVIDER, {"ThumbprintList": ["abc"]}, ["ThumbprintList", 0], "abc"),
    ("a repository without owner", ROLE, trust(Repository="octo-repo"), ["Trust", 0, "Repository"], "octo-repo"),
    ("a whole ref", ROLE, trust(Branches=["refs/heads/main"]), ["Trust", 0, "Branches", 0], "refs/heads/main"),
    ("a short ref", ROLE, trust(Refs=["main"]), ["Trust", 0, "Refs", 0], "main"),
    ("an unknown type of entry", ENTRY, {"Type": "EC2_MAC"}, ["Type"], "STANDARD"),
    ("an unknown scope", ENTRY, scope(Type="node"), ["AccessPolicies", 0, "AccessScope", "Type"], "namespace"),
    ("a reserved group", ENTRY, {"KubernetesGroups": ["system:masters"]}, ["KubernetesGroups", 0], "system:masters"),
]


def test_mistakes_are_found_where_they_are(tmp_path: Path) -> None:
    """In one template, because cfn-lint takes a while to start."""
    resources = {}
    for number, (_, type_, mistake, _, _) in enumerate(MISTAKES):
        properties = {**PLAIN[type_], **mistake}
        properties = {name: value for name, value in properties.items() if value is not LEFT_OUT}
        resources[f"R{number}"] = {"Type": type_, "Properties": properties}
    found = [match for match in lint(template(tmp_path, resources)) if match[0].startswith("E93")]
    for number, (what, _, _, place, text) in enumerate(MISTAKES):
        mine = [(path[2:], message) for _, path, message in found if path[1] == f"R{number}"]
        assert len(mine) == 1, f"{what}: {mine}"
        [(path, message)] = mine
        assert path == ["Properties", *place], f"{what}: {path} {message}"
        assert text in message, f"{what}: {message}"


def test_rules_without_their_schemas_fail_and_say_what_to_copy(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "schemas" / "cfn-lint", tmp_path / "cfn-lint")
    command = [TOOLS / "bin" / "cfn-lint", "--append-rules", tmp_path / "cfn-lint", "--", template(tmp_path, {})]
    result = subprocess.run(command, env={**os.environ, "AWS_DEFAULT_REGION": REGION}, capture_output=True, text=True)
    assert result.returncode != 0
    assert "copy the whole folder schemas/" in result.stderr


def test_values_of_functions_are_taken_for_right(tmp_path: Path) -> None:
    """Wherever a value may stand, so may each of these."""
    wide = {"Fn::If": ["Wide", ["main", "release/*"], {"Ref": "AWS::NoValue"}]}
    resources = {
        "Provider": {
            "Type": PROVIDER,
            "Properties": {
                "ServiceToken": TOKEN,
                "Url": {"Fn::Sub": "https://${Host}/_services/token"},
                "ClientIdList": {"Fn::Split": [",", {"Ref": "Names"}]},
                "ThumbprintList": {"Fn::If": ["Wide", ["a" * 40], {"Ref": "AWS::NoValue"}]},
                "OnExisting": {"Fn::If": ["Wide", "Share", "Fail"]},
                "ServiceTimeout": {"Ref": "Seconds"},
            },
        },
        "Role": {
            "Type": ROLE,
            "Properties": {
                "ServiceToken": TOKEN,
                "ProviderArn": {"Ref": "Provider"},
                "RoleName": {"Fn::Sub": "${AWS::StackName}-ci"},
                "MaxSessionDuration": {"Ref": "Seconds"},
                "ManagedPolicyArns": {"Ref": "Arns"},
                "Policies": {"Fn::If": ["Wide", [], {"Ref": "AWS::NoValue"}]},
                "Description": {"Fn::GetAtt": ["Provider", "Issuer"]},
                "Trust": {
                    "Fn::If": [
                        "Wide",
                        [{"Repository": {"Fn::Join": ["/", ["octo-org", {"Ref": "Host"}]]}, "Branches": wide}],
                        {"Repository": "octo-org/octo-repo", "PullRequests": {"Fn::If": ["Wide", "true", False]}},
                    ]
                },
                "Tags": [{"Fn::If": ["Wide", {"Key": "a", "Value": "b"}, {"Ref": "AWS::NoValue"}]}],
            },
        },
        "Entry": {
            "Type": ENTRY,
            "Condition": "Wide",
            "Properties": {
                "ServiceToken": TOKEN,
                "ClusterName": {"Fn::ImportValue": {"Fn::Sub": "${Host}-cluster"}},
                "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "KubernetesGroups": {"Fn::Split": [",", {"Fn::FindInMap": ["Groups", "all", "names"]}]},
                "AccessPolicies": [
                    {
                        "PolicyArn": {"Fn::Sub": "arn:${AWS::Partition}:eks::aws:cluster-access-policy/${Host}"},
                        "AccessScope": {
                            "Fn::If": ["Wide", {"Type": "cluster"}, {"Type": "namespace", "Namespaces": "a"}]
                        },
                    }
                ],
            },
        },
    }
    parameters = {
        "Host": {"Type": "String"},
        "Names": {"Type": "String"},
        "Seconds": {"Type": "Number"},
        "Arns": {"Type": "CommaDelimitedList"},
    }
    path = template(
        tmp_path,
        resources,
        Parameters=parameters,
        Conditions={"Wide": {"Fn::Equals": [{"Ref": "Host"}, "a"]}},
        Mappings={"Groups": {"all": {"names": "a,b"}}},
    )
    assert [match for match in lint(path) if match[0].startswith("E")] == []
    assert editor_finds(yaml.safe_load(path.read_text())) == []


def test_what_stands_behind_a_condition_is_looked_at(tmp_path: Path) -> None:
    duration = {"Fn::If": ["Wide", 900, 3600]}
    role = {"Type": ROLE, "Properties": {**PLAIN[ROLE], "MaxSessionDuration": duration}}
    conditions = {"Wide": {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]}}
    [(rule, path, message)] = lint(template(tmp_path, {"Role": role}, Conditions=conditions))
    assert rule == "E9301"
    assert path[:4] == ["Resources", "Role", "Properties", "MaxSessionDuration"]
    assert "900" in message


def test_misspelt_attributes_and_types_are_found(tmp_path: Path) -> None:
    resources = {
        "Role": {"Type": ROLE, "Properties": PLAIN[ROLE]},
        "Provider": {"Type": "Custom::GithubOIDCProvider", "Properties": PLAIN[PROVIDER]},
        "Other": {"Type": "Custom::Toaster", "Properties": {"ServiceToken": TOKEN, "Anything": 1}},
    }
    outputs = {
        "Right": {"Value": {"Fn::Sub": "${Role.Subjects} ${Other.Whatever}"}},
        "Wrong": {"Value": {"Fn::GetAtt": ["Role", "ARN"]}},
        "WrongText": {"Value": {"Fn::Sub": "${Role.Name}"}},
    }
    found = sorted(lint(template(tmp_path, resources, Outputs=outputs)))
    assert [(rule, path[1]) for rule, path, _ in found] == [
        ("E9302", "Wrong"),
        ("E9302", "WrongText"),
        ("E9303", "Provider"),
    ]
    assert "there are Arn, " in found[0][2]
    assert f"did you mean {PROVIDER}?" in found[2][2]


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_nothing_is_found_in_the_examples(path: Path) -> None:
    assert [match for match in lint(path) if match[0].startswith("E93")] == []


def editor_finds(document: Any) -> list[str]:
    schema = json.loads((ROOT / "schemas" / "template.json").read_text())
    return [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(document)]


def test_the_schema_for_editors_finds_what_no_function_could_have_been() -> None:
    """To an editor `!Ref Name` is the string "Name", so of strings it cannot say more."""
    unseen = set()
    for what, type_, mistake, place, _ in MISTAKES:
        properties = {**PLAIN[type_], **mistake}
        properties = {name: value for name, value in properties.items() if value is not LEFT_OUT}
        found = editor_finds({"Resources": {"R": {"Type": type_, "Properties": properties}}})
        at = [*["Resources", "R", "Properties"], *place[:1]]
        if not any(line.startswith("$." + ".".join(at)) or repr(at[-1]) in line for line in found):
            unseen.add(what)
    assert unseen == {
        "a word for a number",
        "a word for true or false",
        "a word for all jobs",
        "the same as text",
        "too long a name",
        "a thumbprint that is none",
        "a repository without owner",
        "a whole ref",
        "a short ref",
        "an unknown type of entry",
        "an unknown scope",
        "a reserved group",
    }
