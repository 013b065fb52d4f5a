//! `Trust` as the author wrote it, checked without asking anybody. What could let a stranger in is a mistake; what lets
//! in more than most people mean is noted, and refused unless the deployment allows broad trust.

use std::collections::BTreeSet;

use crate::cloudformation::Fields;
use crate::github::Issuer;
use crate::github::claim_values;
use crate::github::name::{self, Repository, RepositoryScope};
use crate::github::subject;

use crate::iam_policy::pattern::Pattern;

use super::declared_subjects::subjects;
use super::named::shortened;
use super::own_workflows;
use super::policy_limits::LARGEST_QUOTA;
use super::properties::{Properties, TemplateClaim, TrustEntry as Entry};

pub(super) use super::trust_entry::WORKFLOW;
pub(crate) use super::trust_entry::{Actor, Format, JobContext, TrustEntry};

/// The declared trust of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustDeclaration {
    pub(crate) provider_arn: String,
    pub(crate) issuer: Issuer,
    pub(crate) audience: String,
    pub(crate) entries: Vec<TrustEntry>,
}

const CONTEXTS: &str = "at least one of `Branches`, `Tags`, `Environments`, `PullRequests: true`, `AnyRef: true` and \
                        `AllJobs: true`, or `Subjects`";

/// Reads `Trust`.
pub(crate) fn entries(fields: &mut Fields<'_, Properties>, issuer: Option<&Issuer>) -> Option<Vec<TrustEntry>> {
    let entries = fields.objects(Properties::TRUST, |fields| Some(entry(fields, issuer)))?;
    let size: usize = entries.iter().map(TrustEntry::declared_size).sum();
    if size > LARGEST_QUOTA {
        let expected =
            format!("values of at most {LARGEST_QUOTA} characters together, as many as IAM lets a trust policy have");
        fields.invalid(Properties::TRUST, expected, format_args!("{size}"));
        return None;
    }
    Some(entries)
}

fn entry(fields: &mut Fields<'_, Entry>, issuer: Option<&Issuer>) -> TrustEntry {
    let mut entry = TrustEntry { contexts: contexts(fields), ..TrustEntry::default() };
    entry.scope = fields.checked(Entry::REPOSITORY, RepositoryScope::parse);
    if !fields.has(Entry::REPOSITORY) && (!fields.has(Entry::SUBJECTS) || !entry.contexts.is_empty()) {
        fields.missing(Entry::REPOSITORY, Repository::EXPECTED);
    }
    entry.workflows = patterns(fields.texts(Entry::WORKFLOWS, name::workflow));
    entry.actors = fields.texts(Entry::ACTORS, actor).unwrap_or_default().into_iter().collect();
    entry.refs = patterns(fields.texts(Entry::REFS, name::full_ref));
    template_claims(fields, &mut entry, issuer);
    entry.enterprise_id = fields.checked(Entry::ENTERPRISE_ID, |text| id(text, "an enterprise"));
    entry.owner_id = fields.checked(Entry::OWNER_ID, |text| id(text, "the owner"));
    entry.repository_id = fields.checked(Entry::REPOSITORY_ID, |text| id(text, "the repository"));
    subjects(fields, &mut entry, issuer);
    own_workflows::check(fields, entry.scope.as_ref(), &entry.workflows, &entry.subjects);
    entry.format = fields.choice(Entry::SUBJECT_FORMAT).map_or_else(Format::default, format);
    let written =
        [Entry::BRANCHES, Entry::TAGS, Entry::ENVIRONMENTS, Entry::SUBJECTS].iter().any(|&list| fields.has(list));
    if entry.contexts.is_empty() && entry.subjects.is_empty() && !fields.has_errors() {
        if written {
            fields.invalid(Entry::BRANCHES, CONTEXTS, "none");
        } else {
            fields.missing(Entry::BRANCHES, CONTEXTS);
        }
    }
    if let Some(issuer) = issuer {
        fit(fields, &entry, issuer);
    }
    if let Some(RepositoryScope::Organisation(owner)) = &entry.scope {
        entry.broad.push(format!("`{owner}/*` is every repository of {owner}, also one that somebody makes tomorrow"));
        if entry.repository_id.is_some() {
            fields.invalid(Entry::REPOSITORY_ID, "no repository's id for a whole organisation", "one");
        }
    }
    if !entry.is_on_closed_refs() {
        entry.broad.extend(entry.contexts.iter().filter_map(|context| broad(context, entry.scope.as_ref())));
    }
    entry
}

/// Describes a context that is more than most people mean.
fn broad(context: &JobContext, scope: Option<&RepositoryScope>) -> Option<String> {
    const UNREVIEWED: &str = "that nobody has reviewed";
    let open = match context {
        JobContext::Branch(name) => name::open_branch(name).map(|names| (names, UNREVIEWED)),
        JobContext::Tag(name) => name::open_tag(name).map(|names| (names, UNREVIEWED)),
        JobContext::Environment(name) => {
            name::open_environment(name).map(|names| (names, "that a workflow makes without protection"))
        }
        JobContext::PullRequest => None,
        JobContext::AnyRef => Some(("every branch and tag".to_owned(), UNREVIEWED)),
        JobContext::AllJobs => {
            let scope = scope.map(ToString::to_string).unwrap_or_default();
            Some((format!("every branch, tag, environment and pull request of {scope}"), UNREVIEWED))
        }
    };
    open.map(|(names, which)| {
        format!("`{}` is {}, also one {which}", shortened(&context.declared()), shortened(&names))
    })
}

fn contexts(fields: &mut Fields<'_, Entry>) -> BTreeSet<JobContext> {
    let mut contexts = BTreeSet::new();
    contexts.extend(fields.texts(Entry::BRANCHES, name::branch).into_iter().flatten().map(JobContext::Branch));
    contexts.extend(fields.texts(Entry::TAGS, name::tag).into_iter().flatten().map(JobContext::Tag));
    contexts.extend(
        fields.texts(Entry::ENVIRONMENTS, name::environment).into_iter().flatten().map(JobContext::Environment),
    );
    contexts.extend((fields.boolean(Entry::PULL_REQUESTS) == Some(true)).then_some(JobContext::PullRequest));
    contexts.extend((fields.boolean(Entry::ANY_REF) == Some(true)).then_some(JobContext::AnyRef));
    contexts.extend((fields.boolean(Entry::ALL_JOBS) == Some(true)).then_some(JobContext::AllJobs));
    contexts
}

/// Reads the values of the claims that a template is made of and no other member gives.
fn template_claims(fields: &mut Fields<'_, Entry>, entry: &mut TrustEntry, issuer: Option<&Issuer>) {
    let claims = fields.objects(Entry::TEMPLATE_CLAIMS, |fields| {
        let name = fields.checked(TemplateClaim::NAME, |name| {
            subject::claim(name)?;
            member_of(name, issuer).map_or(Ok(name.to_owned()), |member| {
                Err(format!("a claim without a member of its own: write {member}"))
            })
        });
        // Of the claims without a member, STS reads the name of the workflow.
        let is_read = name.as_deref() == Some(WORKFLOW) && issuer.is_some_and(|issuer| issuer.has_key(WORKFLOW));
        let value = match name.as_deref() {
            _ if is_read => subject::claim_value,
            Some("workflow_ref") => subject::workflow_value,
            _ => subject::template_value,
        };
        let values = fields.texts(TemplateClaim::VALUES, |text| {
            let value = value(text)?;
            name.as_deref().map_or(Ok(()), |name| claim_values::check_pattern(name, &value))?;
            Ok(value)
        });
        Some((name?, values?))
    });
    for (name, values) in claims.into_iter().flatten() {
        entry.template_claims.entry(name).or_default().extend(values);
    }
}

/// The member that gives a claim of a template.
fn member_of(claim: &str, issuer: Option<&Issuer>) -> Option<&'static str> {
    match claim {
        "repo" | "repository" | "repository_owner" => Some("`Repository`"),
        "repository_id" => Some("`RepositoryId`"),
        "repository_owner_id" => Some("`OwnerId`"),
        "context" => Some("`Branches`, `Tags`, `Environments` or `PullRequests`"),
        "environment" => Some("`Environments`"),
        "ref" => Some("`Refs`"),
        "job_workflow_ref" => Some("`Workflows`"),
        // STS reads no id of a user in tokens of an Enterprise Server.
        "actor" if issuer.is_some_and(|issuer| !issuer.has_key("actor_id")) => None,
        "actor" => Some("`Actors`, which are compared by their ids"),
        "actor_id" => Some("`Actors`"),
        "enterprise_id" => Some("`EnterpriseId`"),
        _ => None,
    }
}

/// Refuses parts that the issuer's tokens or STS cannot tell: they would make a role that nobody can assume, or that
/// admits more than it says.
fn fit(fields: &mut Fields<'_, Entry>, entry: &TrustEntry, issuer: &Issuer) {
    if !issuer.has_immutable_subjects() && matches!(entry.format, Format::Immutable | Format::Both) {
        fields.invalid(
            Entry::SUBJECT_FORMAT,
            "Auto or Classic, because an Enterprise Server has no immutable subjects",
            format_args!("{:?}", entry.format),
        );
    }
    let with_ids = entry.subjects.iter().find(|subject| subject::has_prefix_ids(subject.as_str()));
    if let Some(subject) = with_ids.filter(|_| !issuer.has_immutable_subjects()) {
        fields.invalid(
            Entry::SUBJECTS,
            "subjects without ids, because an Enterprise Server has no immutable subjects",
            format_args!("{subject}"),
        );
    }
    // The claim `job_workflow_ref` can also be part of a custom subject; that is known only when GitHub was asked.
    let unreadable = |claim: &str| {
        let readable = issuer.has_key(claim);
        (!readable).then(|| {
            format!(
                "nothing here: STS reads no claim `{claim}` of an Enterprise Server, so nobody could assume the role \
                 (a custom subject template can carry it; then write `Subjects`)"
            )
        })
    };
    if let Some(expected) = unreadable("actor_id").filter(|_| !entry.actors.is_empty()) {
        fields.invalid(Entry::ACTORS, expected, "a condition on it");
    }
    if let Some(expected) = unreadable("enterprise_id").filter(|_| entry.enterprise_id.is_some()) {
        fields.invalid(Entry::ENTERPRISE_ID, expected, "a condition on it");
    }
    for context in &entry.contexts {
        if let JobContext::Environment(name) = context
            && name::needs_claim(name)
            && !issuer.has_key("environment")
        {
            fields.invalid(Entry::ENVIRONMENTS,
                "names without `:` and `%`, with a `*` at their end only: GitHub writes `:` as `%3A` in the subject, so that two environments can have \
                 one subject, and STS reads no claim `environment` of an Enterprise Server to tell them apart",
                format_args!("{name:?}"),
            );
        }
    }
}

fn patterns(texts: Option<Vec<String>>) -> BTreeSet<Pattern> {
    texts.unwrap_or_default().iter().map(|text| Pattern::written(text)).collect()
}

fn actor(text: &str) -> Result<Actor, String> {
    if let Some(id) = claim_values::number(text) {
        return Ok(Actor::Id(id));
    }
    // `dependabot[bot]` and other apps act under names with brackets.
    let name = text.strip_suffix("[bot]").unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=39).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(Actor::Name(text.to_owned()));
    }
    Err("a user's id, or name without wildcards".to_owned())
}

fn id(text: &str, whose: &str) -> Result<u64, String> {
    claim_values::number(text).ok_or_else(|| format!("the id of {whose}, a whole number as GitHub's REST API gives it"))
}

fn format(text: &str) -> Format {
    match text {
        "Immutable" => Format::Immutable,
        "Classic" => Format::Classic,
        "Both" => Format::Both,
        _ => Format::Auto,
    }
}
