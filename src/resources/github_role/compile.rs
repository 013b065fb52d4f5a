//! From an entry and what is known of its repository to the ways in: the subjects that its jobs have, letter by letter,
//! and the claims that pin what a subject leaves open.
//!
//! A repository's id is pinned once: where the subject carries it, by the subject; otherwise by the claim
//! `repository_id`, if STS knows it for the issuer and the id is known, and else by the owner's id. The id of an owner whose
//! repositories are all trusted is pinned in the same way. So a name that somebody else takes over lets nobody in. A policy
//! also names what it pins, because it is the memory of who had a name ([`super::pinned_ids`]).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::github::Issuer;
use crate::github::name::{self, RepositoryScope};
use crate::github::subject_facts::{SubjectFacts, SubjectTemplate};

use super::context_refs::{ContextRefs, says, void_contexts};
use super::impossible_subjects::{impossible, of_pull_requests};
use super::policy_limits::SUBJECT_LIMIT;
use super::trust_declaration::{Actor, JobContext, TrustEntry, WORKFLOW};
use super::void_subjects::contradiction;
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{Claim, Claims, TrustRule};

/// The number of claims that a subject template may be made of. Tokens have some forty, and no subject has room for more than
/// these. GitHub's answer could hold a hundred thousand.
const KEY_LIMIT: usize = 100;

/// The ways in that an entry describes.
///
/// # Errors
/// With what the entry lacks.
pub(crate) fn compile(issuer: &Issuer, entry: &TrustEntry, facts: &SubjectFacts) -> Result<Vec<TrustRule>, String> {
    let (rules, void) = rules_and_void(issuer, entry, facts)?;
    if let Some((_, why)) = void.first_key_value()
        && rules.is_empty()
    {
        return Err(format!("{why}, so that nobody could assume the role"));
    }
    Ok(rules)
}

/// The contexts of an entry that no job has, each with the reason.
pub(super) fn void<'a>(
    issuer: &Issuer,
    entry: &'a TrustEntry,
    facts: &SubjectFacts,
) -> BTreeMap<&'a JobContext, String> {
    match facts.template {
        SubjectTemplate::Default => void_contexts(entry, &facts.template.keys()),
        SubjectTemplate::Custom(_) => rules_and_void(issuer, entry, facts).map(|(_, void)| void).unwrap_or_default(),
    }
}

/// The rules of an entry, and the contexts that no job has.
fn rules_and_void<'a>(
    issuer: &Issuer,
    entry: &'a TrustEntry,
    facts: &SubjectFacts,
) -> Result<(Vec<TrustRule>, BTreeMap<&'a JobContext, String>), String> {
    let workflows = Rc::new(entry.workflows.clone());
    let compiler = Compiler { issuer, entry, facts, workflows, actors: OnceCell::new() };
    let mut rules = compiler.whole_subjects()?;
    let mut void = BTreeMap::new();
    if let Some(scope) = &entry.scope {
        let keys = facts.template.keys();
        if keys.len() > KEY_LIMIT {
            return Err(format!(
                "the repository's subject template is made of {} claims, more than {KEY_LIMIT}: write whole `Subjects`",
                keys.len()
            ));
        }
        void = void_contexts(entry, &keys);
        for context in &entry.contexts {
            if void.contains_key(context) {
                continue;
            }
            match possible(compiler.context(scope, context, &keys)?) {
                Ok(of_context) => rules.extend(of_context),
                Err(why) => drop(void.insert(context, why)),
            }
            if rules.len() > SUBJECT_LIMIT {
                return Err(too_many());
            }
        }
    }
    Ok((rules, void))
}

/// Returns the rules that some job fits, of those that stand beside the reason why none does.
///
/// # Errors
/// With the reason, where no job fits any of them.
fn possible(rules: Vec<(TrustRule, Option<String>)>) -> Result<Vec<TrustRule>, String> {
    let never = rules.iter().find_map(|(_, why)| why.clone());
    let of_jobs = rules.into_iter().filter(|(_, why)| why.is_none()).map(|(rule, _)| rule);
    let of_jobs: Vec<TrustRule> = of_jobs.collect();
    match never {
        Some(why) if of_jobs.is_empty() => Err(why),
        _ => Ok(of_jobs),
    }
}

pub(super) struct Compiler<'a> {
    pub(super) issuer: &'a Issuer,
    pub(super) entry: &'a TrustEntry,
    pub(super) facts: &'a SubjectFacts,
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
        let narrowing = if self.entry.subjects.is_empty() { Claims::new() } else { self.narrowing_of_whole()? };
        for subject in &self.entry.subjects {
            if let Some(contradiction) = contradiction(subject, &narrowing) {
                return Err(contradiction);
            }
            if let Some(never) = impossible(subject.as_str(), &narrowing) {
                return Err(format!(
                    "`Subjects`: {never}, so that nobody could assume the role by `{subject}`: give it an entry of its own, or \
                     take it out"
                ));
            }
            let mut rule = TrustRule { subject: subject.clone(), claims: narrowing.clone() };
            self.pin_whole(&mut rule)?;
            rules.push(rule);
        }
        Ok(rules)
    }

    /// The claims that the author narrows whole subjects by.
    fn narrowing_of_whole(&self) -> Result<Claims, String> {
        let Compiler { entry, issuer, .. } = self;
        if let Some(said) = entry.template_claims.keys().find(|claim| !self.is_narrowing(claim)) {
            return Err(format!(
                "`TemplateClaims`: whole `Subjects` say `{said}` themselves: write its value there, or give them an entry of \
                 their own"
            ));
        }
        let mut claims = self.narrowing(&[])?;
        if !entry.refs.is_empty() {
            if !issuer.has_key(Claim::Ref.name()) {
                return Err(
                    "`Refs`: STS reads no claim `ref` of an Enterprise Server: write the ref in whole `Subjects`, if \
                            their template has it"
                        .to_owned(),
                );
            }
            claims.insert(Claim::Ref, Rc::new(entry.refs.clone()));
        }
        Ok(claims)
    }

    fn context(
        &self,
        scope: &RepositoryScope,
        context: &JobContext,
        keys: &[String],
    ) -> Result<Vec<(TrustRule, Option<String>)>, String> {
        let refs = ContextRefs::of(self.entry, context, keys)?;
        let is_unread = |claim: &&String| !says(keys, claim) && !self.is_narrowing(claim);
        if let Some(unused) = self.entry.template_claims.keys().find(is_unread) {
            return Err(format!(
                "`TemplateClaims`: the repository's subject template, as far as it is known, has no `{unused}`, and STS reads no \
                 such claim"
            ));
        }
        let drafts = self.drafts(scope, context, keys, refs.as_ref().map(|refs| &refs.own))?;
        let mut claims = self.narrowing(keys)?;
        self.pin_context(&mut claims, context, keys, refs.as_ref())?;
        self.pin_scope(&mut claims, scope, keys, drafts.iter().all(|draft| draft.has_id))?;
        let rule = |draft: &SubjectBuilder| {
            let subject = draft.parts.join(":");
            let is_open = *context == JobContext::AllJobs;
            let subject = if is_open { Pattern::written(&subject) } else { Pattern::within_words(&subject) };
            // The wildcard of all jobs stands for whole claims.
            let said: Vec<&str> = draft.parts.iter().map(String::as_str).filter(|part| *part != "*").collect();
            let never = impossible(&said.join(":"), &claims);
            let is_ref = context.is_ref() && says(keys, "context");
            let never = never.or_else(|| of_pull_requests(&said.join(":")).filter(|_| is_ref));
            (TrustRule { subject, claims: claims.clone() }, never)
        };
        if drafts.iter().any(|draft| draft.parts.iter().all(|part| part == "*")) {
            return Err(
                "IAM takes no policy for every subject: add `repo` to the repository's subject template".to_owned()
            );
        }
        Ok(drafts.iter().map(rule).collect())
    }

    /// The subjects of a context, in each form of the repository.
    fn drafts(
        &self,
        scope: &RepositoryScope,
        context: &JobContext,
        keys: &[String],
        refs: Option<&BTreeSet<Pattern>>,
    ) -> Result<Vec<SubjectBuilder>, String> {
        let mut drafts = Vec::new();
        for form in &self.facts.forms {
            let mut of_form = vec![SubjectBuilder::default()];
            for key in keys {
                let (values, has_id) = self.values(key, scope, *form, context, refs)?;
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
        Ok(drafts)
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
        let is_said = |name: &String| says(keys, WORKFLOW) && !name::needs_claim(name);
        if let Some(names) = self.entry.template_claims.get(WORKFLOW).filter(|names| !names.iter().all(is_said))
            && self.is_narrowing(WORKFLOW)
        {
            claims.insert(Claim::Workflow, Rc::new(names.iter().map(|name| Pattern::of_claim(name)).collect()));
        }
        if let Some(id) = self.entry.enterprise_id.filter(|_| !says(keys, "enterprise_id")) {
            claims.insert(Claim::EnterpriseId, only(&id.to_string()));
        }
        Ok(claims)
    }

    /// Returns true for a claim of templates that STS reads by itself.
    fn is_narrowing(&self, claim: &str) -> bool {
        claim == WORKFLOW && self.issuer.has_key(WORKFLOW)
    }

    /// Pins the parts of the context that the subject does not carry, or does not tell apart from others.
    fn pin_context(
        &self,
        claims: &mut Claims,
        context: &JobContext,
        keys: &[String],
        refs: Option<&ContextRefs>,
    ) -> Result<(), String> {
        let is_ref_said = says(keys, "ref") || (says(keys, "context") && context.is_ref());
        if let Some(refs) = refs
            && let Some(compared) = refs.beside(is_ref_said, self.issuer)?
        {
            self.readable(Claim::Ref, if self.entry.refs.is_empty() { "`context`" } else { "`ref`" })?;
            claims.insert(Claim::Ref, Rc::new(compared.clone()));
        }
        if let JobContext::Environment(name) = context
            && (name::needs_claim(name) || !["context", "environment"].iter().any(|key| says(keys, key)))
        {
            // Observed: `%` is not escaped, so that `a:b` and `a%3Ab` have one subject.
            // <https://github.com/Dashtid/subvectors>, gh-aws-environment-colon-twin-collides
            self.readable(Claim::Environment, "`context`")?;
            claims.insert(Claim::Environment, only(name));
        }
        Ok(())
    }

    /// Refuses a claim that STS does not read of this issuer's tokens.
    fn readable(&self, claim: Claim, key: &str) -> Result<(), String> {
        if self.issuer.has_key(claim.name()) {
            return Ok(());
        }
        Err(format!(
            "the repository's subject template says no `{0}`, and STS reads no claim `{0}` of an Enterprise Server: add {key} to \
             the template, and give the function a credential to read it with; or write whole `Subjects`",
            claim.name()
        ))
    }

    pub(super) fn actor_ids(&self) -> Result<Rc<BTreeSet<Pattern>>, String> {
        self.actors.get_or_init(|| self.look_up_actors().map(Rc::new)).clone()
    }

    /// The names of the users, for a template that says them.
    pub(super) fn actor_names(&self) -> Result<Vec<String>, String> {
        let name = |actor: &Actor| match actor {
            Actor::Name(name) => Some(Ok(name.clone())),
            Actor::Id(id) if self.facts.users.values().any(|known| known == id) => None,
            Actor::Id(id) => Some(Err(format!(
                "`Actors`: the repository's subject template says users by name (`actor`): write the name of the user {id} beside \
                 the id"
            ))),
        };
        self.entry.actors.iter().filter_map(name).collect()
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

/// The values of a claim that has to have one value.
pub(super) fn only(value: &str) -> Rc<BTreeSet<Pattern>> {
    Rc::new([Pattern::written(value)].into())
}
