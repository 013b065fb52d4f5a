//! The ids that pin a repository or an owner, where the subject does not say them.

use super::compile::{Compiler, only};
use super::context_refs::says;
use super::identity::Identity;
use crate::github::name::RepositoryScope;
use crate::github::subject;
use crate::github::subject_facts::SubjectFacts;
use crate::iam_policy::trust_policy::{Claim, Claims, TrustRule};

impl Compiler<'_> {
    /// Pins the repository or the owner that a whole subject is about, where the subject does not say the id.
    pub(super) fn pin_whole(&self, TrustRule { subject, claims }: &mut TrustRule) -> Result<(), String> {
        let Self { entry, facts, .. } = self;
        let Identity { scope, owner_ids, .. } = Identity::of_subject(subject);
        let has_id = subject::has_repository_id(subject.as_str());
        let names_repository = matches!(scope, Some(RepositoryScope::Repository(_)));
        // The subject says less than the entry.
        if !names_repository && !has_id && entry.names_repository() {
            self.pin(claims, Claim::RepositoryId, facts.repository_id);
            if !claims.contains_key(&Claim::RepositoryId) {
                return Err(format!(
                    "`{subject}` names no repository, and there is no claim to pin it by: jobs of other repositories could have \
                     this subject"
                ));
            }
            if let Some(scope @ RepositoryScope::Repository(_)) = &entry.scope {
                claims.insert(Claim::Repository, only(&scope.to_string()));
            }
            return Ok(());
        }
        let Some(scope) = scope.or_else(|| entry.scope.clone()) else { return Ok(()) };
        let is_of_entry = entry.scope.is_none() || entry.scope.as_ref() == Some(&scope);
        let named = |scope: &RepositoryScope| facts.named.get(scope).map(|named| named.id);
        // Declared ids stand before remembered ones.
        let owner_id = facts.owner_id.filter(|_| is_of_entry).or_else(|| named(&scope.organisation()));
        let owner_id = owner_id.filter(|_| owner_ids.is_empty());
        let id = facts.repository_id.filter(|_| is_of_entry).or_else(|| named(&scope));
        match &scope {
            RepositoryScope::Organisation(_) => self.pin(claims, Claim::RepositoryOwnerId, owner_id),
            RepositoryScope::Repository(_) if has_id => {}
            RepositoryScope::Repository(_) => self.pin_repository(claims, owner_id, id),
        }
        Ok(())
    }

    /// Pins the repository or owner, and names the repository where the subject does not.
    pub(super) fn pin_scope(
        &self,
        claims: &mut Claims,
        scope: &RepositoryScope,
        keys: &[String],
        has_id: bool,
    ) -> Result<(), String> {
        let SubjectFacts { owner_id, repository_id, .. } = self.facts;
        match scope {
            _ if has_id => {}
            RepositoryScope::Repository(_) => self.pin_repository(claims, *owner_id, *repository_id),
            RepositoryScope::Organisation(_) => self.pin(claims, Claim::RepositoryOwnerId, *owner_id),
        }
        if ["repo", "repository"].iter().any(|key| says(keys, key)) {
            return Ok(());
        }
        if !says(keys, "repository_id") && !claims.contains_key(&Claim::RepositoryId) {
            return Err(
                "the repository's subject template names no repository, and there is no claim to pin it by: add \
                 `repo` to the template"
                    .to_owned(),
            );
        }
        if self.issuer.has_key(Claim::Repository.name()) {
            claims.insert(Claim::Repository, only(&scope.to_string()));
        }
        Ok(())
    }

    /// Pins a repository, or its owner where the repository's id is not known, or only remembered.
    fn pin_repository(&self, claims: &mut Claims, owner_id: Option<u64>, id: Option<u64>) {
        self.pin(claims, Claim::RepositoryId, id);
        if id.is_none() || self.facts.is_remembered {
            self.pin(claims, Claim::RepositoryOwnerId, owner_id);
        }
    }

    fn pin(&self, claims: &mut Claims, claim: Claim, id: Option<u64>) {
        if let Some(id) = id.filter(|_| self.issuer.has_key(claim.name())) {
            claims.insert(claim, only(&id.to_string()));
        }
    }
}
