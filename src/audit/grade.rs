//! The grade of a trust policy. Jobs are made up that could fit the policy, IAM's evaluation decides which of them get in,
//! and a grade is given only with a job that proves it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::made_up_job::{Context, Job, JobRepository, Named};
use super::named_in_policy::{
    contexts, contexts_of_claims, filled, ids, named, named_by_claims, no_repository, of_anybody,
};
use crate::github::Issuer;
use crate::iam_policy::document::{allowed_values, allows, federated, mentioned_values, one_or_many, statements};
use crate::iam_policy::evaluate::{Verdict, verdict};
use crate::iam_policy::string_like::STEPS;

/// The class of a trust policy, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Grade {
    /// Jobs of anybody at GitHub.
    Open,
    /// Jobs of every repository of an owner.
    Organisation,
    /// Jobs of another repository or owner under the same name, in the form of subjects with ids.
    WildcardId,
    /// Jobs of a repository that takes over the name.
    NamesOnly,
    /// Every job of a repository.
    Repository,
    /// Jobs of pull requests.
    PullRequest,
    /// Nobody: no token meets the policy.
    Dead,
    /// Certain jobs of certain repositories.
    #[cfg_attr(feature = "cli", value(skip))]
    Exact,
    /// Other jobs than those that were tried, if any.
    NotJudged,
}

/// A finding about a trust policy, with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuditFinding {
    /// The class.
    pub grade: Grade,
    /// The finding in a sentence.
    pub sentence: String,
    /// The claims of a token that gets in and proves it; none for a policy that admits nobody.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub proof: BTreeMap<String, String>,
    /// True if the policy also asks for more than the token tells, such as an address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub depends: bool,
}

/// The provider of an issuer as the account has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its ARN.
    pub arn: String,
    /// Its client ids.
    pub client_ids: BTreeSet<String>,
}

/// Ids that no policy of others names.
const STRANGER: (u64, u64) = (999_000_001, 999_000_002);
/// Ids of a repository that a policy names without its ids.
const MADE_UP: (u64, u64) = (990_000_001, 990_000_002);
const STRANGER_NAME: &str = "a-stranger";
const SIBLING: &str = "another-repository";
/// The longest claim that is tried, in bytes. Names and refs are shorter.
const LONGEST_CLAIM: usize = 1024;

/// The work that is left for a policy, in characters that are read and steps of comparisons. The lists of a policy multiply, so
/// that anybody could write one whose jobs are never all tried.
#[derive(Debug)]
pub struct Work(Cell<usize>);

impl Work {
    /// Enough for the longest policy of IAM with a subject for each of as many repositories as fit.
    pub const MOST: usize = 150_000_000;

    fn take(&self, steps: usize) {
        self.0.set(self.0.get().saturating_sub(steps));
    }

    fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

impl Default for Work {
    fn default() -> Self {
        Self(Cell::new(Self::MOST))
    }
}

/// Grades the trust of a policy in one provider of GitHub's. `provider` is the provider as the account has it, if it has. Where the
/// work is spent before all jobs are tried, the last finding says so.
#[must_use]
pub fn grade(
    policy: &Value,
    provider_arn: &str,
    issuer: &Issuer,
    provider: Option<&Provider>,
    work: &Work,
) -> Vec<AuditFinding> {
    // STS takes no token for another audience.
    let audiences = provider.map(|provider| &provider.client_ids);
    let wanted =
        allowed_values(policy, "aud").into_iter().find(|value| audiences.is_some_and(|ids| ids.contains(*value)));
    let first = audiences.and_then(|ids| ids.first()).map(String::as_str);
    let (size, audience) = (policy.to_string().len(), wanted.or(first).unwrap_or_default());
    let trust = Trust { policy, size, provider_arn, issuer, audience, work };
    let dead = trust.dead(provider);
    if !dead.is_empty() {
        let sentence = format!("Nobody can assume the role: {}.", dead.join("; "));
        return vec![AuditFinding { grade: Grade::Dead, sentence, proof: BTreeMap::new(), depends: false }];
    }
    let tried = trust.try_all();
    let mut findings = tried.findings(issuer);
    if work.is_spent() {
        let sentence = "The policy names more jobs than are tried.".to_owned();
        findings.push(AuditFinding { grade: Grade::NotJudged, sentence, proof: BTreeMap::new(), depends: false });
    }
    if !findings.is_empty() {
        return findings;
    }
    let (grade, sentence) = match &tried.first {
        Some(_) => {
            (Grade::Exact, "Certain jobs of certain repositories get in, and none of the others that were tried.")
        }
        None => (Grade::NotJudged, "None of the jobs that were tried gets in."),
    };
    let (proof, depends) =
        tried.first.as_ref().map(|(job, depends)| (claims(job, issuer), *depends)).unwrap_or_default();
    vec![AuditFinding { grade, sentence: sentence.to_owned(), proof, depends }]
}

/// Whose job it is, seen from the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Stranger,
    /// Another repository of an owner that the policy names.
    Sibling,
    /// The same name with other ids.
    Namesake,
    /// A repository that the policy names.
    Meant,
}

struct Trust<'a> {
    policy: &'a Value,
    /// The length of the policy.
    size: usize,
    provider_arn: &'a str,
    issuer: &'a Issuer,
    audience: &'a str,
    work: &'a Work,
}

/// The jobs that got in: of those that prove the same, the first one.
#[derive(Default)]
struct Tried {
    by: BTreeMap<Whose, Vec<(Job, bool)>>,
    first: Option<(Job, bool)>,
    /// The sorts of jobs in `by`.
    sorts: BTreeSet<(Whose, String, Option<Context>, bool)>,
}

impl Trust<'_> {
    fn values(&self, claim: &str) -> Vec<&str> {
        allowed_values(self.policy, claim)
    }

    fn first(&self, claim: &str, otherwise: &str) -> String {
        self.values(claim).first().map_or_else(|| otherwise.to_owned(), |value| filled(value))
    }

    /// Tries every job that could fit. Those of strangers come first, because they may get in by the last of many subjects.
    fn try_all(&self) -> Tried {
        let of_claims = contexts_of_claims(self.policy);
        let subjects = mentioned_values(self.policy, "sub");
        let of_strangers = self.try_strangers(&subjects, &of_claims);
        let possible = subjects.iter().filter(|subject| no_repository(subject).is_none());
        let all = possible.filter_map(|subject| Some((named(subject)?, contexts(subject))));
        let claimed = named_by_claims(self.policy).into_iter().map(|named| (named, BTreeSet::new()));
        let mut all: Vec<(Named, BTreeSet<Context>)> = all.chain(claimed).collect();
        all.sort_by_key(|(named, _)| named.owner.is_ok() || named.owner_id.is_some());
        let (mut tried, mut usual) = (Tried::default(), BTreeSet::new());
        for (named, mut contexts) in all {
            if self.work.is_spent() {
                break;
            }
            let is_usual = contexts.is_empty();
            contexts.extend(of_claims.iter().cloned());
            for (whose, repository) in self.candidates(&named) {
                // Many subjects of an owner lead to the same sibling.
                if !is_usual || usual.insert((whose, repository.clone())) {
                    self.try_repository(&mut tried, whose, &repository, &contexts);
                }
            }
        }
        tried.append(of_strangers);
        tried
    }

    fn try_strangers(&self, subjects: &[&str], of_claims: &BTreeSet<Context>) -> Tried {
        let mut tried = Tried::default();
        let of_subjects = subjects.iter().flat_map(|subject| contexts(subject));
        let every: BTreeSet<Context> = of_subjects.chain(of_claims.iter().cloned()).take(50).collect();
        self.try_repository(&mut tried, Whose::Stranger, &stranger(), &every);
        for subject in subjects.iter().filter_map(|subject| of_anybody(subject)) {
            self.try_repository_with(&mut tried, Whose::Stranger, &stranger(), &every, Some(&subject));
        }
        tried
    }

    fn try_repository(&self, tried: &mut Tried, whose: Whose, repository: &JobRepository, more: &BTreeSet<Context>) {
        self.try_repository_with(tried, whose, repository, more, None);
    }

    fn try_repository_with(
        &self,
        tried: &mut Tried,
        whose: Whose,
        repository: &JobRepository,
        more: &BTreeSet<Context>,
        subject: Option<&String>,
    ) {
        let usual = [
            Context::Branch("main".to_owned()),
            Context::Branch("any-branch".to_owned()),
            Context::Tag("any-tag".to_owned()),
            Context::Environment("any-environment".to_owned()),
            Context::PullRequest,
        ];
        let is_ours = matches!(whose, Whose::Sibling | Whose::Meant);
        let actor = if is_ours {
            (self.first("actor", "octocat"), self.first("actor_id", "583231"))
        } else {
            (STRANGER_NAME.to_owned(), STRANGER.0.to_string())
        };
        let own = format!("{}/{}/.github/workflows/deploy.yml@refs/heads/main", repository.owner, repository.name);
        // Anybody may call a reusable workflow that is public.
        let workflows = self.values("job_workflow_ref").into_iter().take(5).map(filled).chain([own]);
        let workflows: BTreeSet<String> = workflows.collect();
        for context in usual.iter().chain(more.iter().filter(|context| !usual.contains(context))) {
            for has_ids in [false, true] {
                if has_ids && !self.issuer.has_immutable_subjects() {
                    continue;
                }
                for workflow in &workflows {
                    if self.work.is_spent() {
                        return;
                    }
                    let job = Job {
                        repository: repository.clone(),
                        context: context.clone(),
                        has_ids,
                        subject: subject.cloned(),
                        actor: actor.clone(),
                        enterprise_id: if is_ours { self.first("enterprise_id", "1") } else { STRANGER.0.to_string() },
                        workflow: workflow.clone(),
                        audience: self.audience.to_owned(),
                    };
                    self.try_job(tried, whose, job);
                }
            }
        }
    }

    fn try_job(&self, tried: &mut Tried, whose: Whose, job: Job) {
        let token = job.token(self.issuer);
        let before = STEPS.get();
        let is_short = token.claims.values().flatten().all(|value| value.len() <= LONGEST_CLAIM);
        let found = is_short.then(|| verdict(self.policy, self.provider_arn, &token));
        self.work.take(self.size + STEPS.get().wrapping_sub(before));
        match found {
            Some(Verdict::Admitted) => tried.keep(whose, job, false),
            Some(Verdict::Depends) => tried.keep(whose, job, true),
            Some(Verdict::Refused) | None => {}
        }
    }

    /// The reasons for which no statement lets anybody in; none if one may.
    fn dead(&self, provider: Option<&Provider>) -> Vec<String> {
        let Some(provider) = provider else {
            return vec![format!("the account has no provider {}", self.provider_arn)];
        };
        let mut reasons = Vec::new();
        for statement in statements(self.policy) {
            if !allows(statement) || !federated(statement).any(|arn| arn == self.provider_arn) {
                continue;
            }
            match self.never_met(statement, provider) {
                Some(reason) => reasons.push(reason),
                None => return Vec::new(),
            }
        }
        reasons.dedup();
        reasons
    }

    /// The condition of a statement that no token of GitHub's meets.
    fn never_met(&self, statement: &Value, provider: &Provider) -> Option<String> {
        let operators = statement.get("Condition").and_then(Value::as_object)?;
        for (operator, keys) in operators {
            if !matches!(
                operator.as_str(),
                "StringEquals" | "StringLike" | "ForAnyValue:StringEquals" | "ForAnyValue:StringLike"
            ) {
                continue;
            }
            for (key, values) in keys.as_object().into_iter().flatten() {
                let values: Vec<&str> = one_or_many(Some(values)).iter().filter_map(Value::as_str).collect();
                let prefix = format!("{}:", self.issuer);
                let has_prefix = key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(&prefix));
                let Some(claim) = key.get(prefix.len()..).filter(|_| has_prefix) else { continue };
                let is_known = matches!(claim.to_lowercase().as_str(), "aud" | "sub" | "amr" | "repository_owner_id")
                    || self.issuer.has_key(&claim.to_lowercase());
                if !is_known {
                    return Some(format!(
                        "STS reads no claim `{claim}` of this issuer, so that `{operator}` is never met"
                    ));
                }
                let exact = operator.ends_with("StringEquals");
                let is_wild = |value: &&str| value.contains(['*', '?']);
                if claim.eq_ignore_ascii_case("sub") && exact && !values.is_empty() && values.iter().all(is_wild) {
                    return Some(format!(
                        "`StringEquals` compares letter by letter, and no subject has the wildcard of {:?}",
                        values[0]
                    ));
                }
                let nobodys: Vec<String> = values.iter().map_while(|value| no_repository(value)).collect();
                if claim.eq_ignore_ascii_case("sub")
                    && nobodys.len() == values.len()
                    && let Some(name) = nobodys.first()
                {
                    return Some(format!("no repository at GitHub can have the name {name:?}"));
                }
                let audiences = &provider.client_ids;
                if claim.eq_ignore_ascii_case("aud") && exact && !values.iter().any(|value| audiences.contains(*value))
                {
                    return Some(format!(
                        "the provider takes tokens for {}, and the policy wants {}",
                        audiences.iter().cloned().collect::<Vec<_>>().join(", "),
                        values.join(", ")
                    ));
                }
            }
        }
        None
    }
}

fn stranger() -> JobRepository {
    let (owner_id, id) = STRANGER;
    JobRepository { owner: STRANGER_NAME.to_owned(), owner_id, name: "anything".to_owned(), id }
}

impl Trust<'_> {
    /// The repositories to try for one that a policy names.
    fn candidates(&self, named: &Named) -> Vec<(Whose, JobRepository)> {
        let or = |ids: Vec<u64>, made_up: u64| if ids.is_empty() { vec![made_up] } else { ids };
        let owner_ids =
            or(named.owner_id.map_or_else(|| ids(self.policy, "repository_owner_id"), |id| vec![id]), MADE_UP.0);
        let repository_ids = or(named.id.map_or_else(|| ids(self.policy, "repository_id"), |id| vec![id]), MADE_UP.1);
        let name = named.name.as_ref().unwrap_or_else(|filled| filled);
        let repository = |owner: &str, owner_id, name: &str, id| JobRepository {
            owner: owner.to_owned(),
            owner_id,
            name: name.to_owned(),
            id,
        };
        let owner = match &named.owner {
            // Anybody may register a name that fits the pattern.
            Err(owner) => {
                let (whose, owner_id) = named.owner_id.map_or((Whose::Stranger, STRANGER.0), |id| (Whose::Sibling, id));
                return vec![(whose, repository(owner, owner_id, name, named.id.unwrap_or(STRANGER.1)))];
            }
            Ok(owner) => owner,
        };
        let mut all = vec![(Whose::Namesake, repository(owner, STRANGER.0, name, STRANGER.1))];
        for owner_id in owner_ids {
            all.push((Whose::Sibling, repository(owner, owner_id, SIBLING, STRANGER.1)));
            let meant = |name: &str, id| (Whose::Meant, repository(owner, owner_id, name, id));
            if named.name.is_err() {
                all.push((Whose::Sibling, repository(owner, owner_id, name, STRANGER.1)));
                // Of any name, by their ids.
                let by_id = ids(self.policy, "repository_id");
                all.extend(by_id.into_iter().map(|id| meant(&format!("repository-{id}"), id)));
            } else {
                all.extend(repository_ids.iter().map(|id| meant(name, *id)));
            }
        }
        all
    }
}

impl Tried {
    /// Keeps a job, unless another one proves the same.
    fn keep(&mut self, whose: Whose, job: Job, depends: bool) {
        let sort = match whose {
            Whose::Meant => (whose, name(&job), Some(job.context.clone()), false),
            Whose::Stranger | Whose::Sibling | Whose::Namesake => (whose, String::new(), None, job.has_ids),
        };
        if self.first.is_none() {
            self.first = Some((job.clone(), depends));
        }
        if self.sorts.insert(sort) {
            self.by.entry(whose).or_default().push((job, depends));
        }
    }

    /// Adds jobs that come behind these.
    fn append(&mut self, other: Self) {
        for (whose, jobs) in other.by {
            self.by.entry(whose).or_default().extend(jobs);
        }
        self.first = self.first.take().or(other.first);
    }

    fn findings(&self, issuer: &Issuer) -> Vec<AuditFinding> {
        let jobs = |whose: Whose| self.by.get(&whose).into_iter().flatten();
        let finding = |grade, sentence: String, (job, depends): &(Job, bool)| AuditFinding {
            grade,
            sentence,
            proof: claims(job, issuer),
            depends: *depends,
        };
        if let Some(proof) = jobs(Whose::Stranger).next() {
            return vec![finding(Grade::Open, "Jobs of anybody at GitHub get in.".to_owned(), proof)];
        }
        let mut findings = Vec::new();
        if let Some(proof) = jobs(Whose::Sibling).next() {
            let sentence = format!("Jobs of every repository of {} get in.", proof.0.repository.owner);
            findings.push(finding(Grade::Organisation, sentence, proof));
        }
        let namesake = |has_ids: bool| jobs(Whose::Namesake).find(|(job, _)| job.has_ids == has_ids);
        if let Some(proof) = namesake(false) {
            let sentence =
                format!("Jobs of a repository that takes over the name {} get in: no id is compared.", name(&proof.0));
            findings.push(finding(Grade::NamesOnly, sentence, proof));
        } else if let Some(proof) = namesake(true) {
            let sentence = format!("Jobs of a new {} get in: any ids do.", name(&proof.0));
            findings.push(finding(Grade::WildcardId, sentence, proof));
        }
        let mut by_repository: BTreeMap<String, Vec<&(Job, bool)>> = BTreeMap::new();
        for proof in jobs(Whose::Meant) {
            by_repository.entry(name(&proof.0)).or_default().push(proof);
        }
        for (repository, proofs) in by_repository {
            let of = |context: &Context| proofs.iter().find(|(job, _)| job.context == *context);
            let pull_request = of(&Context::PullRequest);
            let branch = of(&Context::Branch("any-branch".to_owned()));
            let environment = of(&Context::Environment("any-environment".to_owned()));
            if let (Some(_), Some(branch), Some(_)) = (pull_request, branch, environment) {
                let sentence = format!("Every job of {repository} gets in, also one that nobody has reviewed.");
                findings.push(finding(Grade::Repository, sentence, branch));
            } else if let Some(proof) = pull_request {
                let sentence =
                    format!("Jobs of pull requests of {repository} get in before anybody has reviewed them.");
                findings.push(finding(Grade::PullRequest, sentence, proof));
            }
        }
        findings
    }
}

fn name(job: &Job) -> String {
    format!("{}/{}", job.repository.owner, job.repository.name)
}

fn claims(job: &Job, issuer: &Issuer) -> BTreeMap<String, String> {
    job.token(issuer).claims.into_iter().filter_map(|(name, values)| Some((name, values.into_iter().next()?))).collect()
}
