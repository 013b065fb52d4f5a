//! The properties of a repository's subjects.

use crate::cloudformation::schema::{Object, Property, PropertyType, ResourceSchema, TEXT, Update};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubRepositoryOidc",
    doc: "Opts an older repository in to subjects that carry ids, and back when the resource goes. A switch that would lock \
          workflows out of a role of the account is not made.",
    guide: "github-repository-oidc",
    object: Object { name: "Properties", doc: "", properties: PROPERTIES, any_of: &[] },
    reference: "the repository, and what had been chosen before: `github.com/repos/octo-org/octo-repo/oidc@classic`",
    attributes: &[("Repository", "The repository.")],
};

const PROPERTIES: &[Property] = &[
    Property::new(
        "Repository",
        PropertyType::Text(TEXT),
        "\"owner/name\" of one GitHub repository",
        "The repository: `owner/name`.",
    )
    .required()
    .update(Update::Replacement),
    Property::new(
        "UseImmutableSubject",
        PropertyType::Boolean,
        "true, for subjects that carry ids; or false",
        "Whether the subjects of its tokens carry ids.",
    )
    .required(),
    Property::new("Host", PropertyType::Text(TEXT), "a host", "Which GitHub: `github.com` or `<subdomain>.ghe.com`.")
        .default("github.com")
        .update(Update::Replacement),
];
