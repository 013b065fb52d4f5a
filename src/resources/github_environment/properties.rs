//! Properties of an environment, as the author of a template declares them.

use crate::cloudformation::handle::{Boolean, Integer, Nested, ObjectType, Objects, Texts, object_type};
use crate::cloudformation::schema::{Count, Property, ResourceSchema, TEXT, Text, Update};

use super::{ID_EXPECTED, LONGEST_WAIT, NAME_EXPECTED, PATTERN_EXPECTED, PATTERN_LIMIT, REVIEWER_LIMIT};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubEnvironment",
    doc: "An environment of a repository with its protection: which branches may deploy to it, and who has to look first. One \
          that does not exist is made without any protection by the first workflow that names it.",
    guide: "github-environment",
    object: Properties::OBJECT,
    reference: "repository and name: `github.com/repos/octo-org/octo-repo/environments/production`",
    attributes: &[
        ("Name", "The environment's name, for `Environments` of a role and `Environment` of a variable."),
        (
            "Warning",
            "The properties that are stricter than declared, because somebody has made them so at GitHub, if any are.",
        ),
    ],
};

object_type! {
    /// Properties of an environment.
    pub Properties => {
        REPOSITORY: Text = Property::text(
            "Repository",
            TEXT,
            "\"owner/name\" of one GitHub repository",
            "The repository: `owner/name`.",
        )
        .required()
        .update(Update::Replacement);
        NAME: Text = Property::text("Name", TEXT, NAME_EXPECTED, "The environment's name: at most 255 characters.")
            .required()
            .update(Update::Replacement);
        DEPLOYMENT_BRANCH_POLICY: Nested<DeploymentBranchPolicy> = Property::object(
            "DeploymentBranchPolicy",
            "`ProtectedBranches: true`, or `Branches` and `Tags`",
            "Which branches and tags may deploy. Where it is left out, what there is stays; in a new environment all may.",
        );
        REVIEWERS: Objects<Reviewer> = Property::objects(
            "Reviewers",
            Count::at_most(REVIEWER_LIMIT, "users and teams"),
            "a list of users and teams",
            "Who has to approve a deployment; one of them is enough. Where it is left out, they stay.",
        );
        PREVENT_SELF_REVIEW: Boolean = Property::boolean(
            "PreventSelfReview",
            "",
            "Whether nobody may approve a run that they have triggered. It needs `Reviewers`.",
        );
        WAIT_TIMER: Integer = Property::integer(
            "WaitTimer",
            0,
            LONGEST_WAIT,
            "minutes",
            "How long a deployment waits, in minutes.",
        );
        ON_EXISTING: Text = Property::choice(
            "OnExisting",
            &["Fail", "Adopt"],
            "What is done where somebody else's is otherwise: `Adopt` changes it, and leaves it there on deletion.",
        )
        .default("Fail");
        HOST: Text = Property::text("Host", TEXT, "a host", "Which GitHub, as for a `Custom::GitHubVariable`.")
            .default("github.com")
            .update(Update::Replacement);
    }
}

object_type! {
    pub(super) DeploymentBranchPolicy("Which branches and tags may deploy: protected branches, or those of patterns. With neither all may.") => {
        PROTECTED_BRANCHES: Boolean = Property::boolean(
            "ProtectedBranches",
            "",
            "Whether branches that are protected in the repository may deploy.",
        );
        BRANCHES: Texts = Property::texts(
            "Branches",
            TEXT.at_most(255),
            Count::at_most(PATTERN_LIMIT, "patterns"),
            PATTERN_EXPECTED,
            "Patterns of branches, such as `release/*`.",
        );
        TAGS: Texts = Property::texts(
            "Tags",
            TEXT.at_most(255),
            Count::at_most(PATTERN_LIMIT, "patterns"),
            PATTERN_EXPECTED,
            "Patterns of tags, such as `v*`.",
        );
    }
}

object_type! {
    pub(super) Reviewer("A user or a team.") => {
        TYPE: Text = Property::choice("Type", &["User", "Team"], "Which of the two.").required();
        ID: Text = Property::text("Id", TEXT.matching("^[0-9]+$"), ID_EXPECTED, "The id that GitHub gives it.")
            .required();
    }
}
