//! Each action is one call of IAM, or of Secrets Manager; removing what is gone already succeeds.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{Role, SummaryKeyType};
use futures_util::future::{join, try_join, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use super::action::{Action, RoleCreateInput};
use super::applied_record::ADOPTED;
use super::permissions::ATTACHED_QUOTA;
use super::resolve::ResolvedTrust;
use super::{
    Created, Desired, GitHubRoles, Observed, RoleName, RoleSettings, Spec, environment_warnings, guardrail_checks,
    user_numbers, workflow_warnings,
};
use crate::aws::iam;
use crate::aws::{CallError, Deadline, ErrorKind, ignore_not_found, marker, pages};
use crate::deployment::Deployment;
use crate::error::{Error, Refusal};
use crate::iam_policy::document::decode;
use crate::iam_policy::trust_policy::TrustPolicy;
use crate::ownership::{HandOver, Owner, Takeover};
use crate::reconcile::{Api, Exclusive, ReadHint, Reader, Resource};
use crate::request_origin::{OwnedObject, Witness, removes};

/// The number of inline policies that are read at the same time.
const MAX_CONCURRENT_CALLS: usize = 4;

/// Attached policies, inline policies, instance profiles.
type Parts = (BTreeSet<String>, BTreeMap<String, Value>, BTreeSet<String>);

/// The expected result of the next observation.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadPlan {
    exists: bool,
    inline: BTreeSet<String>,
    /// True if the contents of inline policies do not matter.
    names_only: bool,
}

impl ReadPlan {
    pub(super) fn of(what: &ReadHint<'_, Spec>) -> Self {
        match what {
            ReadHint::Object(spec) => {
                Self { exists: true, inline: spec.inline.keys().cloned().collect(), names_only: false }
            }
            ReadHint::Deletion => Self { exists: true, inline: BTreeSet::new(), names_only: true },
        }
    }

    /// Expects the state after an action.
    fn after(&mut self, action: &Action) {
        match action {
            Action::Create { .. } => self.exists = true,
            Action::PutPolicy { name, document: _ } if !self.names_only => {
                self.inline.insert(name.clone());
            }
            Action::DeletePolicy(name) => {
                self.inline.remove(name);
            }
            Action::Delete => *self = Self::default(),
            _ => {}
        }
    }
}

impl Reader for GitHubRoles {
    type Sharing = Exclusive;

    async fn resolve_id(&self, id: RoleName, old: Option<&RoleName>) -> Result<RoleName, Error> {
        *self.former.borrow_mut() = old.cloned();
        match old.filter(|old| **old == id && old.0 != id.0) {
            Some(old) => Err(refuse_other_case(&old.0, &id.0)),
            None => Ok(id),
        }
    }

    fn prefetch(&self, what: ReadHint<'_, Spec>) {
        *self.read_plan.borrow_mut() = ReadPlan::of(&what);
    }

    async fn resolve(&self, owner: &Owner, id: &RoleName, spec: Spec) -> Result<Desired, Error> {
        let Spec { name: _, path, trust, settings, managed, inline, tags, adopt, take_over, repairs } = spec;
        let repairs = repairs.then(|| guardrail_checks::demands(&trust));
        if environment_warnings::asks_github(&trust) || !user_numbers::numbers(&trust).is_empty() {
            // Without a credential nothing is asked for a warning.
            let _ = self.github.prepare(&trust.issuer).await;
        }
        let warned = join(self.unprotected(&trust), self.untaken_audience(&trust));
        let (resolved, (unprotected, untaken)) = join(self.trust(owner, &id.0, &trust, tags.len()), warned).await;
        let ResolvedTrust { policy, names, warning } = resolved?;
        let warnings = [untaken, warning, unprotected, workflow_warnings::elsewhere(&trust)];
        let warning = warnings.into_iter().filter(|warning| !warning.is_empty()).collect::<Vec<_>>().join(". ");
        if !warning.is_empty() {
            tracing::warn!(warning, "the trust is written with a warning");
        }
        Ok(Desired {
            name: id.to_string(),
            path,
            trust: policy,
            settings,
            managed,
            inline,
            tags,
            adopt,
            take_over,
            repairs,
            hand_over: None,
            names,
            attached_quota: ATTACHED_QUOTA,
            warning,
        })
    }

    async fn ask_about_owners(
        &self,
        owner: &Owner,
        id: &RoleName,
        desired: &mut Desired,
        observed: &Observed,
    ) -> Result<(), CallError> {
        if let Some(gone) = self.gone_provider(&desired.trust, observed) {
            tracing::warn!(warning = gone, "the provider that a role trusts is gone");
            let others = std::mem::take(&mut desired.warning);
            desired.warning = [gone, others].into_iter().filter(|one| !one.is_empty()).collect::<Vec<_>>().join(". ");
        }
        if desired.managed.union(&observed.managed).count() > ATTACHED_QUOTA {
            desired.attached_quota = self.quota(SummaryKeyType::AttachedPoliciesPerRoleQuota, ATTACHED_QUOTA).await?;
        }
        let object = OwnedObject { resource_type: Self::TYPE, id: &id.0, tags: &observed.tags };
        let hand_over = self.witness().hand_over(&self.deployment, owner, object, desired.take_over).await?;
        // A role of that name that somebody else has made again has another trust, and may have permissions of theirs.
        let is_others = TrustPolicy::read(&observed.trust).is_none();
        desired.hand_over = hand_over.map(|hand_over| match hand_over {
            HandOver::Lost { .. } if is_others => HandOver::Replaced,
            other => other,
        });
        Ok(())
    }

    async fn is_kept(&self, owner: &Owner, observed: &Observed) -> Result<bool, CallError> {
        let is_taken_over = owner.owns(&observed.tags) && Takeover::of(&observed.tags).is_some();
        Ok(is_taken_over && !removes(&self.witness(), owner).await?)
    }

    /// The role with everything that hangs on it: all of that at once where there should be one, otherwise the role itself
    /// first, because most such looks find nothing.
    async fn observe(&self, id: &RoleName) -> Result<Option<Observed>, CallError> {
        let name = id.0.as_str();
        let read_plan = self.read_plan.borrow().clone();
        let parts = self.parts(name, &read_plan);
        let role =
            async { if self.first_look.initialized() { self.role(name).await } else { self.first_look(name).await } };
        let (role, parts) = if read_plan.exists {
            let (role, parts) = join(role, parts).await;
            let Some(role) = role? else { return Ok(None) };
            (role, parts)
        } else {
            let Some(role) = role.await? else { return Ok(None) };
            (role, parts.await)
        };
        // An adopted role is given back, for which the contents of its policies count.
        let is_adopted = role.tags().iter().any(|tag| tag.key() == ADOPTED);
        let parts = match parts {
            Ok((managed, _, profiles)) if is_adopted && read_plan.names_only => {
                let all = ReadPlan { names_only: false, ..read_plan };
                self.inline(name, &all).await.map(|inline| (managed, inline, profiles))
            }
            other => other,
        };
        match parts {
            Ok((managed, inline, instance_profiles)) => {
                let arn = arn(&self.deployment, &role.path, &role.role_name);
                Ok(Some(observed(role, managed, inline, instance_profiles, arn)))
            }
            // It went away between two looks.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Api for GitHubRoles {
    async fn apply(&self, id: &RoleName, action: &Action) -> Result<Option<Created>, CallError> {
        let name = id.0.as_str();
        let Self { iam, deadline, .. } = self;
        self.read_plan.borrow_mut().after(action);
        match action {
            Action::Create { input } => return self.create(input).await,
            Action::SetTrust(trust) => self.set_trust(name, trust).await,
            Action::SetDetails { description, max_session } => {
                let request = iam.update_role().role_name(name).description(description);
                let request = request.max_session_duration(max_session.cast_signed());
                deadline.call("iam:UpdateRole", name, || request.clone().send()).await.map(drop)
            }
            Action::SetBoundary(arn) => {
                let request = iam.put_role_permissions_boundary().role_name(name).permissions_boundary(arn);
                deadline.call("iam:PutRolePermissionsBoundary", name, || request.clone().send()).await.map(drop)
            }
            Action::DeleteBoundary => {
                let request = iam.delete_role_permissions_boundary().role_name(name);
                let action = "iam:DeleteRolePermissionsBoundary";
                ignore_not_found(deadline.call(action, name, || request.clone().send()).await)
            }
            Action::Attach(arn) => {
                let request = iam.attach_role_policy().role_name(name).policy_arn(arn);
                deadline.call("iam:AttachRolePolicy", name, || request.clone().send()).await.map(drop)
            }
            Action::Detach(arn) => {
                let request = iam.detach_role_policy().role_name(name).policy_arn(arn);
                ignore_not_found(deadline.call("iam:DetachRolePolicy", name, || request.clone().send()).await)
            }
            Action::PutPolicy { name: policy, document } => {
                let request =
                    iam.put_role_policy().role_name(name).policy_name(policy).policy_document(document.to_string());
                deadline.call("iam:PutRolePolicy", name, || request.clone().send()).await.map(drop)
            }
            Action::DeletePolicy(policy) => {
                let request = iam.delete_role_policy().role_name(name).policy_name(policy);
                ignore_not_found(deadline.call("iam:DeleteRolePolicy", name, || request.clone().send()).await)
            }
            Action::Tag(tags) => {
                let request = iam.tag_role().role_name(name).set_tags(Some(iam::tags(tags)));
                deadline.call("iam:TagRole", name, || request.clone().send()).await.map(drop)
            }
            Action::Untag(keys) => {
                let request = iam.untag_role().role_name(name).set_tag_keys(Some(keys.iter().cloned().collect()));
                ignore_not_found(deadline.call("iam:UntagRole", name, || request.clone().send()).await)
            }
            Action::LeaveInstanceProfile(profile) => self.leave(name, profile).await,
            Action::RestoreTrust(document) => self.write_trust(deadline.soon(), name, &document.to_string()).await,
            Action::GiveBack(action) => return self.give_back(id, action).await,
            Action::SaveDeclaration { record, is_kept } => self.save_declaration(record, *is_kept).await,
            Action::DeleteDeclaration => self.delete_declaration(name).await,
            Action::Delete => {
                let request = iam.delete_role().role_name(name);
                ignore_not_found(deadline.call("iam:DeleteRole", name, || request.clone().send()).await)
            }
        }?;
        Ok(None)
    }
}

impl GitHubRoles {
    pub(super) fn witness(&self) -> Witness<'_> {
        Witness { client: &self.cloudformation, deadline: self.deadline, clock: &self.github.clock }
    }

    async fn create(&self, input: &RoleCreateInput) -> Result<Option<Created>, CallError> {
        let RoleCreateInput { name, path, trust, settings, tags } = input;
        let RoleSettings { description, max_session, boundary } = settings;
        let request = self
            .iam
            .create_role()
            .role_name(name)
            .path(path)
            .assume_role_policy_document(trust.document().to_string())
            .set_description(description.clone())
            .set_max_session_duration(max_session.map(u32::cast_signed))
            .set_permissions_boundary(boundary.clone())
            .set_tags(Some(iam::tags(tags)));
        let create = async |deadline: Deadline| deadline.call("iam:CreateRole", name, || request.clone().send()).await;
        let output = match self.with_provider(trust, create).await {
            Err(error) if error.kind == ErrorKind::AlreadyExists => return Err(self.name_conflict(name, error).await),
            other => other?,
        };
        let role = iam::shown(output.role, "iam:CreateRole", name)?;
        Ok(Some(Created {
            arn: arn(&self.deployment, &role.path, &role.role_name),
            created: Some(role.create_date.secs()),
            role_id: role.role_id,
        }))
    }

    async fn leave(&self, name: &str, profile: &str) -> Result<(), CallError> {
        let request = self.iam.remove_role_from_instance_profile().role_name(name).instance_profile_name(profile);
        let action = "iam:RemoveRoleFromInstanceProfile";
        ignore_not_found(self.deadline.call(action, name, || request.clone().send()).await)
    }

    async fn set_trust(&self, name: &str, trust: &TrustPolicy) -> Result<(), CallError> {
        let document = trust.document().to_string();
        self.with_provider(trust, async |deadline| self.write_trust(deadline, name, &document).await).await
    }

    async fn write_trust(&self, deadline: Deadline, name: &str, document: &str) -> Result<(), CallError> {
        let request = self.iam.update_assume_role_policy().role_name(name).policy_document(document);
        deadline.call("iam:UpdateAssumeRolePolicy", name, || request.clone().send()).await.map(drop)
    }

    /// Gives a part of an adopted role back. A part that IAM refuses stays as it is: guardrails may have become stricter, and a
    /// principal or a policy may be gone. A deletion that failed would keep the stack from ever going.
    async fn give_back(&self, id: &RoleName, action: &Action) -> Result<Option<Created>, CallError> {
        use ErrorKind::{Denied, Invalid, NotFound, Propagating, Quota};
        match Box::pin(self.apply(id, action)).await {
            Err(error) if matches!(error.kind, Denied | Invalid | NotFound | Propagating | Quota) => {
                tracing::warn!(role = %id, %action, %error, "a part of an adopted role could not be given back");
                Ok(None)
            }
            other => other,
        }
    }

    /// Returns the role as the first look showed it. Questions at the same time share one look.
    pub(super) async fn first_look(&self, name: &str) -> Result<Option<Role>, CallError> {
        let look = async || Ok::<_, CallError>((name.to_owned(), self.role(name).await?));
        let (known, role) = self.first_look.get_or_try_init(look).await?;
        if known == name { Ok(role.clone()) } else { self.role(name).await }
    }

    pub(super) async fn role(&self, name: &str) -> Result<Option<Role>, CallError> {
        let request = self.iam.get_role().role_name(name);
        match self.deadline.call("iam:GetRole", name, || request.clone().send()).await {
            Ok(output) => iam::shown(output.role, "iam:GetRole", name).map(Some),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn parts(&self, name: &str, read_plan: &ReadPlan) -> Result<Parts, CallError> {
        try_join3(self.attached(name), self.inline(name, read_plan), self.instance_profiles(name)).await
    }

    /// Names the role of another case that keeps a role from being created: `GetRole` does not find it.
    async fn name_conflict(&self, name: &str, error: CallError) -> CallError {
        match self.other_case(name).await {
            Ok(Some(other)) => CallError {
                kind: ErrorKind::Invalid,
                message: format!(
                    "there is the role {other}, whose name differs from {name} in case only, and IAM does not distinguish \
                     the case of role names: choose another `RoleName`"
                ),
                ..error
            },
            Ok(None) | Err(_) => error,
        }
    }

    /// Returns the role whose name differs in case only.
    async fn other_case(&self, name: &str) -> Result<Option<String>, CallError> {
        let same = |other: &String| other != name && other.eq_ignore_ascii_case(name);
        let others = iam::list_roles(&self.iam, &self.deadline, |role| Some(role.role_name).filter(same)).await?;
        Ok(others.into_iter().next())
    }

    pub(super) async fn attached(&self, name: &str) -> Result<BTreeSet<String>, CallError> {
        let arns = pages(async |token| {
            let request = self.iam.list_attached_role_policies().role_name(name).set_marker(token);
            let page = self.deadline.call("iam:ListAttachedRolePolicies", name, || request.clone().send()).await?;
            let arns = page.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn);
            Ok((arns.collect(), marker(page.is_truncated, page.marker)))
        })
        .await?;
        Ok(arns.into_iter().collect())
    }

    pub(super) async fn inline(&self, name: &str, read_plan: &ReadPlan) -> Result<BTreeMap<String, Value>, CallError> {
        let read = |policies: BTreeSet<String>| {
            let read = policies.into_iter().map(|policy| self.inline_policy(name, policy));
            let read = stream::iter(read).buffer_unordered(MAX_CONCURRENT_CALLS);
            read.try_filter_map(|policy| async { Ok(policy) }).try_collect::<BTreeMap<_, _>>()
        };
        let (names, known) = try_join(self.inline_names(name), read(read_plan.inline.clone())).await?;
        if read_plan.names_only {
            return Ok(names.into_iter().map(|name| (name, Value::Null)).collect());
        }
        let (there, others): (BTreeSet<_>, BTreeSet<_>) = names.into_iter().partition(|name| known.contains_key(name));
        let mut policies = read(others).await?;
        policies.extend(known.into_iter().filter(|(name, _)| there.contains(name)));
        Ok(policies)
    }

    async fn inline_names(&self, name: &str) -> Result<BTreeSet<String>, CallError> {
        let names = pages(async |token| {
            let request = self.iam.list_role_policies().role_name(name).set_marker(token);
            let page = self.deadline.call("iam:ListRolePolicies", name, || request.clone().send()).await?;
            Ok((page.policy_names, marker(page.is_truncated, page.marker)))
        })
        .await?;
        Ok(names.into_iter().collect())
    }

    async fn inline_policy(&self, name: &str, policy: String) -> Result<Option<(String, Value)>, CallError> {
        let request = self.iam.get_role_policy().role_name(name).policy_name(&policy);
        let resource = format_args!("{name}/{policy}").to_string();
        match self.deadline.call("iam:GetRolePolicy", &resource, || request.clone().send()).await {
            Ok(output) => Ok(Some((policy, decode(&output.policy_document).unwrap_or(Value::Null)))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn instance_profiles(&self, name: &str) -> Result<BTreeSet<String>, CallError> {
        let names = pages(async |token| {
            let request = self.iam.list_instance_profiles_for_role().role_name(name).set_marker(token);
            let page = self.deadline.call("iam:ListInstanceProfilesForRole", name, || request.clone().send()).await?;
            let names = page.instance_profiles.into_iter().map(|profile| profile.instance_profile_name);
            Ok((names.collect(), marker(page.is_truncated, page.marker)))
        })
        .await?;
        Ok(names.into_iter().collect())
    }
}

/// Refuses a name that differs from the old one in case only.
fn refuse_other_case(old: &str, new: &str) -> Error {
    Error::Refused(Refusal::Immutable {
        what: format!("the name of {old}"),
        from: old.to_owned(),
        to: new.to_owned(),
        remedy: "AWS takes both for the same name; choose one that differs in more than case",
    })
}

pub(super) fn observed(
    role: Role,
    managed: BTreeSet<String>,
    inline: BTreeMap<String, Value>,
    instance_profiles: BTreeSet<String>,
    arn: String,
) -> Observed {
    Observed {
        arn,
        name: role.role_name,
        role_id: role.role_id,
        path: role.path,
        trust: role.assume_role_policy_document.as_deref().and_then(decode).unwrap_or(Value::Null),
        description: role.description.unwrap_or_default(),
        max_session: role.max_session_duration.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or_default(),
        boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
        managed,
        inline,
        instance_profiles,
        tags: iam::tags_of(role.tags),
        created: Some(role.create_date.secs()),
    }
}

/// A role's ARN. The one that IAM gives for a new role may not be one for a while (terraform-provider-aws waits for it to
/// begin with `arn:`), and it says nothing that path and name do not.
fn arn(deployment: &Deployment, path: &str, name: &str) -> String {
    deployment.iam_arn(&format!("role{path}{name}"))
}
