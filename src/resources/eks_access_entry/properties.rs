//! The properties of an access entry.

use crate::cloudformation::schema::{Count, Object, Property, PropertyType, ResourceSchema, TEXT, Text, Update};
use crate::ownership::tags_property as tags;

use super::{EntryType, POLICY_LIMIT, TAG_LIMIT};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::EksAccessEntry",
    doc: "An EKS access entry with its access policies: lets a role or user into a cluster's Kubernetes API. The cluster is \
          in the function's account and region, and its authentication mode is `API` or `API_AND_CONFIG_MAP`; one that is \
          still being created is waited for. An entry lets in the role that was there when it was made: where the role was \
          made again since, the entry is made again, too, with all that it had.",
    guide: "access-entry",
    object: Object { name: "Properties", doc: "", properties: PROPERTIES, any_of: &[] },
    reference: "`<PrincipalArn>|<ClusterName>`, as of the native resource",
    attributes: &[
        ("AccessEntryArn", "The entry's ARN. It changes when the entry is made again."),
        ("PrincipalArn", "The principal's ARN."),
        ("Username", "The Kubernetes username, also where EKS made it."),
    ],
};

pub(super) const CLUSTER_EXPECTED: &str =
    "the name of an EKS cluster, 1 to 100 letters, digits, hyphens and underscores";
pub(super) const PRINCIPAL_EXPECTED: &str = "the ARN of an IAM role or user";
pub(super) const POLICY_EXPECTED: &str = "an access policy of EKS, such as AmazonEKSViewPolicy or its ARN";
/// <https://docs.aws.amazon.com/eks/latest/userguide/creating-access-entries.html>
const NOT_RESERVED: &str = "^(?!(system|eks|aws|amazon|iam):)";

const PROPERTIES: &[Property] = &[
    Property::new(
        "ClusterName",
        PropertyType::Text(TEXT.at_most(100).matching("^[0-9A-Za-z][A-Za-z0-9_-]*$")),
        CLUSTER_EXPECTED,
        "The cluster's name.",
    )
    .required()
    .update(Update::Replacement),
    Property::new(
        "PrincipalArn",
        PropertyType::Text(TEXT.at_most(2048).matching("^arn:aws[^:]*:iam::[0-9]{12}:(role|user)/")),
        PRINCIPAL_EXPECTED,
        "The ARN of a role or user, its path included; no session and no service-linked role. Nodes (any `Type` but \
         `STANDARD`) are roles of the cluster's account.",
    )
    .required()
    .update(Update::Replacement),
    Property::new(
        "Type",
        PropertyType::Text(Text::one_of(&EntryType::ALL)),
        "",
        "The type of the entry. All but `STANDARD` are for nodes, have to be allowed by the deployment \
         (`AllowClusterAdmin`), and take neither `Username`, `KubernetesGroups` nor \
         `AccessPolicies`, but for `AmazonEKSAutoNodePolicy` with `EC2`. An adopted entry keeps its type.",
    )
    .default("STANDARD")
    .update(Update::SomeInterruptions),
    Property::new(
        "Username",
        PropertyType::Text(TEXT.matching(NOT_RESERVED)),
        "a username",
        "The Kubernetes username. It does not begin with `system:`, `eks:`, `aws:`, `amazon:` or `iam:`, and a \
         `{{SessionName}}` or `{{SessionNameRaw}}` in it needs a colon before it. Where it is left out, EKS makes one.",
    ),
    Property::new(
        "KubernetesGroups",
        PropertyType::Texts(TEXT.at_most(253).matching(NOT_RESERVED), Count::any("groups")),
        "at most 253 characters",
        "The Kubernetes groups that role bindings of the cluster can name. The list is the whole list: others are removed. \
         Where it is left out, they stay.",
    ),
    Property::new(
        "AccessPolicies",
        PropertyType::Objects(&ACCESS_POLICY, Count::at_most(POLICY_LIMIT, "policies")),
        "a list of access policies",
        "The access policies, each with its scope. The list is the whole list: others are disassociated. Where it is left \
         out, they stay.",
    ),
    tags::property(TAG_LIMIT, "Tags of the entry, beside those that record its owner."),
    Property::new(
        "OnExisting",
        PropertyType::Text(Text::one_of(&["Fail", "Adopt"])),
        "",
        "What to do with an entry of this principal that no stack owns: `Fail` refuses it, `Adopt` takes it over. An adopted \
         entry is released when the resource is deleted: it stays as it is, without the owner's tags. The deployment has to \
         allow it (`AllowRoleAdoption`).",
    )
    .default("Fail"),
];

const ACCESS_POLICY: Object = Object {
    name: "AccessPolicy",
    doc: "An access policy and where in the cluster it holds.",
    properties: &[
        Property::new(
            "PolicyArn",
            PropertyType::Text(TEXT.matching("^(arn:aws[^:]*:eks::aws:cluster-access-policy/)?[A-Za-z0-9]+$")),
            POLICY_EXPECTED,
            "The policy's ARN, or its name alone: `AmazonEKSViewPolicy`. Each policy can stand here once.",
        )
        .required(),
        Property::new(
            "AccessScope",
            PropertyType::Object(&ACCESS_SCOPE),
            "`Type: cluster`, or `Type: namespace` with `Namespaces`",
            "Where the policy holds.",
        )
        .required(),
    ],
    any_of: &[],
};

const ACCESS_SCOPE: Object = Object {
    name: "AccessScope",
    doc: "Where in the cluster an access policy holds.",
    properties: &[
        Property::new(
            "Type",
            PropertyType::Text(Text::one_of(&["cluster", "namespace"])),
            "",
            "`cluster` is everywhere.",
        )
        .required(),
        Property::new(
            "Namespaces",
            PropertyType::Texts(TEXT.at_most(63), Count::any("namespaces")),
            "at most 63 characters",
            "The namespaces, for `Type: namespace`, which needs at least one; `*` is a wildcard (`dev-*`). EKS does not check \
             that they exist.",
        ),
    ],
    any_of: &[],
};
