//! Properties of the format of a repository's subjects, as the author of a template declares them.

use crate::cloudformation::property_handle::{Boolean, ObjectType, object_type};
use crate::cloudformation::schema::{Property, ResourceSchema, TEXT, Text, Update};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubRepositoryOidc",
    doc: "Opts an older repository, or an organisation, in to subjects that carry ids, and back when the resource is \
          deleted. The function refuses a switch that would lock workflows out of a role of the account.",
    guide: "github-repository-oidc",
    object: Properties::OBJECT,
    reference: "the repository or organisation: `github.com/repos/octo-org/octo-repo/oidc`",
    attributes: &[
        ("Repository", "The repository; empty for an organisation."),
        ("Organization", "The organisation; empty for a repository."),
        (
            "Warning",
            "The roles that the check does not see: those of other accounts, as far as variables of Actions name them, and of \
             other clouds.",
        ),
    ],
};

object_type! {
    /// Properties of the format of a repository's subjects.
    pub Properties("", any_of: ["Repository", "Organization"]) => {
        REPOSITORY: Text = Property::text(
            "Repository",
            TEXT,
            "\"owner/name\" of one GitHub repository",
            "The repository: `owner/name`.",
        )
        .update(Update::Replacement);
        ORGANIZATION: Text = Property::text(
            "Organization",
            TEXT,
            "the name of an organisation",
            "The organisation, in place of `Repository`: for all its repositories that have no choice of their own.",
        )
        .update(Update::Replacement);
        USE_IMMUTABLE_SUBJECT: Boolean = Property::boolean(
            "UseImmutableSubject",
            "true, for subjects that carry ids; or false",
            "`true` makes the subjects of its tokens carry ids.",
        )
        .required();
        HOST: Text = Property::text("Host", TEXT, "a host", "The GitHub: `github.com` or `<subdomain>.ghe.com`.")
            .default("github.com")
            .update(Update::Replacement);
    }
}
