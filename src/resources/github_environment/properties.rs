//! The properties of an environment.

use crate::cloudformation::schema::{Count, Object, Property, PropertyType, ResourceSchema, TEXT, Text, Update};

use super::{ID_EXPECTED, LONGEST_WAIT, NAME_EXPECTED, PATTERN_EXPECTED, REVIEWER_LIMIT};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubEnvironment",
    doc: "An environment of a repository with its protection: which branches may deploy to it, and who has to look first. One \
          that does not exist is made without any protection by the first workflow that names it.",
    guide: "github-environment",
    object: Object { name: "Properties", doc: "", properties: PROPERTIES, any_of: &[] },
    reference: "repository and name, and when it was asked for: \
                `github.com/repos/octo-org/octo-repo/environments/production@2026-11-21T09:00:00Z`",
    attributes: &[("Name", "The environment's name, for `Environments` of a role and `Environment` of a variable.")],
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
    Property::new("Name", PropertyType::Text(TEXT), NAME_EXPECTED, "The environment's name: at most 255 characters.")
        .required()
        .update(Update::Replacement),
    Property::new(
        "DeploymentBranchPolicy",
        PropertyType::Object(&POLICY),
        "`ProtectedBranches: true`, or `Branches` and `Tags`",
        "Which branches and tags may deploy. Where it is left out, what there is stays; in a new environment all may.",
    ),
    Property::new(
        "Reviewers",
        PropertyType::Objects(&REVIEWER, Count::at_most(REVIEWER_LIMIT, "users and teams")),
        "a list of users and teams",
        "Who has to approve a deployment; one of them is enough. Where it is left out, they stay.",
    ),
    Property::new(
        "PreventSelfReview",
        PropertyType::Boolean,
        "",
        "Whether nobody may approve a run that they have triggered. It needs `Reviewers`.",
    ),
    Property::new(
        "WaitTimer",
        PropertyType::Integer(0, LONGEST_WAIT, "minutes"),
        "",
        "How long a deployment waits, in minutes.",
    ),
    Property::new(
        "OnExisting",
        PropertyType::Text(Text::one_of(&["Fail", "Adopt"])),
        "",
        "What is done where somebody else's is otherwise: `Adopt` changes it, and leaves it there on deletion.",
    )
    .default("Fail"),
    Property::new("Host", PropertyType::Text(TEXT), "a host", "Which GitHub, as for a `Custom::GitHubVariable`.")
        .default("github.com")
        .update(Update::Replacement),
];

const POLICY: Object = Object {
    name: "DeploymentBranchPolicy",
    doc: "Which branches and tags may deploy: protected branches, or those of patterns. With neither all may.",
    properties: &[
        Property::new(
            "ProtectedBranches",
            PropertyType::Boolean,
            "",
            "Whether branches that are protected in the repository may deploy.",
        ),
        Property::new(
            "Branches",
            PropertyType::Texts(TEXT.at_most(255), Count::any("patterns")),
            PATTERN_EXPECTED,
            "Patterns of branches, such as `release/*`.",
        ),
        Property::new(
            "Tags",
            PropertyType::Texts(TEXT.at_most(255), Count::any("patterns")),
            PATTERN_EXPECTED,
            "Patterns of tags, such as `v*`.",
        ),
    ],
    any_of: &[],
};

const REVIEWER: Object = Object {
    name: "Reviewer",
    doc: "A user or a team.",
    properties: &[
        Property::new("Type", PropertyType::Text(Text::one_of(&["User", "Team"])), "", "Which of the two.").required(),
        Property::new("Id", PropertyType::Text(TEXT.matching("^[0-9]+$")), ID_EXPECTED, "The id that GitHub gives it.")
            .required(),
    ],
    any_of: &[],
};
