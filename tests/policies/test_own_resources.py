"""No action of AWS that changes a part of the product is within the boundary, or left to everybody by the SCP.

The actions are those that AWS's service authorization reference knows for the ARN of each part."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest

from authorization import Action, changing, reference
from render import ACCOUNT, BOUNDARY, DEAD_LETTERS, LOG_GROUP, REGION, ROOT, Template
from scp import beside_full_access
from simulator import EVERYTHING, Question, ask

sys.path.append(str(ROOT / "bundle"))
import templates


def regional(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


FUNCTION = regional("lambda", "function:github-trust")
SIGNING = regional("lambda", "code-signing-config:csc-0123456789abcdef0")
MAPPING = regional("lambda", "event-source-mapping:12345678-1234-1234-1234-123456789012")
SECRET = regional("secretsmanager", "secret:platform/github-app-1a2b3c")
TOPIC = regional("sns", "alarms")
# An alias is left out: the simulator does not tell it from a version. tests/policies/test_boundary.py has it.
PARTS = {
    "function": FUNCTION,
    "role": f"arn:aws:iam::{ACCOUNT}:role/github-trust/github-trust-Role-1A2B3C",
    "boundary": BOUNDARY,
    "schedule": regional("events", "rule/github-trust-rotation"),
    "service token": regional("ssm", "parameter/github-trust/service-token"),
    "stack": regional("cloudformation", "stack/github-trust/1"),
    "StackSet": regional("cloudformation", "stackset/github-trust:1"),
    "StackSet's target": regional("cloudformation", "stackset-target/github-trust:1"),
    "code": "arn:aws:s3:::octo-code-eu-west-1/github-trust/0.1.0-x86_64/function.zip",
    "code under another key": "arn:aws:s3:::octo-code-eu-west-1/releases/f.zip",
    "code by an access point": regional("s3", "accesspoint/x/object/github-trust/0.1.0-x86_64/function.zip"),
    "code's bucket": "arn:aws:s3:::octo-code-eu-west-1",
    "code signing": SIGNING,
    "event source": MAPPING,
    "saved entry": regional("secretsmanager", "secret:github-trust/access-entry/a-1a2b3c"),
    "saved declaration": regional("secretsmanager", "secret:github-trust/role/a-1a2b3c"),
    "credential": SECRET,
    "dead letters": DEAD_LETTERS,
    "log": LOG_GROUP.removesuffix(":*"),
    "log stream": LOG_GROUP.removesuffix(":*") + ":log-stream:2026",
    "alarm": regional("cloudwatch", "alarm:github-trust-FailedInvocations-1A"),
    "topic": TOPIC,
    "access point": regional("s3", "accesspoint/x"),
    "access point in many regions": f"arn:aws:s3::{ACCOUNT}:accesspoint/x.mrap",
    "access grants": regional("s3", "access-grants/default"),
    "access entry": regional("eks", f"access-entry/prod/role/{ACCOUNT}/team/1a2b3c4d"),
    "cluster": regional("eks", "cluster/prod"),
    "cluster's capability": regional("eks", "capability/prod/argocd/a/1a2b3c4d"),
    "cluster's pod identity": regional("eks", "podidentityassociation/prod/a-1a2b3c"),
    "cluster's identity provider": regional("eks", "identityproviderconfig/prod/oidc/a/1a2b3c4d"),
}
# Actions within the boundary, each with the reason why it is harmless.
BY_TAGS_NOBODY_GOES = "nothing goes by these tags"
TAKES = "takes something away, and gives nobody more"
HARMLESS = {
    "code's bucket": {"ssm:SendCommand": "an instance writes there with its own role"},
    "code signing": {
        "lambda:PutFunctionCodeSigningConfig": "asks for the function, too",
        "lambda:UpdateFunctionCodeSigningConfig": "asks for the function, too",
        "lambda:TagResource": BY_TAGS_NOBODY_GOES,
        "lambda:UntagResource": BY_TAGS_NOBODY_GOES,
    },
    "event source": {
        "lambda:DeleteEventSourceMapping": TAKES,
        "lambda:TagResource": BY_TAGS_NOBODY_GOES,
        "lambda:UntagResource": BY_TAGS_NOBODY_GOES,
    },
    "topic": {
        "sns:ConfirmSubscription": "one more reads",
        "sns:Publish": "one more message",
        "sns:Subscribe": "one more reads",
    },
    "access point": {
        "s3:DeleteAccessPoint": TAKES,
        "s3:DeleteAccessPointPolicy": TAKES,
        "s3:TagResource": BY_TAGS_NOBODY_GOES,
        "s3:UntagResource": BY_TAGS_NOBODY_GOES,
    },
    "access point in many regions": {
        "s3:DeleteMultiRegionAccessPoint": TAKES,
        "s3:SubmitMultiRegionAccessPointRoutes": "chooses among buckets that it has already",
    },
    "access grants": {
        "s3:AssociateAccessGrantsIdentityCenter": "grants nothing by itself",
        "s3:DeleteAccessGrantsInstance": TAKES,
        "s3:DeleteAccessGrantsInstanceResourcePolicy": TAKES,
        "s3:DissociateAccessGrantsIdentityCenter": TAKES,
        "s3:TagResource": BY_TAGS_NOBODY_GOES,
        "s3:UntagResource": BY_TAGS_NOBODY_GOES,
    },
    "cluster": {
        "aps:CreateScraper": "lets in the scraper of AWS, which reads metrics",
        "eks:AssociateEncryptionConfig": "lets nobody in",
        "eks:CancelUpdate": "lets nobody in",
        "eks:CreateAddon": "asks for iam:PassRole where it binds a role",
        "eks:CreateFargateProfile": "asks for iam:PassRole",
        "eks:CreateNodegroup": "asks for iam:PassRole",
        "eks:DeleteCertificateAuthority": TAKES,
        "eks:DeleteCluster": TAKES,
        "eks:DeregisterCluster": TAKES,
        "eks:MutateViaKubernetesApi": "does what the caller's own entry allows",
        "eks:StartInsightsRefresh": "lets nobody in",
        "eks:TagResource": BY_TAGS_NOBODY_GOES,
        "eks:UntagResource": BY_TAGS_NOBODY_GOES,
        "eks:UpdateClusterConfig": "changes the control plane, and not the entries",
        "eks:UpdateClusterVersion": "lets nobody in",
    },
    "cluster's capability": {
        "eks:DeleteCapability": TAKES,
        "eks:TagResource": BY_TAGS_NOBODY_GOES,
        "eks:UntagResource": BY_TAGS_NOBODY_GOES,
    },
    "cluster's pod identity": {
        "eks:CreateAddon": "asks for iam:PassRole where it binds a role",
        "eks:DeleteAddon": TAKES,
        "eks:DeletePodIdentityAssociation": TAKES,
        "eks:TagResource": BY_TAGS_NOBODY_GOES,
        "eks:UntagResource": BY_TAGS_NOBODY_GOES,
        "eks:UpdateAddon": "asks for iam:PassRole where it binds a role",
    },
    "cluster's identity provider": {
        "eks:DisassociateIdentityProviderConfig": TAKES,
        "eks:TagResource": BY_TAGS_NOBODY_GOES,
        "eks:UntagResource": BY_TAGS_NOBODY_GOES,
    },
}
# The plain template, which the bundle and StackSets have: with the bucket of its code.
DEPLOYED = {
    "CodeBucket": "octo-code",
    "CodeKey": "github-trust/1",
    "CodeSigningConfigArn": SIGNING,
    "GitHubSecretArn": SECRET,
    "AlarmTopicArn": TOPIC,
}


# What the service control policy is about. SECURITY.md names the bucket and the configuration as examples.
UNDER_CONTROL = (
    *("function", "role", "boundary", "schedule", "service token", "stack", "StackSet", "StackSet's target"),
    *("code", "code by an access point", "code's bucket", "code signing", "event source", "log", "log stream"),
)

# Roles that the service control policy leaves all this to. Nobody else may change them.
DEPLOYERS = {
    "role that deploys": f"arn:aws:iam::{ACCOUNT}:role/platform-deploy",
    "role of StackSets": f"arn:aws:iam::{ACCOUNT}:role/stacksets-exec-1a2b3c4d5e6f",
}

# Actions that change something, take no resource, and are of a service that a part belongs to, each with the reason why
# it is harmless within the boundary.
CALLERS = "does what the caller's own permissions allow"
MORE_READERS = "one more reads"
NEW = "makes something new, which no part uses"
OTHERS = "changes things that no part uses"
PASSING = "asks for iam:PassRole"
# Spaces, views and threads in which telemetry is read: their alarms and logs stay where they are.
OMNI = "is of CloudWatch Omni, which reads"
ACCOUNT_WIDE = {
    "cloudformation:ActivateOrganizationsAccess": "holds in the management account only",
    "cloudformation:CancelResourceRequest": CALLERS,
    "cloudformation:CreateGeneratedTemplate": NEW,
    "cloudformation:CreateResource": CALLERS,
    "cloudformation:CreateStackSet": "is a detour: docs/threat-model.md",
    "cloudformation:CreateUploadBucket": NEW,
    "cloudformation:DeactivateOrganizationsAccess": "holds in the management account only",
    "cloudformation:DeleteGeneratedTemplate": OTHERS,
    "cloudformation:DeleteResource": CALLERS,
    "cloudformation:PublishType": OTHERS,
    "cloudformation:RegisterPublisher": OTHERS,
    "cloudformation:StartResourceScan": "reads",
    "cloudformation:TestType": OTHERS,
    "cloudformation:UpdateGeneratedTemplate": OTHERS,
    "cloudformation:UpdateResource": CALLERS,
    "cloudwatch:AssumeAccessProfile": OMNI,
    "cloudwatch:CallWithBearerToken": CALLERS,
    "cloudwatch:CreateAccessGrant": OMNI,
    "cloudwatch:CreateAccessProfile": OMNI,
    "cloudwatch:CreateAlert": OMNI,
    "cloudwatch:CreateDomain": OMNI,
    "cloudwatch:CreateDomainAccessGrantForOrganization": OMNI,
    "cloudwatch:CreateDomainForOrganization": OMNI,
    "cloudwatch:CreateIngestionEndpoint": OMNI,
    "cloudwatch:CreateIntegration": OMNI,
    "cloudwatch:CreateOmniDashboard": OMNI,
    "cloudwatch:CreateOmniThread": OMNI,
    "cloudwatch:CreateOneTimeDeepLinkCode": OMNI,
    "cloudwatch:CreateServiceLevelObjective": NEW,
    "cloudwatch:CreateSpace": OMNI,
    "cloudwatch:CreateView": OMNI,
    "cloudwatch:DeleteAnomalyDetector": OTHERS,
    "cloudwatch:DeleteOmniThread": OMNI,
    "cloudwatch:EnableTopologyDiscovery": OTHERS,
    "cloudwatch:InvokeIntegration": OMNI,
    "cloudwatch:Link": MORE_READERS,
    "cloudwatch:PutAnomalyDetector": OTHERS,
    "cloudwatch:PutIntelligenceConfiguration": OMNI,
    "cloudwatch:PutManagedInsightRules": NEW,
    "cloudwatch:QueryTraces": "reads",
    "cloudwatch:SearchPrincipals": OMNI,
    "cloudwatch:StartOTelEnrichment": OTHERS,
    "cloudwatch:StartOmniThreadSession": OMNI,
    "cloudwatch:StartTelemetryQuery": OMNI,
    "cloudwatch:StartTelemetryQuerySession": OMNI,
    "cloudwatch:StopOTelEnrichment": OTHERS,
    "cloudwatch:StopTelemetryQuery": OMNI,
    "cloudwatch:StopTelemetryQuerySession": OMNI,
    "cloudwatch:SubmitFeedback": OMNI,
    "cloudwatch:UpdateOmniThread": OMNI,
    "cloudwatch:UpdatePreferences": OMNI,
    "eks:CreateCluster": PASSING,
    "eks:CreateEksAnywhereSubscription": NEW,
    "eks:RegisterCluster": PASSING,
    "events:PutPartnerEvents": "sends events, and the schedule has no pattern",
    "events:RemovePermission": TAKES,
    "kms:ConnectCustomKeyStore": "lets nobody use a key",
    "kms:CreateCustomKeyStore": NEW,
    "kms:CreateKey": NEW,
    "kms:DeleteCustomKeyStore": "is refused while a key is in it",
    "kms:DisconnectCustomKeyStore": "stops the function where KmsKeyArn is in such a store, and gives nobody more",
    "kms:GenerateRandom": "changes nothing",
    "kms:UpdateCustomKeyStore": "lets nobody use a key",
    "lambda:ConnectMicrovm": OTHERS,
    "lambda:CreateCodeSigningConfig": NEW,
    "lambda:CreateMicrovmImage": NEW,
    "lambda:PassNetworkConnector": OTHERS,
    "logs:AssociateSourceToS3TableIntegration": MORE_READERS,
    "logs:CallWithBearerToken": CALLERS,
    "logs:CancelExportTask": "stops a copy, and leaves the log",
    "logs:CancelImportTask": OTHERS,
    "logs:CreateImportTask": "fills a group of its own",
    "logs:CreateLogDelivery": "delivers logs of services, and the function writes its own",
    "logs:DeleteIndexPolicy": "makes a search slower",
    "logs:DeleteIntegration": OTHERS,
    "logs:DeleteLogDelivery": "delivers logs of services, and the function writes its own",
    "logs:DeleteQueryDefinition": OTHERS,
    "logs:DisassociateSourceFromS3TableIntegration": "stops a copy, and leaves the log",
    "logs:Link": MORE_READERS,
    "logs:PutIndexPolicy": "makes a search faster",
    "logs:PutIntegration": NEW,
    "logs:PutQueryDefinition": OTHERS,
    "logs:UpdateLogDelivery": "delivers logs of services, and the function writes its own",
    "s3:CreateJob": PASSING,
    "s3:CreateStorageLensGroup": NEW,
    "s3:PutStorageLensConfiguration": "measures",
    "sns:CreatePlatformApplication": NEW,
    "sns:CreatePlatformEndpoint": OTHERS,
    "sns:CreateSMSSandboxPhoneNumber": OTHERS,
    "sns:DeleteEndpoint": OTHERS,
    "sns:DeletePlatformApplication": OTHERS,
    "sns:DeleteSMSSandboxPhoneNumber": OTHERS,
    "sns:OptInPhoneNumber": OTHERS,
    "sns:SetEndpointAttributes": OTHERS,
    "sns:SetPlatformApplicationAttributes": OTHERS,
    "sns:VerifySMSSandboxPhoneNumber": OTHERS,
    "ssm:CancelCommand": OTHERS,
    "ssm:CreateActivation": PASSING,
    "ssm:CreateMaintenanceWindow": NEW,
    "ssm:CreateOpsItem": NEW,
    "ssm:CreateOpsMetadata": NEW,
    "ssm:CreatePatchBaseline": NEW,
    "ssm:DeleteActivation": OTHERS,
    "ssm:DeleteInventory": OTHERS,
    "ssm:PutInventory": OTHERS,
    "ssm:RegisterManagedInstance": OTHERS,
}
# What of these the service control policy is about: the log, the schedule and the buckets of the code.
ACCOUNT_WIDE_UNDER_CONTROL = ("events", "logs", "s3")


@functools.cache
def boundary() -> dict[str, Any]:
    text = templates.plain(templates.for_sam((ROOT / "template.yaml").read_text(), "x86_64"))
    document = Template(text, **DEPLOYED).boundary()
    assert document is not None
    return document


def context(action: Action) -> dict[str, str | list[str]]:
    keys: dict[str, str | list[str]] = {"lambda:FunctionArn": FUNCTION} if names_function(action) else {}
    return {"aws:PrincipalIsAWSService": "false", **keys}


def names_function(action: Action) -> bool:
    return "lambda:FunctionArn" in action.keys


def left(actions: list[Action], arn: str, document: dict[str, Any]) -> list[str]:
    """The actions that a boundary leaves to the policies of a role, which allow everything."""
    questions = [Question(action.name, arn, [EVERYTHING], document, context(action)) for action in actions]
    return [action.name for action, answer in zip(actions, ask(questions), strict=True) if answer]


@pytest.mark.parametrize("part", PARTS)
def test_what_changes_a_part_is_beyond_the_boundary_or_is_harmless(part: str) -> None:
    actions = changing(PARTS[part])
    assert len(actions) > 1
    assert sorted(left(actions, PARTS[part], boundary())) == sorted(HARMLESS.get(part, {}))


def test_what_names_the_function_by_a_key_alone_is_beyond_the_boundary() -> None:
    actions = [action for action in reference().values() if action.changes and names_function(action)]
    without = [action for action in actions if not action.types]
    assert [action.name for action in without] == ["lambda:CreateEventSourceMapping"]
    assert left(without, "*", boundary()) == []


def account_wide() -> list[Action]:
    services = {"kms", *(arn.split(":")[2] for arn in PARTS.values())}
    return [
        action for action in reference().values() if action.service in services and action.changes and not action.types
    ]


def test_what_changes_the_whole_account_is_beyond_the_boundary_or_is_harmless() -> None:
    assert len(account_wide()) > 100
    assert sorted(left(account_wide(), "*", boundary())) == sorted(ACCOUNT_WIDE)


def test_what_changes_the_whole_account_is_beyond_the_scp_or_is_harmless() -> None:
    actions = [action for action in account_wide() if action.service in ACCOUNT_WIDE_UNDER_CONTROL]
    beyond = left(actions, "*", beside_full_access())
    assert sorted(beyond) == [
        action for action in sorted(ACCOUNT_WIDE) if action.split(":")[0] in ACCOUNT_WIDE_UNDER_CONTROL
    ]


def test_the_threat_model_says_how_many_actions_are_asked_for() -> None:
    asked = sum(len(changing(arn)) for arn in PARTS.values()) + 1
    beyond = asked - sum(len(reasons) for reasons in HARMLESS.values())
    line = f"| workflow with a role of the product | actions of AWS on a part of the product | {beyond} |"
    assert line in (ROOT / "docs" / "threat-model.md").read_text()


def test_the_same_actions_on_things_of_others_are_within_it() -> None:
    document, key = boundary(), "lambda:FunctionArn"
    for action, resource in (
        ("s3:PutBucketPolicy", "arn:aws:s3:::site"),
        ("s3:PutObject", regional("s3", "accesspoint/site/object/index.html")),
        ("lambda:UpdateCodeSigningConfig", SIGNING.replace("csc-0", "csc-9")),
        ("sns:SetTopicAttributes", regional("sns", "orders")),
        ("lambda:CreateEventSourceMapping", "*"),
    ):
        context: dict[str, str | list[str]] = {key: FUNCTION.replace("github-trust", "web")} if resource == "*" else {}
        assert ask([Question(action, resource, [EVERYTHING], document, context)]) == [True], action


@pytest.mark.parametrize("part", UNDER_CONTROL)
def test_what_changes_a_part_is_beyond_the_scp_or_is_harmless(part: str) -> None:
    assert sorted(left(changing(PARTS[part]), PARTS[part], beside_full_access())) == sorted(HARMLESS.get(part, {}))


@pytest.mark.parametrize("role", DEPLOYERS)
def test_what_changes_a_role_that_deploys_is_beyond_the_scp(role: str) -> None:
    beyond = left(changing(DEPLOYERS[role]), DEPLOYERS[role], beside_full_access())
    # Its trust policy says who may.
    assert [action for action in beyond if not action.startswith("sts:")] == []


def test_what_names_the_function_by_a_key_alone_is_beyond_the_scp() -> None:
    assert left([reference()["lambda:createeventsourcemapping"]], "*", beside_full_access()) == []


def test_every_reason_is_for_a_part() -> None:
    assert HARMLESS.keys() <= PARTS.keys()
    assert set(UNDER_CONTROL) <= PARTS.keys()
