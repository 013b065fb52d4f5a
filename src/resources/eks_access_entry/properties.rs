//! Properties of an access entry, as the author of a template declares them.

use crate::cloudformation::property_handle::{Nested, ObjectType, Objects, Texts, object_type};
use crate::cloudformation::schema::{Count, Property, ResourceSchema, TEXT, Text, Update};
use crate::ownership::tags_property::{self as tags, Tag};

use super::{EntryType, GROUP_LIMIT, NAMESPACE_LIMIT, POLICY_LIMIT, TAG_LIMIT};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::EksAccessEntry",
    doc: "An EKS access entry with its access policies: lets a role or user into a cluster's Kubernetes API. The cluster \
          is in the function's account and region, and its authentication mode is `API` or `API_AND_CONFIG_MAP`. The \
          function waits for a cluster that is still being created. An entry lets in the role that was there when it was \
          made. If its `Custom::GitHubRole` makes the role again, the function makes the entry again, too, with all that it \
          had.",
    guide: "access-entry",
    object: Properties::OBJECT,
    reference: "`<PrincipalArn>|<ClusterName>`, as of the native resource",
    attributes: &[
        ("AccessEntryArn", "The entry's ARN. It changes when the entry is made again."),
        ("PrincipalArn", "The principal's ARN."),
        ("Username", "The Kubernetes username, also if EKS made it."),
    ],
};

pub(super) const CLUSTER_EXPECTED: &str =
    "the name of an EKS cluster, 1 to 100 letters, digits, hyphens and underscores";
pub(super) const PRINCIPAL_EXPECTED: &str = "the ARN of an IAM role or user";
pub(super) const POLICY_EXPECTED: &str = "an access policy of EKS, such as AmazonEKSViewPolicy or its ARN";
/// <https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html>
const NOT_RESERVED: &str = "^(?!(system|eks|aws|amazon|iam):)";
const NOT_RESERVED_NOR_ARN: &str = "^(?!(system|eks|aws|amazon|iam|arn):)";

object_type! {
    /// Properties of an access entry.
    pub Properties => {
        CLUSTER_NAME: Text = Property::text(
            "ClusterName",
            TEXT.at_most(100).matching("^[0-9A-Za-z][A-Za-z0-9_-]*$"),
            CLUSTER_EXPECTED,
            "The cluster's name.",
        )
        .required()
        .update(Update::Replacement);
        PRINCIPAL_ARN: Text = Property::text(
            "PrincipalArn",
            TEXT.at_most(2048).matching("^arn:aws[^:]*:iam::[0-9]{12}:(role|user)/"),
            PRINCIPAL_EXPECTED,
            "The ARN of a role or user, its path included; no session and no service-linked role. Nodes (any `Type` but \
             `STANDARD`) are roles of the cluster's account.",
        )
        .required()
        .update(Update::Replacement);
        ROLE_ID: Text = Property::text(
            "RoleId",
            TEXT.at_most(128).matching("^AROA[A-Z0-9]+$"),
            "the unique id of a role, which begins with AROA",
            "The unique id of the role (`!GetAtt Role.RoleId`). No other role of that ARN gets the entry. If a role was made by \
             hand, or by another tool, and is made again, its new id has to be declared here: the function follows roles of \
             `Custom::GitHubRole` by itself. For a role of the function's account.",
        );
        TYPE: Text = Property::choice(
            "Type",
            &EntryType::ALL,
            "The type of the entry. All but `STANDARD` are for nodes, have to be allowed by the deployment \
             (`AllowClusterAdmin`), and take neither `Username`, `KubernetesGroups` nor \
             `AccessPolicies`, but for `AmazonEKSAutoNodePolicy` with `EC2`. An adopted entry keeps its type.",
        )
        .default("STANDARD")
        .update(Update::SomeInterruptions);
        USERNAME: Text = Property::text(
            "Username",
            TEXT.at_most(2048).matching(NOT_RESERVED_NOR_ARN),
            "a username of at most 2048 characters",
            "The Kubernetes username. It does not begin with `system:`, `eks:`, `aws:`, `amazon:`, `iam:` or `arn:`, and \
             a `{{SessionName}}` or `{{SessionNameRaw}}` in it needs a colon before it. By default EKS makes one.",
        );
        KUBERNETES_GROUPS: Texts = Property::texts(
            "KubernetesGroups",
            TEXT.at_most(253).matching(NOT_RESERVED),
            Count::at_most(GROUP_LIMIT, "groups"),
            "at most 253 characters",
            "The Kubernetes groups that role bindings of the cluster can name. The list is the whole list: others are \
             removed. If it is left out, they stay.",
        );
        ACCESS_POLICIES: Objects<AccessPolicy> = Property::objects(
            "AccessPolicies",
            Count::at_most(POLICY_LIMIT, "policies"),
            "a list of access policies",
            "The access policies, each with its scope. The list is the whole list: others are disassociated. If it is \
             left out, they stay. The deployment has to allow all but `AmazonEKSViewPolicy` (`AllowedNamespaces`, \
             `AllowClusterAdmin`).",
        );
        TAGS: Objects<Tag> = tags::property(TAG_LIMIT, "Tags of the entry, beside those that record its owner.");
        ON_EXISTING: Text = Property::choice(
            "OnExisting",
            &["Fail", "Adopt", "TakeOver"],
            "`Fail` refuses an entry of this principal that is there already. `Adopt` adopts an entry that no stack \
             owns. Everything that it keeps has to be within the guardrails, and it is given back as it was found when \
             the resource is deleted, unless it was made again for another role. The deployment has to allow that \
             (`AllowRoleAdoption`). `TakeOver` takes over an entry that another resource of this function made and let go \
             (`DeletionPolicy: Retain`); of another stack, if the deployment allows that, too.",
        )
        .default("Fail");
    }
}

object_type! {
    pub(super) AccessPolicy("An access policy and where in the cluster it holds.") => {
        POLICY_ARN: Text = Property::text(
            "PolicyArn",
            TEXT.at_most(2048).matching("^(arn:aws[^:]*:eks::aws:cluster-access-policy/)?[A-Za-z0-9]+$"),
            POLICY_EXPECTED,
            "The policy's ARN, or its name alone: `AmazonEKSViewPolicy`. Each policy can stand here once.",
        )
        .required();
        ACCESS_SCOPE: Nested<AccessScope> = Property::object(
            "AccessScope",
            "`Type: cluster`, or `Type: namespace` with `Namespaces`",
            "The scope of the policy.",
        )
        .required();
    }
}

object_type! {
    pub(super) AccessScope("Where in the cluster an access policy holds.") => {
        TYPE: Text = Property::choice("Type", &["cluster", "namespace"], "`cluster` is everywhere.").required();
        NAMESPACES: Texts = Property::texts(
            "Namespaces",
            TEXT.at_most(63),
            Count::at_most(NAMESPACE_LIMIT, "namespaces"),
            "at most 63 characters",
            "The namespaces, for `Type: namespace`, which needs at least one; `*` is a wildcard (`dev-*`). EKS does not check \
             that they exist.",
        );
    }
}
