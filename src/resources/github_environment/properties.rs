//! Properties of an environment, as the author of a template declares them.

use crate::cloudformation::property_handle::{Boolean, Integer, Nested, ObjectType, Objects, Texts, object_type};
use crate::cloudformation::schema::{Count, Property, ResourceSchema, TEXT, Text, Update};

use super::{ID_EXPECTED, LONGEST_WAIT, NAME_EXPECTED, PATTERN_EXPECTED, PATTERN_LIMIT, REVIEWER_LIMIT};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubEnvironment",
    doc: "An environment of a repository with its protection: the branches that may deploy to it, and the reviewers. If \
          an environment does not exist, the first workflow that names it makes it, without any protection.",
    guide: "github-environment",
    object: Properties::OBJECT,
    reference: "repository and name: `github.com/repos/octo-org/octo-repo/environments/production`",
    attributes: &[
        ("Name", "The environment's name, for `Environments` of a role and `Environment` of a variable."),
        (
            "Warning",
            "The properties that somebody has made stricter at GitHub than declared, and `ProtectedBranches` where no branch \
             is protected. Empty if there are none.",
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
            "The branches and tags that may deploy. If it is left out, the present ones stay. In a new environment all \
             may.",
        );
        REVIEWERS: Objects<Reviewer> = Property::objects(
            "Reviewers",
            Count::at_most(REVIEWER_LIMIT, "users and teams"),
            "a list of users and teams",
            "The reviewers: one of them has to approve a deployment. If it is left out, the present ones stay.",
        );
        PREVENT_SELF_REVIEW: Boolean = Property::boolean(
            "PreventSelfReview",
            "",
            "With `true`, nobody may approve a run that they have triggered. It needs `Reviewers`.",
        );
        WAIT_TIMER: Integer = Property::integer(
            "WaitTimer",
            0,
            LONGEST_WAIT,
            "minutes",
            "The minutes that a deployment waits.",
        );
        ON_EXISTING: Text = Property::choice(
            "OnExisting",
            &["Fail", "Adopt"],
            "`Fail` refuses somebody else's environment that is different. `Adopt` changes it, and leaves it there on \
             deletion.",
        )
        .default("Fail");
        HOST: Text = Property::text("Host", TEXT, "a host", "The GitHub, as for a `Custom::GitHubVariable`.")
            .default("github.com")
            .update(Update::Replacement);
    }
}

object_type! {
    pub(super) DeploymentBranchPolicy("The branches and tags that may deploy: protected branches, or those of patterns. \
                                       With neither all may.") => {
        PROTECTED_BRANCHES: Boolean = Property::boolean(
            "ProtectedBranches",
            "",
            "`true` lets branches deploy that are protected in the repository. While none is, every branch may.",
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
        TYPE: Text = Property::choice("Type", &["User", "Team"], "`User` or `Team`.").required();
        ID: Text = Property::text("Id", TEXT.matching("^[0-9]+$"), ID_EXPECTED, "The id that GitHub gives it.")
            .required();
    }
}
