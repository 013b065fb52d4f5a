#!/usr/bin/env python3
"""Cuts the operations the simulation answers out of botocore's API models, into `model.json`.

The simulated services check what they are sent, and shape what they answer, by that file alone: it is the vendor's
description of the services, so the simulation cannot inherit a mistake of our own client code.

    pip install botocore && python3 tests/simulation/model.py        # writes tests/simulation/model.json
    python3 tests/simulation/model.py --check                        # fails if the file is not what botocore says
"""

import gzip
import json
import pathlib
import sys

import botocore

OPERATIONS = {
    "iam": (
        "iam/2010-05-08",
        """CreateOpenIDConnectProvider GetOpenIDConnectProvider ListOpenIDConnectProviders
        UpdateOpenIDConnectProviderThumbprint AddClientIDToOpenIDConnectProvider
        RemoveClientIDFromOpenIDConnectProvider TagOpenIDConnectProvider UntagOpenIDConnectProvider
        ListOpenIDConnectProviderTags DeleteOpenIDConnectProvider GetRole CreateRole UpdateRole UpdateRoleDescription
        UpdateAssumeRolePolicy PutRolePermissionsBoundary DeleteRolePermissionsBoundary TagRole UntagRole ListRoleTags
        ListRoles ListAttachedRolePolicies AttachRolePolicy DetachRolePolicy ListRolePolicies GetRolePolicy
        PutRolePolicy DeleteRolePolicy ListInstanceProfilesForRole RemoveRoleFromInstanceProfile DeleteRole
        GetUser ListUsers GetAccountSummary""",
    ),
    "eks": (
        "eks/2017-11-01",
        """DescribeCluster CreateAccessEntry DescribeAccessEntry UpdateAccessEntry DeleteAccessEntry
        ListAccessEntries ListClusters AssociateAccessPolicy DisassociateAccessPolicy ListAssociatedAccessPolicies
        ListAccessPolicies TagResource UntagResource ListTagsForResource""",
    ),
    "cloudformation": (
        "cloudformation/2010-05-15",
        "DescribeStackEvents DescribeStackResource DescribeStacks",
    ),
    "secretsmanager": (
        "secretsmanager/2017-10-17",
        "CreateSecret PutSecretValue GetSecretValue DeleteSecret ListSecrets",
    ),
}

# An operation's own description, its examples and the like are of no use to the simulation.
SHAPE_KEYS = ("type", "min", "max", "pattern", "enum", "required")
MEMBER_KEYS = ("location", "locationName", "shape")


def cut(path, names):
    root = pathlib.Path(botocore.__file__).parent / "data" / path / "service-2.json.gz"
    model = json.loads(gzip.decompress(root.read_bytes()))
    shapes, operations = {}, {}

    def keep(name):
        if name in shapes:
            return
        shape = model["shapes"][name]
        kept = shapes[name] = {key: shape[key] for key in SHAPE_KEYS if key in shape}
        if "members" in shape:
            kept["members"] = {
                member: {key: about[key] for key in MEMBER_KEYS if key in about}
                for member, about in shape["members"].items()
            }
            for about in shape["members"].values():
                keep(about["shape"])
        for part in ("member", "key", "value"):
            if part in shape:
                kept[part] = shape[part]["shape"]
                keep(shape[part]["shape"])

    for name in names.split():
        operation = model["operations"][name]
        kept = operations[name] = {
            "method": operation["http"]["method"],
            "uri": operation["http"]["requestUri"],
            "errors": {},
        }
        for end in ("input", "output"):
            if end in operation:
                kept[end] = operation[end]["shape"]
                keep(operation[end]["shape"])
        for error in operation.get("errors", []):
            shape = model["shapes"][error["shape"]]
            about = shape.get("error", {})
            # The JSON protocol needs no status; a fault is the service's.
            status = about.get("httpStatusCode", 500 if shape.get("fault") else 400)
            kept["errors"][about.get("code", error["shape"])] = status
    return {"operations": operations, "shapes": shapes}


def main():
    cuts = {service: cut(*where) for service, where in OPERATIONS.items()}
    text = json.dumps(cuts, indent=1, sort_keys=False) + "\n"
    target = pathlib.Path(__file__).with_name("model.json")
    if "--check" in sys.argv:
        if target.read_text() != text:
            sys.exit(
                f"{target.name} differs from botocore {botocore.__version__}: run {pathlib.Path(__file__).name}"
            )
    else:
        target.write_text(text)


if __name__ == "__main__":
    main()
