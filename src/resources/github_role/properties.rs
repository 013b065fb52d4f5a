//! Properties of a role, as the author of a template declares them.

use crate::cloudformation::property_handle::{Boolean, Document, Integer, ObjectType, Objects, Texts, object_type};
use crate::cloudformation::schema::{Count, Property, ResourceSchema, TEXT, Text, Update};
use crate::github::name::Repository;
use crate::ownership::tags_property::{self as tags, Tag};

use super::policy_limits::{SUBJECT_LIMIT, room_for};
use super::{
    AUDIENCE_EXPECTED, DEFAULT_AUDIENCE, INLINE_LIMIT, MANAGED_LIMIT, NAME_LIMIT, POLICY_NAME_LIMIT, TAG_LIMIT,
};

pub(super) const SCHEMA: ResourceSchema = ResourceSchema {
    name: "Custom::GitHubRole",
    doc: "An IAM role that exactly the named repositories, branches, tags, environments, pull requests or workflows can \
          assume. The function asks GitHub which form the subjects of a repository's tokens have. The trust policy lets \
          in these tokens and no others.",
    guide: "github-role",
    object: Properties::OBJECT,
    reference: "the role's name, such as `team-a-Role-6mkwfprgcokzk`",
    attributes: &[
        ("Arn", "The role's ARN, for `role-to-assume` of the workflow."),
        ("RoleName", "The role's name."),
        ("RoleId", "The role's unique id. A role that is made again under the same name has another."),
        (
            "Subjects",
            "The subjects that the trust policy admits, separated by a comma and a space. Subjects that have no room in \
             an answer are counted at the end.",
        ),
        (
            "Warning",
            "Parts of the trust to look at: broad ones, unprotected environments as far as the function's credential can see, \
             names without an id, workflows of other repositories, and parts that no job fits.",
        ),
    ],
};

pub(super) const PROVIDER_EXPECTED: &str =
    "the ARN of a GitHub OIDC provider in this account, such as !Ref of a Custom::GitHubOidcProvider";
pub(super) const POLICY_ARN_EXPECTED: &str =
    "the ARN of a managed policy, such as arn:aws:iam::aws:policy/ReadOnlyAccess";
pub(super) const DESCRIPTION_EXPECTED: &str = "at most 1000 characters of Latin-1";
pub(super) const PATH_EXPECTED: &str = "a path that begins and ends with /, at most 512 characters, such as /github/";
const POLICY_ARN: Text = TEXT.at_least(20).at_most(2048).matching("^arn:aws[^:]*:iam::(aws|[0-9]{12}):policy/");
const IAM_NAME: &str = "^[A-Za-z0-9_+=,.@-]+$";

object_type! {
    /// Properties of a role.
    pub Properties => {
        PROVIDER_ARN: Text = Property::text(
            "ProviderArn",
            TEXT.matching("^arn:aws[^:]*:iam::[0-9]{12}:oidc-provider/."),
            PROVIDER_EXPECTED,
            "The OIDC provider whose tokens the role takes: the ARN of a GitHub provider in the function's account, such as \
             `!Ref` of a [`Custom::GitHubOidcProvider`](github-oidc-provider.md).",
        )
        .required();
        TRUST: Objects<TrustEntry> = Property::objects(
            "Trust",
            Count::some(SUBJECT_LIMIT, "entries"),
            "a list of entries with `Repository` and at least one of `Branches`, `Tags`, `Environments`, `PullRequests: true`, \
             `AnyRef: true` and `AllJobs: true`, or `Subjects`",
            "The jobs that may assume the role. A job that fits any of the entries may. All values together have at most \
             8,192 characters, the largest trust policy of IAM.",
        )
        .required();
        AUDIENCE: Text = Property::text(
            "Audience",
            TEXT.at_most(255).matching("^(?!.*\\$\\{)[^*?]*$"),
            AUDIENCE_EXPECTED,
            "The audience that tokens have to be for. The provider's `ClientIdList` has to have it.",
        )
        .default(DEFAULT_AUDIENCE);
        ROLE_NAME: Text = Property::text(
            "RoleName",
            TEXT.at_most(NAME_LIMIT).matching(IAM_NAME),
            "1 to 64 letters, digits and _+=,.@-",
            "The role's name. By default it is made of the stack's name, the logical id and 13 characters, and is the \
             same on every attempt. A change of only the case is refused, because IAM takes both for one name.",
        )
        .update(Update::Replacement);
        PATH: Text = Property::text(
            "Path",
            TEXT.at_most(512).matching("^/([!-~]*/)?$"),
            PATH_EXPECTED,
            "The role's path, which has to be within the deployment's `RolePath`. That is also the default. Another path \
             together with the same `RoleName` is refused, because IAM cannot move a role.",
        )
        .update(Update::Replacement);
        DESCRIPTION: Text = Property::text(
            "Description",
            TEXT.at_most(1000),
            DESCRIPTION_EXPECTED,
            "The role's description, in characters of Latin-1.",
        );
        MAX_SESSION_DURATION: Integer = Property::integer(
            "MaxSessionDuration",
            3600,
            43200,
            "seconds",
            "The longest session, in seconds.",
        )
        .default("3600");
        PERMISSIONS_BOUNDARY: Text = Property::text(
            "PermissionsBoundary",
            POLICY_ARN,
            POLICY_ARN_EXPECTED,
            "The ARN of a managed policy that limits what the role may do, whatever its other policies allow. It is part \
             of the call that makes the role. By default the role has the boundary of the deployment \
             (`RolePermissionsBoundary`).",
        );
        MANAGED_POLICY_ARNS: Texts = Property::texts(
            "ManagedPolicyArns",
            POLICY_ARN,
            Count::at_most(MANAGED_LIMIT, "policies"),
            POLICY_ARN_EXPECTED,
            "The ARNs of managed policies. Policies that others attached to the role stay.",
        );
        POLICIES: Objects<Policy> = Property::objects(
            "Policies",
            Count::at_most(INLINE_LIMIT, "policies"),
            "a list of `PolicyName` and `PolicyDocument`",
            "Inline policies, of at most 10,240 characters together, white space not counted. Policies that others put \
             on the role stay.",
        );
        TAGS: Objects<Tag> = tags::property(TAG_LIMIT, "Tags of the role, beside those that record its owner.");
        ON_EXISTING: Text = Property::choice(
            "OnExisting",
            &["Fail", "Adopt", "TakeOver"],
            "`Fail` refuses a role of this `RoleName` that is there already. `Adopt` adopts a role that no stack owns. \
             Everything that it keeps has to be within the guardrails, and it is given back as it was found when the \
             resource is deleted. The deployment has to allow that (`AllowRoleAdoption`). `TakeOver` takes over a role \
             that another resource of this function made and let go (`DeletionPolicy: Retain`); of \
             another stack, if the deployment allows that, too.",
        )
        .default("Fail");
        ON_DRIFT: Text = Property::choice(
            "OnDrift",
            &["Report", "Repair"],
            "The answer of the scheduled run to changes that somebody made to the role by hand. `Report` logs and counts them. \
             `Repair` makes the role as it was declared last, if its stack is at rest and the guardrails of that day allow \
             the declaration. For that the function keeps the declaration in a secret, which costs 0.40 USD a month.",
        )
        .default("Report");
    }
}

object_type! {
    pub(super) Policy("An inline policy.") => {
        POLICY_NAME: Text = Property::text(
            "PolicyName",
            TEXT.at_most(POLICY_NAME_LIMIT).matching(IAM_NAME),
            "1 to 128 letters, digits and _+=,.@-",
            "The policy's name; each can stand here once, whatever its case.",
        )
        .required();
        POLICY_DOCUMENT: Document = Property::document(
            "PolicyDocument",
            "a policy document",
            "The policy, as an object or as its text.",
        )
        .required();
    }
}

const ID: Text = TEXT.matching("^[0-9]+$");
const NO_REF: &str = "^(?!refs/)";

object_type! {
    pub(super) TemplateClaim("A claim of the repository's subject template that no other member gives.") => {
        NAME: Text = Property::text(
            "Name",
            TEXT.matching("^[A-Za-z0-9_$#-]+$"),
            "the name of a claim",
            "The claim, as the template names it, such as `repo_property_tier` or `runner_environment`.",
        )
        .required();
        VALUES: Texts = Property::texts(
            "Values",
            TEXT.at_most(255),
            Count::some(room_for("a"), "values"),
            "a value of the claim",
            "The values that jobs are let in with. A `*` may stand at the end. A `?` in the name of a workflow is itself.",
        )
        .required();
    }
}

object_type! {
    pub(super) TrustEntry(
        "A repository and who in it. It names a `Repository` and at least one context: `Branches`, `Tags`, `Environments`, \
         `PullRequests`, `AnyRef` or `AllJobs`; or whole `Subjects`. A job that fits any context fits the entry; `Workflows`, \
         `Refs`, `Actors`, `EnterpriseId` and `TemplateClaims` narrow all of it. Wildcards are `*` and `?`; a `*` also spans \
         slashes.",
        any_of: ["Repository", "Subjects"],
            ["Branches", "Tags", "Environments", "PullRequests", "AnyRef", "AllJobs", "Subjects"]
    ) => {
        REPOSITORY: Text = Property::text(
            "Repository",
            TEXT.matching("^[A-Za-z0-9_][A-Za-z0-9_-]*/([A-Za-z0-9._-]+|\\*)$"),
            Repository::EXPECTED,
            "`owner/name`, in the case that GitHub has it. `owner/*` is a whole organisation, which the deployment has to allow \
             (`AllowBroadTrust`). May be left out where `Subjects` say it.",
        );
        BRANCHES: Texts = Property::texts(
            "Branches",
            TEXT.matching(NO_REF),
            Count::at_most(room_for("ref:refs/heads/a"), "branches"),
            "the short name of a branch",
            "Jobs on these branches, of any event: `pull_request_target`, `workflow_run` and `issue_comment` run on the \
             default branch, and strangers can trigger them. A job that names an environment is let in only if the \
             repository's subject template has no context. Short names; wildcards behind a `/` (`release/*`). Others \
             (`release-*`, `*`) are broad, and the deployment has to allow them (`AllowBroadTrust`).",
        );
        TAGS: Texts = Property::texts(
            "Tags",
            TEXT.matching(NO_REF),
            Count::at_most(room_for("ref:refs/tags/a"), "tags"),
            "the short name of a tag",
            "Jobs on these tags that name no environment. Short names; wildcards behind a literal beginning (`v*`). Others (`*`) \
             are broad.",
        );
        ENVIRONMENTS: Texts = Property::texts(
            "Environments",
            TEXT.at_most(255),
            Count::at_most(room_for("environment:a"), "environments"),
            "the name of an environment, at most 255 characters",
            "Jobs that name these environments, on any branch or tag. The subject of such a job has neither, so let \
             GitHub restrict the environment's branches, or narrow the entry by `Refs`. Wildcards behind `-`, `_`, `.` \
             or `/` (`review-*`). Others (`prod*`, `*`) are broad.",
        );
        PULL_REQUESTS: Boolean = Property::boolean(
            "PullRequests",
            "",
            "`true` lets in jobs of pull requests, also those that nobody has reviewed.",
        )
        .default("false");
        ANY_REF: Boolean = Property::boolean(
            "AnyRef",
            "",
            "`true` lets in jobs on any branch or tag. The deployment has to allow it (`AllowBroadTrust`).",
        )
        .default("false");
        ALL_JOBS: Boolean = Property::boolean(
            "AllJobs",
            "",
            "`true` lets in all jobs: of any branch, tag, environment and pull request. The deployment has to allow it \
             (`AllowBroadTrust`).",
        )
        .default("false");
        REFS: Texts = Property::texts(
            "Refs",
            TEXT.matching("^refs/(heads|tags|pull)/."),
            Count::at_most(room_for("refs/tags/a"), "refs"),
            "a whole ref, such as refs/heads/main",
            "Only jobs on these refs, as the claim `ref` has them: `refs/heads/main`, `refs/tags/v*`, `refs/pull/*/merge`. So an \
             environment is let in from one branch only.",
        );
        WORKFLOWS: Texts = Property::texts(
            "Workflows",
            TEXT.matching(
                "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/(\\.github/workflows/[^/:]+\\.[Yy][Aa]?[Mm][Ll]\
                 |dynamic/[A-Za-z0-9-]+/[A-Za-z0-9-]+)@.",
            ),
            Count::at_most(room_for("a/b/.github/workflows/c@refs/tags/d"), "workflows"),
            "\"owner/name/.github/workflows/<file>@<ref>\"",
            "Only jobs in these workflows: `owner/name/.github/workflows/file@ref`, the ref being `refs/heads/…`, \
             `refs/tags/…`, `refs/pull/*/merge`, a commit's whole SHA, or `*` for any, as the claim `job_workflow_ref` has \
             it. Wildcards in the ref only. GitHub's own workflows are `owner/name/dynamic/<service>/<workflow>@ref`. The \
             claim holds names and no ids: a workflow of another repository belongs to the present owner of that name.",
        );
        ACTORS: Texts = Property::texts(
            "Actors",
            TEXT.matching("^[A-Za-z0-9_-]+(\\[bot\\])?$"),
            Count::at_most(room_for("100"), "actors"),
            "a user's id, or name without wildcards",
            "Only jobs that these users triggered: ids, or names. The function asks for the id of a name, because a name \
             can change hands. If somebody else runs a job again, the claim keeps the first user.",
        );
        ENTERPRISE_ID: Text = Property::text(
            "EnterpriseId",
            ID,
            "a whole number",
            "Only jobs of this enterprise, by its id.",
        );
        TEMPLATE_CLAIMS: Objects<TemplateClaim> = Property::objects(
            "TemplateClaims",
            Count::at_most(room_for("actor:a"), "claims"),
            "a list of `Name` and `Values`",
            "The values of further claims that the repository's subject template is made of, such as `repo_property_tier`. A claim \
             that the template does not have is refused, because STS does not read it; `workflow`, the name of a workflow, needs \
             no template. `actor` is taken from `Actors`.",
        );
        SUBJECTS: Texts = Property::texts(
            "Subjects",
            TEXT.at_most(1024),
            Count::at_most(SUBJECT_LIMIT, "subjects"),
            "a whole subject of at most 1024 characters",
            "Whole subjects that pin a repository or a workflow, for subject templates that the function cannot follow.",
        );
        SUBJECT_FORMAT: Text = Property::choice(
            "SubjectFormat",
            &["Auto", "Immutable", "Classic", "Both"],
            "The form of the subjects: what GitHub says (`Auto`), with ids, without, or either.",
        )
        .default("Auto");
        OWNER_ID: Text = Property::text(
            "OwnerId",
            ID,
            "a whole number",
            "The owner's id, if GitHub does not answer, or if somebody else has the name now and you mean them. If \
             GitHub answers, it has to be right.",
        );
        REPOSITORY_ID: Text = Property::text(
            "RepositoryId",
            ID,
            "a whole number",
            "The repository's id, if GitHub does not answer, or if another repository has the name now and you mean it. \
             If GitHub answers, it has to be right.",
        );
    }
}
