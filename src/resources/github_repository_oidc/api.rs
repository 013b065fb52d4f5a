//! The calls. <https://docs.github.com/en/rest/actions/oidc>

use super::Spec;
use crate::error::Error;
use crate::ownership::Owner;
use crate::reconcile::Api;
use crate::reconcile::Exclusive;
use futures_util::future::join;
use serde_json::json;

use super::{Action, CustomizationTemplate, GitHubRepositoryOidcs, Observed, OidcId, Only, Subjects};
use crate::aws::{CallError, ErrorKind};
use crate::github::facts::Customization;
use crate::github::{ApiCall, Issuer, subject};

impl OidcId {
    fn call<'a>(&'a self, action: &'static str, method: &'static str, what: &'a String) -> ApiCall<'a> {
        let path = format!("/repos/{}/actions/oidc/customization/sub", self.repository);
        ApiCall { action, method, path, resource: what, repository: Some(&self.repository), body: None }
    }

    /// Why nothing can be done to it.
    pub(super) fn invisible(&self) -> CallError {
        CallError {
            action: "github:GetOidcCustomization",
            resource: self.what(),
            kind: ErrorKind::Invalid,
            code: "404".to_owned(),
            message: format!(
                "GitHub shows no repository {} to the function's credential; check its name, and what the token or App has \
                 access to",
                self.repository
            ),
            request_id: None,
            uncertain: false,
        }
    }

    fn what(&self) -> String {
        format!("the subjects of {}", self.repository)
    }

    fn issuer(&self) -> Result<Issuer, CallError> {
        Issuer::of_host(&self.host).map_err(|why| CallError {
            action: "github:GetOidcCustomization",
            resource: self.to_string(),
            kind: ErrorKind::Invalid,
            code: "Host".to_owned(),
            message: why,
            request_id: None,
            uncertain: false,
        })
    }
}

fn form(immutable: bool) -> Subjects {
    if immutable { Subjects::Immutable } else { Subjects::Classic }
}

fn chosen(shown: &Customization) -> Subjects {
    form(shown.use_immutable_subject == Some(true))
}

impl Api for GitHubRepositoryOidcs {
    type Sharing = Exclusive;

    /// What was chosen before this resource is asked once, and the id keeps it.
    async fn resolve_id(&self, id: OidcId, old: Option<&OidcId>) -> Result<OidcId, Error> {
        if let Some(known) = old.filter(|old| **old == id) {
            return Ok(known.clone());
        }
        // Switched a moment later, it could never be switched back: nobody would know to what.
        let Some(before) = self.chosen(&id).await? else { return Err(id.invisible().into()) };
        Ok(OidcId { before: Some(before), ..id })
    }

    async fn resolve(&self, _: &Owner, _: &OidcId, spec: Spec) -> Result<Spec, Error> {
        Ok(spec)
    }

    async fn observe(&self, id: &OidcId) -> Result<Option<Observed>, CallError> {
        let seen = self.look(id).await?;
        if let Some((observed, before)) = seen.as_ref().and_then(|seen| Some((seen, seen.before?))) {
            let locked_out = observed.locked_out(before);
            if before != observed.chosen && !locked_out.is_empty() {
                tracing::warn!(%id, roles = ?locked_out, "as the roles are, a deletion leaves the repository switched");
            }
        }
        Ok(seen)
    }

    async fn apply(&self, id: &OidcId, action: &Action) -> Result<(), CallError> {
        let Action::Switch { to, template: CustomizationTemplate { use_default, keys } } = action;
        let (issuer, what) = (id.issuer()?, id.what());
        let mut call = id.call("github:SetOidcCustomization", "PUT", &what);
        let mut body = json!({"use_default": use_default, "use_immutable_subject": *to == Subjects::Immutable});
        if let Some(keys) = keys.as_ref().filter(|_| !use_default) {
            body["include_claim_keys"] = json!(keys);
        }
        call.body = Some(body);
        self.github.call(&issuer, &call).await.map(drop)
    }
}

impl GitHubRepositoryOidcs {
    pub(super) async fn look(&self, id: &OidcId) -> Result<Option<Observed>, CallError> {
        let (shown, only) = join(self.customization(id), self.only(id)).await;
        let Some(shown) = shown? else { return Ok(None) };
        let chosen = chosen(&shown);
        let Customization { use_default, include_claim_keys, use_immutable_subject: _, sub_claim_prefix } = shown;
        let prefix = sub_claim_prefix.as_deref().map(|prefix| prefix.trim_start_matches("repo:").trim_end_matches(':'));
        let sent = match prefix.and_then(subject::prefix) {
            Some(prefix) => form(prefix.ids.is_some()),
            None => chosen,
        };
        let template = CustomizationTemplate { use_default, keys: include_claim_keys };
        Ok(Some(Observed { chosen, sent, before: id.before, template, only: only? }))
    }

    /// What has been chosen for the repository.
    pub(super) async fn chosen(&self, id: &OidcId) -> Result<Option<Subjects>, CallError> {
        Ok(self.customization(id).await?.map(|shown| chosen(&shown)))
    }

    async fn customization(&self, id: &OidcId) -> Result<Option<Customization>, CallError> {
        let (issuer, what) = (id.issuer()?, id.what());
        let call = id.call("github:GetOidcCustomization", "GET", &what);
        match self.github.call(&issuer, &call).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            other => other?.json(&call).map(Some),
        }
    }

    /// The roles that name the repository in one form only. Subjects that leave the repository open match either form or none,
    /// whatever is chosen.
    async fn only(&self, id: &OidcId) -> Result<Only, CallError> {
        let mut only = Only::default();
        let mut marker: Option<String> = None;
        loop {
            let request = self.iam.list_roles().max_items(1000).set_marker(marker.take());
            let page = self.deadline.call("iam:ListRoles", "*", || request.clone().send()).await?;
            for role in &page.roles {
                let policy = role.assume_role_policy_document().unwrap_or_default();
                let policy = urlencoding::decode(policy).unwrap_or_default();
                let forms = forms(&policy, id.repository.owner(), id.repository.name());
                match forms {
                    (true, false) => only.classic.insert(role.role_name().to_owned()),
                    (false, true) => only.immutable.insert(role.role_name().to_owned()),
                    _ => false,
                };
            }
            match page.marker {
                Some(next) if page.is_truncated => marker = Some(next),
                _ => return Ok(only),
            }
        }
    }
}

/// Whether a policy's subjects let in the repository with names only, and with ids. GitHub takes names in any case for the
/// same, and so does this: a role that is overlooked would be locked out.
fn forms(policy: &str, owner: &str, name: &str) -> (bool, bool) {
    let policy = policy.to_ascii_lowercase();
    let repository = format!("{owner}/{name}").to_ascii_lowercase();
    // At the beginning of a subject, or behind what a template puts before it.
    let keys = policy.match_indices("repo:").filter(|(at, _)| policy[..*at].ends_with(['"', ':']));
    let subjects = keys.map(|(at, key)| {
        let rest = &policy[at + key.len()..];
        let subject = rest.split('"').next().unwrap_or_default();
        // No name has a colon in it; without one, a wildcard stands for the rest.
        subject.split(':').next().unwrap_or_default()
    });
    let mut found = (false, false);
    for subject in subjects {
        found.0 |= fits(subject, &repository);
        found.1 |= without_ids(subject).is_some_and(|subject| fits(&subject, &repository))
            || fits(subject, &with_ids(&repository));
    }
    found
}

/// IAM's `StringLike`; what is compared with `StringEquals` has no wildcards.
fn fits(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            (0..=text.len()).filter(|end| text.is_char_boundary(*end)).any(|end| fits(&pattern[1..], &text[end..]))
        }
        (Some(one), Some(other)) if one == '?' || one == other => {
            fits(&pattern[one.len_utf8()..], &text[other.len_utf8()..])
        }
        _ => false,
    }
}

/// `o@1/r@2` as `o/r`; nothing where no id is written.
fn without_ids(subject: &str) -> Option<String> {
    let mut plain = String::new();
    let mut rest = subject;
    while let Some((before, behind)) = rest.split_once('@') {
        plain.push_str(before);
        rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == behind.len() {
            return None;
        }
    }
    plain.push_str(rest);
    subject.contains('@').then_some(plain)
}

/// As a wildcard has to stretch to: whatever the ids are.
fn with_ids(repository: &str) -> String {
    format!("{}@0", repository.replace('/', "@0/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_a_repository_in_either_form_and_not_its_neighbours() {
        for (policy, expected) in [
            (r#"["repo:o/r:ref:refs/heads/main"]"#, (true, false)),
            (r#"["repo:o@1/r@2:ref:refs/heads/main"]"#, (false, true)),
            (r#"["repo:o/r:pull_request","repo:o@1/r@2:pull_request"]"#, (true, true)),
            (
                r#"["repo:o/r2:pull_request","repo:o@1/r2@2:pull_request","repo:p/r:x","repo:oo@1/r@2:x"]"#,
                (false, false),
            ),
            // GitHub writes names in one case, and takes them in any.
            (r#"["repo:O/R:ref:refs/heads/main"]"#, (true, false)),
            (r#"["repo:O@1/R@2:ref:refs/heads/main"]"#, (false, true)),
            // Whole owners, and wildcards behind the name.
            (r#"["repo:o/*:ref:refs/heads/main"]"#, (true, false)),
            (r#"["repo:o/*"]"#, (true, false)),
            (r#"["repo:o@1/*:ref:refs/heads/main"]"#, (false, true)),
            (r#"["repo:o/*:pull_request","repo:o@1/*:pull_request"]"#, (true, true)),
            (r#"["repo:o/r*"]"#, (true, false)),
            (r#"["repo:o/?:*"]"#, (true, false)),
            (r#"["environment:live:repo:o/r"]"#, (true, false)),
            // These stretch over the ids, too.
            (r#"["repo:o*/r*:*"]"#, (true, true)),
            (r#"["repo:*"]"#, (true, true)),
            (r#"["repo:p/*","repo:o/x*"]"#, (false, false)),
            ("", (false, false)),
        ] {
            assert_eq!(forms(policy, "o", "r"), expected, "{policy}");
        }
    }
}
