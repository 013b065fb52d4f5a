//! The facts about the names of an entry: declared by the author, or asked of GitHub.

use std::collections::BTreeSet;

use futures_util::future::{FutureExt, ready};
use futures_util::stream::{self, StreamExt};

use crate::error::Refusal;
use crate::github::Issuer;
use crate::github::client::LookupError;
use crate::github::name::{Repository, RepositoryScope};
use crate::github::subject;
use crate::github::subject_facts::{NamedScope, SubjectFacts, SubjectFormat, ToldSubjects};
use crate::iam_policy::trust_policy::Claim;

use super::GitHubRoles;
use super::identity::Identity;
use super::trust_declaration::{Actor, Format, TrustEntry};
use super::workflow_warnings::repositories;

/// The number of requests to GitHub at the same time: "make requests serially instead of concurrently", it says, to
/// avoid its secondary limits; the lowest of which is for 100 at once.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
const MAX_CONCURRENT_CALLS: usize = 4;

const OTHER_ID: &str = "Either the template is wrong, or somebody else has taken over the name: find out who has it now, \
                        before you declare another number";

/// The reason that there are no facts.
#[derive(Debug)]
pub(super) enum Doubt {
    /// GitHub did not say, or not all: beside the reason stand the facts that it told.
    Silent(LookupError, Box<SubjectFacts>),
    /// GitHub shows the repository under another name.
    Renamed { from: Repository, to: String, id: u64 },
    /// GitHub contradicts the declaration.
    Refused(Refusal),
}

impl GitHubRoles {
    /// Returns the facts of each entry, in their order.
    pub(super) async fn facts_of_all(
        &self,
        issuer: &Issuer,
        entries: &[TrustEntry],
    ) -> Vec<Result<SubjectFacts, Doubt>> {
        self.prefetch_facts(issuer, entries).await;
        let mut all = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            all.push(self.facts(issuer, entry, &place(index, entry)).await);
        }
        all
    }

    /// Asks at once everything that the entries need. Errors come up again where an answer is needed.
    async fn prefetch_facts(&self, issuer: &Issuer, entries: &[TrustEntry]) {
        let mut scopes: BTreeSet<RepositoryScope> = entries.iter().filter_map(|entry| entry.scope.clone()).collect();
        scopes.extend(entries.iter().flat_map(named_scopes));
        scopes.extend(entries.iter().flat_map(repositories).map(RepositoryScope::Repository));
        let actors = entries.iter().flat_map(|entry| &entry.actors);
        let names = actors.filter_map(|actor| if let Actor::Name(name) = actor { Some(name) } else { None });
        let names: BTreeSet<&String> = names.collect();
        let several = scopes.len() + names.len() > 1;
        if !several || !self.is_shown(issuer).await || self.github.prepare(issuer).await.is_err() {
            return;
        }
        let repositories = scopes.iter().map(|scope| async move {
            match scope {
                RepositoryScope::Repository(repository) => drop(self.github.repository(issuer, repository).await),
                RepositoryScope::Organisation(owner) => drop(self.github.account(issuer, owner).await),
            }
        });
        let accounts = names.iter().map(|name| async move { drop(self.github.account(issuer, name).await) });
        let questions = repositories.map(FutureExt::boxed_local).chain(accounts.map(FutureExt::boxed_local));
        stream::iter(questions).buffer_unordered(MAX_CONCURRENT_CALLS).for_each(|()| ready(())).await;
    }

    /// Returns true if GitHub may answer: an Enterprise Server shows nothing to the public.
    pub(super) async fn is_shown(&self, issuer: &Issuer) -> bool {
        issuer.has_immutable_subjects() || self.github.has_credential(issuer).await != Ok(false)
    }

    /// Returns the facts of an entry: those of GitHub, which have to fit the declared ones, else the declared ones.
    async fn facts(&self, issuer: &Issuer, entry: &TrustEntry, at: &str) -> Result<SubjectFacts, Doubt> {
        let declared = facts_from_declaration(issuer, entry);
        let is_shown = self.is_shown(issuer).await;
        let mut facts = SubjectFacts::default();
        let mut silence = None;
        if let Some(scope) = entry.scope.as_ref().filter(|_| is_shown) {
            let found = self.ask_about(issuer, scope, (entry, at), &mut facts).await?;
            let known = match (found, declared) {
                (Ok(found), _) => found,
                (Err(_), Some(declared)) => declared,
                (Err(problem), None) => {
                    silence = Some(problem);
                    declared_facts(entry, [])
                }
            };
            let SubjectFacts { named, free, not_shown, .. } = facts;
            facts = SubjectFacts { named, free, not_shown, ..known };
        } else {
            // An Enterprise Server shows nothing to the public, and its form is known.
            facts = declared.unwrap_or_else(|| declared_facts(entry, [SubjectFormat::Classic]));
        }
        if let Some(RepositoryScope::Organisation(owner)) = entry.scope.as_ref().filter(|_| is_shown) {
            self.tell_of_organisation(issuer, owner, &mut facts.told).await;
        }
        if let Some(scope) = &entry.scope {
            hold_against(entry, scope, &facts, at).map_err(Doubt::Refused)?;
        }
        for scope in named_scopes(entry).into_iter().filter(|_| is_shown) {
            if let Ok(found) = self.ask_about(issuer, &scope, (entry, at), &mut facts).await? {
                let owner_id = found.owner_id;
                let named = id_of(&scope, &found).map(|id| NamedScope { id, owner_id, told: found.told });
                facts.named.extend(named.map(|named| (scope, named)));
            }
        }
        if is_shown {
            facts.workflows = self.workflows_elsewhere(issuer, entry).await;
        }
        for actor in &entry.actors {
            if let Actor::Name(name) = actor {
                match self.github.account(issuer, name).await {
                    Ok(account) if account.is_organisation() => {
                        let why = "that is an organisation, and no user, so that no job is triggered by it";
                        return Err(Doubt::Refused(no_user(at, name, why)));
                    }
                    Ok(account) => {
                        if facts.says("actor") || is_in_subjects(entry, name) {
                            same_case(name, &account.login, at)?;
                        }
                        facts.users.insert(name.clone(), account.id);
                    }
                    Err(LookupError::Invisible(why)) => return Err(Doubt::Refused(no_user(at, name, &why))),
                    Err(problem) => silence = Some(problem),
                }
            }
        }
        match silence {
            None => Ok(facts),
            Some(problem) => Err(Doubt::Silent(problem, Box::new(facts))),
        }
    }

    /// Adds the template and the form that an organisation offers to its repositories.
    async fn tell_of_organisation(&self, issuer: &Issuer, owner: &str, told: &mut ToldSubjects) {
        let Some(chosen) = self.github.organisation_template(issuer, owner).await else { return };
        told.form = Some(chosen.chosen_format()).filter(|form| *form == SubjectFormat::Immutable);
        told.organisation_keys = chosen.include_claim_keys.filter(|keys| !keys.is_empty());
    }

    /// Asks about a repository or an owner, and holds the declaration against the answer. Of a repository that GitHub does
    /// not show, the owner's id is added to the facts.
    async fn ask_about(
        &self,
        issuer: &Issuer,
        scope: &RepositoryScope,
        (entry, at): (&TrustEntry, &str),
        facts: &mut SubjectFacts,
    ) -> Result<Result<SubjectFacts, LookupError>, Doubt> {
        let problem = match self.ask(issuer, scope, at).await {
            Ok(found) => return compared(entry, scope, found, at).map(Ok),
            Err(Doubt::Silent(problem, _)) => problem,
            Err(doubt) => return Err(doubt),
        };
        tracing::warn!(%scope, %problem, "GitHub did not say what is behind a name");
        facts.not_shown.insert(scope.clone());
        if matches!(problem, LookupError::Invisible(_)) {
            let owner = scope.organisation();
            match self.ask(issuer, &owner, at).await {
                Ok(found) => {
                    let SubjectFacts { owner_id, .. } = compared(entry, scope, found, at)?;
                    let named = owner_id.map(|id| NamedScope { id, owner_id, told: ToldSubjects::default() });
                    facts.named.extend(named.map(|named| (owner, named)));
                }
                Err(Doubt::Silent(LookupError::Invisible(_), _)) => {
                    facts.free.insert(scope.owner().to_owned());
                }
                Err(Doubt::Silent(..)) => {}
                Err(doubt) => return Err(doubt),
            }
        }
        Ok(Err(problem))
    }

    async fn ask(&self, issuer: &Issuer, scope: &RepositoryScope, at: &str) -> Result<SubjectFacts, Doubt> {
        match scope {
            RepositoryScope::Repository(repository) => match self.github.repository(issuer, repository).await {
                Ok((described, customization)) => {
                    same_case(&repository.to_string(), &described.full_name, at)?;
                    let facts = SubjectFacts::of(issuer, &described, customization.as_ref());
                    tracing::info!(%repository, ?facts, "asked GitHub");
                    Ok(facts)
                }
                Err(LookupError::Renamed { to, id }) => Err(Doubt::Renamed { from: repository.clone(), to, id }),
                Err(problem) => Err(Doubt::Silent(problem, Box::default())),
            },
            RepositoryScope::Organisation(owner) => match self.github.account(issuer, owner).await {
                Ok(account) => {
                    same_case(owner, &account.login, at)?;
                    let forms = forms_of(issuer).iter().copied().collect();
                    Ok(SubjectFacts { owner_id: Some(account.id), forms, ..SubjectFacts::default() })
                }
                Err(problem) => Err(Doubt::Silent(problem, Box::default())),
            },
        }
    }
}

/// Holds an entry against what GitHub says of a name of it, and adds the facts that the author insists on.
fn compared(entry: &TrustEntry, scope: &RepositoryScope, found: SubjectFacts, at: &str) -> Result<SubjectFacts, Doubt> {
    let found = hold_against(entry, scope, &found, at).and_then(|()| with_declared(entry, found, at));
    found.map_err(Doubt::Refused)
}

/// The place of an entry in the declaration.
pub(super) fn place(index: usize, entry: &TrustEntry) -> String {
    format!("`Trust[{index}]`{}", entry.scope.as_ref().map(|scope| format!(" ({scope})")).unwrap_or_default())
}

/// The forms that subjects may have where nobody tells it.
pub(super) fn forms_of(issuer: &Issuer) -> &'static [SubjectFormat] {
    if issuer.has_immutable_subjects() {
        &[SubjectFormat::Classic, SubjectFormat::Immutable]
    } else {
        &[SubjectFormat::Classic]
    }
}

/// The id that tells a scope.
fn id_of(scope: &RepositoryScope, facts: &SubjectFacts) -> Option<u64> {
    match scope {
        RepositoryScope::Repository(_) => facts.repository_id,
        RepositoryScope::Organisation(_) => facts.owner_id,
    }
}

/// The repositories and owners that whole subjects name, beside the one that the entry is about.
fn named_scopes(entry: &TrustEntry) -> BTreeSet<RepositoryScope> {
    let names = entry.subjects.iter().filter_map(|subject| Identity::of_subject(subject).scope);
    names.filter(|scope| entry.scope.as_ref() != Some(scope)).collect()
}

/// The repositories and owners that whole subjects name without an id, beside the one that the entry is about.
pub(super) fn open_names(issuer: &Issuer, entry: &TrustEntry) -> BTreeSet<RepositoryScope> {
    let open = |identity: Identity| identity.scope.clone().filter(|_| !identity.is_pinned());
    let names = entry.subjects.iter().filter_map(|subject| open(Identity::of_subject(subject)));
    let names = names.filter(|scope| entry.scope.as_ref() != Some(scope));
    names.filter(|_| issuer.has_key(Claim::RepositoryId.name())).collect()
}

/// Returns true if a whole subject names a user.
fn is_in_subjects(entry: &TrustEntry, name: &str) -> bool {
    entry.subjects.iter().any(|subject| subject::value(subject.as_str(), "actor") == Some(name))
}

/// Holds the ids in whole subjects against those of the repository or owner that they are about.
fn hold_against(entry: &TrustEntry, scope: &RepositoryScope, facts: &SubjectFacts, at: &str) -> Result<(), Refusal> {
    let is_own = entry.scope.as_ref() == Some(scope);
    for subject in &entry.subjects {
        let Identity { scope: named, owner_ids, repository_ids } = Identity::of_subject(subject);
        let names_repository = matches!(named, Some(RepositoryScope::Repository(_)));
        if named.as_ref() != Some(scope) && (names_repository || !is_own) {
            continue;
        }
        for (name, ids, now) in [
            (scope.owner().to_owned(), owner_ids, facts.owner_id),
            (scope.to_string(), repository_ids, facts.repository_id),
        ] {
            if let Some((now, other)) = now.and_then(|now| Some((now, ids.iter().find(|id| **id != now)?))) {
                return Err(Refusal::PreconditionFailed {
                    what: format!(
                        "{at}: `Subjects`: GitHub says that {name} has id {now}, the template {other} (`{subject}`)"
                    ),
                    remedy: OTHER_ID.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Returns the facts of an entry that declares all of them.
fn facts_from_declaration(issuer: &Issuer, entry: &TrustEntry) -> Option<SubjectFacts> {
    let is_organisation = matches!(entry.scope, Some(RepositoryScope::Organisation(_)));
    let ids = match entry.scope {
        Some(RepositoryScope::Repository(_)) => entry.owner_id.is_some() && entry.repository_id.is_some(),
        Some(RepositoryScope::Organisation(_)) => entry.owner_id.is_some(),
        None => return Some(declared_facts(entry, [])),
    };
    let pin = if is_organisation { entry.owner_id } else { entry.repository_id };
    match entry.format {
        Format::Classic if pin.is_some() || !issuer.has_key(Claim::RepositoryId.name()) => {
            Some(declared_facts(entry, [SubjectFormat::Classic]))
        }
        Format::Immutable if ids => Some(declared_facts(entry, [SubjectFormat::Immutable])),
        Format::Both if ids => Some(declared_facts(entry, [SubjectFormat::Classic, SubjectFormat::Immutable])),
        Format::Auto if ids && is_organisation => Some(declared_facts(entry, forms_of(issuer).iter().copied())),
        Format::Auto | Format::Classic | Format::Immutable | Format::Both => None,
    }
}

pub(super) fn declared_facts(entry: &TrustEntry, forms: impl IntoIterator<Item = SubjectFormat>) -> SubjectFacts {
    SubjectFacts {
        owner_id: entry.owner_id,
        repository_id: entry.repository_id,
        forms: forms.into_iter().collect(),
        ..SubjectFacts::default()
    }
}

/// The facts of an entry that declares all ids, with each form that its subjects may have.
pub(super) fn declared_in_any_form(issuer: &Issuer, entry: &TrustEntry) -> Option<SubjectFacts> {
    let is_organisation = matches!(entry.scope, Some(RepositoryScope::Organisation(_)));
    let is_whole = entry.owner_id.is_some() && (is_organisation || entry.repository_id.is_some());
    is_whole.then(|| declared_facts(entry, forms_of(issuer).iter().copied()))
}

/// Combines the facts from GitHub with those that the author insists on.
pub(super) fn with_declared(entry: &TrustEntry, mut facts: SubjectFacts, at: &str) -> Result<SubjectFacts, Refusal> {
    for (property, declared, found) in
        [("OwnerId", entry.owner_id, facts.owner_id), ("RepositoryId", entry.repository_id, facts.repository_id)]
    {
        if let (Some(declared), Some(found)) = (declared, found)
            && declared != found
        {
            return Err(Refusal::PreconditionFailed {
                what: format!("{at}: `{property}`: GitHub says {found}, the template {declared}"),
                remedy: OTHER_ID.to_owned(),
            });
        }
    }
    match entry.format {
        Format::Auto => {}
        Format::Immutable => facts.forms = [SubjectFormat::Immutable].into(),
        Format::Classic => facts.forms = [SubjectFormat::Classic].into(),
        Format::Both => facts.forms = [SubjectFormat::Classic, SubjectFormat::Immutable].into(),
    }
    Ok(facts)
}

fn same_case(written: &str, found: &str, at: &str) -> Result<(), Doubt> {
    if written == found {
        return Ok(());
    }
    Err(Doubt::Refused(Refusal::PreconditionFailed {
        what: format!("{at}: GitHub writes it {found}"),
        remedy: "Subjects and conditions are case-sensitive: write it like that".to_owned(),
    }))
}

pub(super) fn no_user(at: &str, name: &str, why: &str) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!("{at}: `Actors`: {name}: {why}"),
        remedy: "Write the user's name of today, or the id".to_owned(),
    }
}

/// Describes the way to find out by hand the facts that the function could not.
pub(super) fn by_hand(issuer: &Issuer, entry: &TrustEntry) -> String {
    let host = match issuer.web_host() {
        host if host == "github.com" => String::new(),
        host => format!(" --hostname {host}"),
    };
    let mut steps = Vec::new();
    match &entry.scope {
        Some(RepositoryScope::Repository(repository)) => steps.push(for_repository(repository, &host, issuer)),
        Some(RepositoryScope::Organisation(owner)) => {
            steps.push(format!("run `gh api{host} users/{owner} --jq .id` and write it as `OwnerId`"));
        }
        None => {}
    }
    if entry.actors.iter().any(|actor| matches!(actor, Actor::Name(_))) {
        steps.push(format!("write users' ids under `Actors` (`gh api{host} users/NAME --jq .id`)"));
    }
    format!(
        "To go on without GitHub, {}. Or give the function a credential that can read it (`GitHubSecretArn` of its template)",
        steps.join("; and ")
    )
}

fn for_repository(repository: &Repository, host: &str, issuer: &Issuer) -> String {
    if !issuer.has_immutable_subjects() {
        return "write `SubjectFormat: Classic`".to_owned();
    }
    format!(
        "run `gh api{host} repos/{repository} --jq '{{OwnerId: .owner.id, RepositoryId: .id}}'` and write both; then \
         `gh api{host} repos/{repository}/actions/oidc/customization/sub --jq .sub_claim_prefix`: with ids in it, write \
         `SubjectFormat: Immutable`, otherwise `SubjectFormat: Classic`"
    )
}
