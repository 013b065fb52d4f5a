//! Properties of a variable or a secret, as the author of a template declares them.

use crate::cloudformation::property_handle::{Boolean, ObjectType, Texts, object_type};
use crate::cloudformation::schema::{Count, Property, ResourceSchema, TEXT, Text, Update};

/// Names are part of the physical id, which has at most 1024 bytes.
pub(super) const NAME_LIMIT: usize = 255;
/// The repositories of one variable. Each of them is a call to GitHub, whose rate limit is shared by all stacks.
pub(super) const SELECTED_LIMIT: usize = 500;

pub(super) const NAME_EXPECTED: &str =
    "1 to 255 letters, digits and `_`, not beginning with a digit, `GITHUB_` or `TRUST_OWNER_`";
pub(super) const HOST_EXPECTED: &str =
    "github.com, <subdomain>.ghe.com or the host of an Enterprise Server, in lower case";

pub(super) const ENVIRONMENT_EXPECTED: &str =
    "the name of one environment, without wildcards, at most 255 characters and 400 bytes";
pub(super) const VISIBILITY_EXPECTED: &str =
    "all, private or selected: which repositories of the organisation may read it";

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubVariable",
    doc: "A variable or a secret of GitHub Actions, such as a role's ARN, in a repository, one of its environments or an \
          organisation. The function never deletes somebody else's, and overwrites it only with `OnExisting: Adopt`. It \
          needs a credential that may write there (`GitHubSecretArn` of its template).",
    guide: "github-variable",
    object: Properties::OBJECT,
    reference: "place and name: `github.com/repos/octo-org/octo-repo/variables/AWS_ROLE_ARN`",
    attributes: &[
        ("Name", "The name, in upper case."),
        ("Warning", "The environment, if it has no protection. Otherwise empty."),
    ],
};

object_type! {
    /// Properties of a variable or a secret.
    pub Properties("", any_of: ["Repository", "Organization"]) => {
        REPOSITORY: Text = Property::text(
            "Repository",
            TEXT,
            "\"owner/name\" of one GitHub repository",
            "The repository: `owner/name`.",
        )
        .update(Update::Replacement);
        ENVIRONMENT: Text = Property::text(
            "Environment",
            TEXT,
            ENVIRONMENT_EXPECTED,
            "An environment of the repository. It has to be there; `Custom::GitHubEnvironment` makes one.",
        )
        .update(Update::Replacement);
        ORGANIZATION: Text = Property::text(
            "Organization",
            TEXT,
            "the name of an organisation",
            "The organisation, in place of `Repository`; it needs `Visibility`.",
        )
        .update(Update::Replacement);
        VISIBILITY: Text = Property::text(
            "Visibility",
            Text::one_of(&["all", "private", "selected"]),
            VISIBILITY_EXPECTED,
            "The repositories of the organisation that may read it.",
        );
        SELECTED_REPOSITORIES: Texts = Property::texts(
            "SelectedRepositories",
            TEXT,
            Count::at_most(SELECTED_LIMIT, "repositories"),
            "the name of a repository of the organisation",
            "The names of the repositories, for `Visibility: selected`, which needs at least one.",
        );
        NAME: Text = Property::text(
            "Name",
            TEXT.at_most(NAME_LIMIT).matching(
                "^(?![Gg][Ii][Tt][Hh][Uu][Bb]_|[Tt][Rr][Uu][Ss][Tt]_[Oo][Ww][Nn][Ee][Rr]_)[A-Za-z_][A-Za-z0-9_]*$",
            ),
            NAME_EXPECTED,
            "The name, in any case; GitHub keeps it in upper case.",
        )
        .required()
        .update(Update::Replacement);
        // Without a limit here, because a message about one would show the value.
        VALUE: Text = Property::text(
            "Value",
            TEXT,
            "what the workflow is to read, such as `!GetAtt Role.Arn`",
            "The value that the workflow reads: at most 48 KB.",
        )
        .required();
        SECRET: Boolean = Property::boolean(
            "Secret",
            "",
            "`true` makes a secret, which nobody can read back, in place of a variable.",
        )
        .default("false")
        .update(Update::Replacement);
        ON_EXISTING: Text = Property::choice(
            "OnExisting",
            &["Fail", "Adopt"],
            "`Fail` refuses somebody else's that holds another value. `Adopt` overwrites it, and leaves it there on \
             deletion.",
        )
        .default("Fail");
        HOST: Text = Property::text(
            "Host",
            TEXT,
            HOST_EXPECTED,
            "The GitHub: `github.com`, `<subdomain>.ghe.com`, or the host of an Enterprise Server.",
        )
        .default("github.com")
        .update(Update::Replacement);
    }
}
