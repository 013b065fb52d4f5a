//! The properties of a variable or a secret.

use crate::cloudformation::schema::{Count, Object, Property, PropertyType, ResourceSchema, TEXT, Text, Update};

use super::declaration::{ENVIRONMENT_EXPECTED, HOST_EXPECTED, NAME_EXPECTED, NAME_LIMIT, VISIBILITY_EXPECTED};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubVariable",
    doc: "A variable or a secret of GitHub Actions, such as a role's ARN, in a repository, one of its environments or an \
          organisation. What somebody else made is not overwritten, unless `OnExisting: Adopt` says so, and never deleted. \
          The function needs a credential that may write there (`GitHubSecretArn` of its template).",
    guide: "github-variable",
    object: Object { name: "Properties", doc: "", properties: PROPERTIES, any_of: &[&["Repository", "Organization"]] },
    reference: "place and name, and when it was asked for: \
                `github.com/repos/octo-org/octo-repo/variables/AWS_ROLE_ARN@2026-11-21T09:00:00Z`",
    attributes: &[
        ("Name", "The name, in upper case."),
        ("Warning", "What is wrong with the environment, if anything is: that nothing protects it."),
    ],
};

const PROPERTIES: &[Property] = &[
    Property::new("Repository", PropertyType::Text(TEXT), "\"owner/name\" of one GitHub repository", "The repository: `owner/name`.")
        .update(Update::Replacement),
    Property::new(
        "Environment",
        PropertyType::Text(TEXT),
        ENVIRONMENT_EXPECTED,
        "An environment of the repository. It has to be there; `Custom::GitHubEnvironment` makes one.",
    )
    .update(Update::Replacement),
    Property::new(
        "Organization",
        PropertyType::Text(TEXT),
        "the name of an organisation",
        "The organisation, in place of `Repository`; it needs `Visibility`.",
    )
    .update(Update::Replacement),
    Property::new(
        "Visibility",
        PropertyType::Text(Text::one_of(&["all", "private", "selected"])),
        VISIBILITY_EXPECTED,
        "Which repositories of the organisation may read it.",
    ),
    Property::new(
        "SelectedRepositories",
        PropertyType::Texts(TEXT, Count::any("repositories")),
        "the name of a repository of the organisation",
        "The names of the repositories, for `Visibility: selected`, which needs at least one.",
    ),
    Property::new(
        "Name",
        PropertyType::Text(TEXT.at_most(NAME_LIMIT).matching("^(?![Gg][Ii][Tt][Hh][Uu][Bb]_)[A-Za-z_][A-Za-z0-9_]*$")),
        NAME_EXPECTED,
        "The name, in any case; GitHub keeps it in upper case.",
    )
    .required()
    .update(Update::Replacement),
    Property::new(
        "Value",
        // Without a limit here, because a message about one would show the value.
        PropertyType::Text(TEXT),
        "what the workflow is to read, such as `!GetAtt Role.Arn`",
        "What the workflow reads: at most 48 KB.",
    )
    .required(),
    Property::new("Secret", PropertyType::Boolean, "", "Whether it is a secret, which nobody can read back, or a variable.")
        .default("false")
        .update(Update::Replacement),
    Property::new(
        "OnExisting",
        PropertyType::Text(Text::one_of(&["Fail", "Adopt"])),
        "",
        "What is done where somebody else's holds another value: `Adopt` overwrites it, and leaves it there on deletion.",
    )
    .default("Fail"),
    Property::new(
        "Host",
        PropertyType::Text(TEXT),
        HOST_EXPECTED,
        "Which GitHub: `github.com`, `<subdomain>.ghe.com`, or the host of an Enterprise Server.",
    )
    .default("github.com")
    .update(Update::Replacement),
];
