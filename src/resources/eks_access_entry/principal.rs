//! Principals as IAM shows them, and the nearest ones to a principal that is not there.

use std::time::Duration;

use tokio::time::Instant;

use super::bound_role::check_declared_role;
use super::{AccessEntries, Principal, RoleMaker, Spec, is_role_of};
use crate::arn::Arn;
use crate::aws::{Backoff, CallError, ErrorKind, iam, marker, pages};
use crate::cloudformation::nearest::nearest_few;

/// The time for which IAM may show the former role of a name.
const VISIBLE_WITHIN: Duration = Duration::from_secs(20);

/// The kinds of principals that an entry may have.
#[derive(Clone, Copy)]
enum Kind {
    Role,
    User,
}

impl AccessEntries {
    /// The current role, if the principal is a role of this account.
    pub(super) async fn role(&self, principal: &str) -> Result<Option<Principal>, CallError> {
        let Some(name) = self.is_of_this_account(principal).then(|| Arn::parse(principal)?.role_name()).flatten()
        else {
            return Ok(None);
        };
        let request = self.iam.get_role().role_name(name);
        match self.deadline.call("iam:GetRole", name, || request.clone().send()).await {
            Ok(output) => {
                let role = iam::shown(output.role, "iam:GetRole", name)?;
                let maker = RoleMaker::of_tags(&iam::tags_of(role.tags));
                Ok(Some(Principal { created: role.create_date.secs(), role_id: role.role_id, maker }))
            }
            // EKS decides whether it takes the principal.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The role with the declared id. IAM may show the former one for some time. The entry follows no maker of roles then.
    pub(super) async fn declared_role(&self, spec: &Spec) -> Result<Option<Principal>, CallError> {
        let started = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let role = self.role(&spec.principal).await?;
            let is_former = check_declared_role(spec, role.as_ref()).is_err();
            let pause = backoff.pause();
            if !is_former || started.elapsed() > VISIBLE_WITHIN || !self.deadline.allows(pause) {
                return Ok(role.map(|role| Principal { maker: None, ..role }));
            }
            backoff.announce(&spec.principal, "IAM shows the role with another id", VISIBLE_WITHIN);
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns true if the principal is a role of this account, which IAM can show.
    pub(super) fn is_of_this_account(&self, principal: &str) -> bool {
        is_role_of(principal, &self.deployment)
    }

    /// Returns the error if the principal may become visible. A role or user of this account that IAM does not show is not
    /// waited for.
    ///
    /// # Errors
    /// When there is no such principal, with those that may be meant.
    pub(super) async fn without_principal(&self, error: CallError, principal: &str) -> Result<CallError, CallError> {
        let prefix = |kind| self.deployment.iam_arn(kind);
        let (kind, noun) = if principal.starts_with(&prefix("role/")) {
            (Kind::Role, "role")
        } else if principal.starts_with(&prefix("user/")) {
            (Kind::User, "user")
        } else {
            return Ok(error);
        };
        let name = principal.rsplit('/').next().unwrap_or_default();
        let found = match kind {
            Kind::Role => self.arn_of_role(name).await,
            Kind::User => self.arn_of_user(name).await,
        };
        let Ok(found) = found else { return Ok(error) };
        if found.as_deref() == Some(principal) {
            return Ok(error);
        }
        let near = match kind {
            Kind::Role => self.roles_near(name).await,
            Kind::User => self.users_near(name).await,
        };
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
        let message = format!("{} (there is no {noun} {principal}{hint})", error.message);
        Err(CallError { kind: ErrorKind::Invalid, message, ..error })
    }

    /// The ARN of the role of this name.
    async fn arn_of_role(&self, name: &str) -> Result<Option<String>, CallError> {
        let request = self.iam.get_role().role_name(name);
        match self.deadline.call("iam:GetRole", name, || request.clone().send()).await {
            Ok(output) => {
                let role = iam::shown(output.role, "iam:GetRole", name)?;
                Ok(Some(self.deployment.iam_arn(&format!("role{}{}", role.path, role.role_name))))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The ARN of the user of this name.
    async fn arn_of_user(&self, name: &str) -> Result<Option<String>, CallError> {
        let request = self.iam.get_user().user_name(name);
        match self.deadline.call("iam:GetUser", name, || request.clone().send()).await {
            Ok(output) => {
                let user = output.user.filter(|user| user.user_name.eq_ignore_ascii_case(name));
                let user = user.ok_or_else(|| CallError::empty_answer("iam:GetUser", name))?;
                Ok(Some(self.deployment.iam_arn(&format!("user{}{}", user.path, user.user_name))))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The ARNs of users with similar names.
    async fn users_near(&self, name: &str) -> Vec<String> {
        let users = pages(async |token| {
            let request = self.iam.list_users().set_marker(token);
            let page = self.deadline.call("iam:ListUsers", "*", || request.clone().send()).await?;
            let users = page.users.into_iter().map(|user| (user.user_name, user.path));
            Ok((users.collect(), marker(page.is_truncated, page.marker)))
        });
        self.near("user", name, &users.await.unwrap_or_default())
    }

    /// The ARNs of roles with similar names.
    async fn roles_near(&self, name: &str) -> Vec<String> {
        let roles = iam::list_roles(&self.iam, &self.deadline, |role| Some((role.role_name, role.path))).await;
        self.near("role", name, &roles.unwrap_or_default())
    }

    /// The ARNs of those, each with its path, whose names are similar.
    fn near(&self, kind: &str, name: &str, all: &[(String, String)]) -> Vec<String> {
        let names = nearest_few(name, all.iter().map(|(name, _)| name.as_str()));
        let near = all.iter().filter(|(name, _)| names.contains(&name.as_str()));
        near.map(|(name, path)| self.deployment.iam_arn(&format!("{kind}{path}{name}"))).collect()
    }
}
