//! From an entry and what is known of its repository to the ways in: the subjects that its jobs have, letter by letter,
//! and the claims that pin what a subject leaves open.
//!
//! A repository's id is pinned once: where the subject carries it, by the subject; otherwise by the claim
//! `repository_id`, if STS knows it for the issuer and the id is known. So a name that somebody else takes over lets
//! nobody in.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::github::Issuer;
use crate::github::facts::{SubjectFacts, SubjectFormat, SubjectTemplate, prefix};
use crate::github::name::RepositoryScope;
use crate::github::subject::{self, Breadth};

use super::policy_limits::SUBJECT_LIMIT;
use super::trust_declaration::{Actor, JobContext, TrustEntry};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, Claims, TrustRule};

/// The ways in that an entry describes.
///
/// # Errors
/// With what the entry lacks.
pub(crate) fn compile(issuer: &Issuer, entry: &TrustEntry, facts: &SubjectFacts) -> Result<Vec<TrustRule>, String> {
    let workflows = Rc::new(entry.workflows.clone());
    let compiler = Compiler { issuer, entry, facts, workflows, actors: OnceCell::new() };
    let mut rules = compiler.whole_subjects()?;
    if let Some(scope) = &entry.scope {
        for context in &entry.contexts {
            rules.extend(compiler.context(scope, context)?);
            if rules.len() > SUBJECT_LIMIT {
                return Err(too_many());
            }
        }
    }
    Ok(rules)
}

struct Compiler<'a> {
    issuer: &'a Issuer,
    entry: &'a TrustEntry,
    facts: &'a SubjectFacts,
    /// The values of claims that many rules share.
    workflows: Rc<BTreeSet<Pattern>>,
    actors: OnceCell<Result<Rc<BTreeSet<Pattern>>, String>>,
}

/// A subject in the making.
#[derive(Clone, Default)]
struct SubjectBuilder {
    parts: Vec<String>,
    /// True if an id tells the repository.
    has_id: bool,
}

impl Compiler<'_> {
    fn whole_subjects(&self) -> Result<Vec<TrustRule>, String> {
        let mut rules = Vec::new();
        for subject in &self.entry.subjects {
            let mut claims = self.narrowing(&[])?;
            if !subject::has_repository_id(subject.as_str()) {
                self.pin_repository(&mut claims);
            }
            if subject::check(subject.as_str()) == Ok(Breadth::Anybodys) && !claims.contains_key(&Claim::RepositoryId) {
                return Err(format!(
                    "`{subject}` pins a workflow only, and there is no claim to pin the repository by: jobs of every \
                     repository could have this subject"
                ));
            }
            rules.push(TrustRule { subject: subject.clone(), claims });
        }
        Ok(rules)
    }

    fn context(&self, scope: &RepositoryScope, context: &JobContext) -> Result<Vec<TrustRule>, String> {
        let default = ["repo".to_owned(), "context".to_owned()];
        let keys: &[String] = match &self.facts.template {
            SubjectTemplate::Default => &default,
            SubjectTemplate::Custom(keys) => keys,
        };
        let mut drafts = Vec::new();
        for form in &self.facts.forms {
            let mut of_form = vec![SubjectBuilder::default()];
            for key in keys {
                let (values, has_id) = self.values(key, scope, *form, context)?;
                let with = |draft: &SubjectBuilder, value: &String| {
                    let mut draft = draft.clone();
                    draft.parts.push(value.clone());
                    draft.has_id |= has_id;
                    draft
                };
                if of_form.len() * values.len() > SUBJECT_LIMIT {
                    return Err(too_many());
                }
                of_form = of_form.iter().flat_map(|draft| values.iter().map(|value| with(draft, value))).collect();
            }
            drafts.extend(of_form);
        }
        let mut claims = self.narrowing(keys)?;
        self.pin_context(&mut claims, context, keys)?;
        if !drafts.iter().all(|draft| draft.has_id) {
            self.pin_repository(&mut claims);
        }
        let named = ["repo", "repository", "repository_id"].iter().any(|key| says(keys, key));
        if !named && !claims.contains_key(&Claim::RepositoryId) {
            return Err(
                "the repository's subject template names no repository, and there is no claim to pin it by: add \
                 `repo` to the template"
                    .to_owned(),
            );
        }
        let rule = |draft: &SubjectBuilder| TrustRule {
            subject: Pattern::within_words(&draft.parts.join(":")),
            claims: claims.clone(),
        };
        Ok(drafts.iter().map(rule).collect())
    }

    /// Returns the part of the subject for one key of a template, and true if it holds the repository's id.
    fn values(
        &self,
        key: &str,
        scope: &RepositoryScope,
        form: SubjectFormat,
        context: &JobContext,
    ) -> Result<(Vec<String>, bool), String> {
        let one = |value: String| Ok((vec![format!("{key}:{value}")], false));
        let lacks = |property: &str| {
            Err(format!(
                "the repository's subject template needs the claim `{key}`, which the entry does not give: add {property}"
            ))
        };
        match key {
            "repo" => Ok((vec![self.prefix(scope, form)?], form == SubjectFormat::Immutable)),
            "context" => Ok((vec![context.in_subject()], false)),
            "repository" => one(scope.to_string()),
            "repository_id" => {
                let id = self.facts.repository_id;
                id.map_or_else(|| lacks("`RepositoryId`"), |id| Ok((vec![format!("{key}:{id}")], true)))
            }
            "repository_owner" => one(owner(scope).to_owned()),
            "repository_owner_id" => self.facts.owner_id.map_or_else(|| lacks("`OwnerId`"), |id| one(id.to_string())),
            "repository_visibility" => {
                self.facts.visibility.clone().map_or_else(|| lacks("whole `Subjects` instead"), one)
            }
            "ref" => match context {
                JobContext::Branch(_) | JobContext::Tag(_) | JobContext::AnyRef => {
                    Ok((vec![context.in_subject()], false))
                }
                JobContext::Environment(_) | JobContext::PullRequest => lacks("whole `Subjects` instead"),
            },
            "environment" => match context {
                JobContext::Environment(_) => Ok((vec![context.in_subject()], false)),
                _ => lacks("`Environments` in place of the others, or whole `Subjects`"),
            },
            "job_workflow_ref" if !self.entry.workflows.is_empty() => {
                Ok((each(key, self.entry.workflows.iter().map(Pattern::as_str)), false))
            }
            "job_workflow_ref" => lacks("`Workflows`"),
            "actor_id" if !self.entry.actors.is_empty() => {
                Ok((each(key, self.actor_ids()?.iter().map(Pattern::as_str)), false))
            }
            "actor_id" => lacks("`Actors`"),
            "enterprise_id" => {
                self.entry.enterprise_id.map_or_else(|| lacks("`EnterpriseId`"), |id| one(id.to_string()))
            }
            _ => lacks("whole `Subjects` instead, such as the tokens of this repository have them"),
        }
    }

    fn prefix(&self, scope: &RepositoryScope, form: SubjectFormat) -> Result<String, String> {
        let SubjectFacts { owner_id, repository_id, .. } = self.facts;
        match (scope, form) {
            (RepositoryScope::Repository(repository), _) => prefix(repository, form, *owner_id, *repository_id)
                .ok_or_else(|| "immutable subjects need both ids: add `OwnerId` and `RepositoryId`".to_owned()),
            (RepositoryScope::Organisation(owner), SubjectFormat::Classic) => Ok(format!("repo:{owner}/*")),
            (RepositoryScope::Organisation(owner), SubjectFormat::Immutable) => match owner_id {
                Some(id) => Ok(format!("repo:{owner}@{id}/*")),
                None => Err("immutable subjects need the owner's id: add `OwnerId`".to_owned()),
            },
        }
    }

    /// The claims that the author narrows the entry by, but for those that the subject carries already.
    fn narrowing(&self, keys: &[String]) -> Result<Claims, String> {
        let mut claims = Claims::new();
        if !self.entry.workflows.is_empty() && !says(keys, "job_workflow_ref") {
            if !self.issuer.has_key(Claim::JobWorkflowRef.name()) {
                return Err(
                    "`Workflows`: STS reads no claim `job_workflow_ref` of an Enterprise Server, so nobody could \
                     assume the role. Put `job_workflow_ref` into the repository's subject template, and give the \
                     function a credential to read it with; or write whole `Subjects`"
                        .to_owned(),
                );
            }
            claims.insert(Claim::JobWorkflowRef, Rc::clone(&self.workflows));
        }
        if !self.entry.actors.is_empty() && !says(keys, "actor_id") {
            claims.insert(Claim::ActorId, self.actor_ids()?);
        }
        if let Some(id) = self.entry.enterprise_id.filter(|_| !says(keys, "enterprise_id")) {
            claims.insert(Claim::EnterpriseId, only(&id.to_string()));
        }
        Ok(claims)
    }

    /// Pins the parts of the context that the subject does not carry, or does not tell apart from others.
    fn pin_context(&self, claims: &mut Claims, context: &JobContext, keys: &[String]) -> Result<(), String> {
        let silent = !["context", "ref", "environment"].iter().any(|key| says(keys, key));
        let unpinned = || {
            "the repository's subject template has no `context`, and there is no claim to pin it by: add `context` to the \
             template, or write whole `Subjects`"
                .to_owned()
        };
        let (claim, value) = match context {
            // Observed: `%` is not escaped, so that `a:b` and `a%3Ab` have one subject.
            // <https://github.com/Dashtid/subvectors>, gh-aws-environment-colon-twin-collides
            JobContext::Environment(name) if silent || name.contains([':', '%']) => (Claim::Environment, name.clone()),
            JobContext::Branch(name) if silent => (Claim::Ref, format!("refs/heads/{name}")),
            JobContext::Tag(name) if silent => (Claim::Ref, format!("refs/tags/{name}")),
            JobContext::AnyRef if silent => (Claim::Ref, "refs/*".to_owned()),
            JobContext::PullRequest if silent => return Err(unpinned()),
            _ => return Ok(()),
        };
        if !self.issuer.has_key(claim.name()) {
            return Err(unpinned());
        }
        claims.insert(claim, only(&value));
        Ok(())
    }

    fn pin_repository(&self, claims: &mut Claims) {
        if let Some(id) = self.facts.repository_id.filter(|_| self.issuer.has_key(Claim::RepositoryId.name())) {
            claims.insert(Claim::RepositoryId, only(&id.to_string()));
        }
    }

    fn actor_ids(&self) -> Result<Rc<BTreeSet<Pattern>>, String> {
        self.actors.get_or_init(|| self.look_up_actors().map(Rc::new)).clone()
    }

    fn look_up_actors(&self) -> Result<BTreeSet<Pattern>, String> {
        let id = |actor: &Actor| match actor {
            Actor::Id(id) => Ok(*id),
            Actor::Name(name) => self.facts.users.get(name).copied().ok_or_else(|| {
                format!(
                    "`Actors`: the id of {name} is not known; write it: gh api {:?} --jq .id",
                    format!("users/{name}")
                )
            }),
        };
        self.entry.actors.iter().map(|actor| id(actor).map(|id| Pattern::written(&id.to_string()))).collect()
    }
}

fn too_many() -> String {
    format!(
        "with the repository's subject template it leads to more than {SUBJECT_LIMIT} subjects, for which no trust policy has \
         room: name fewer, or give some of them a role of their own"
    )
}

/// Returns true if the subject carries a claim itself.
fn says(keys: &[String], claim: &str) -> bool {
    keys.iter().any(|key| key == claim)
}

/// The values of a claim that has to have one value.
fn only(value: &str) -> Rc<BTreeSet<Pattern>> {
    Rc::new([Pattern::written(value)].into())
}

fn each<'a>(key: &str, values: impl Iterator<Item = &'a str>) -> Vec<String> {
    values.map(|value| format!("{key}:{value}")).collect()
}

fn owner(scope: &RepositoryScope) -> &str {
    match scope {
        RepositoryScope::Repository(repository) => repository.owner(),
        RepositoryScope::Organisation(owner) => owner,
    }
}
