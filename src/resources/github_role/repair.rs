//! The repair of a role that somebody changed by hand, by the record of its last declaration (`OnDrift: Repair`).
//!
//! The record counts while the role's tags hold its digest, and while the stack is at rest. An Update that asks for something
//! else takes the digest away before its first other change. Both are looked at again before each call, and no call is made
//! again without that look.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_iam::types::SummaryKeyType;
use tokio::time::Instant;

use super::api::{ReadPlan, observed};
use super::applied_record::{ON_DRIFT, RoleRecord, digest_of};
use super::declaration_record::DeclarationRecord;
use super::guardrail_checks;
use super::hand_changes::hand_changes;
use super::name_record::NameRecord;
use super::permissions::ATTACHED_QUOTA;
use super::{Action, Created, Desired, GitHubRoles, Observed, RoleName};
use crate::aws::{Backoff, CallError, ErrorKind, iam};
use crate::cloudformation::StackId;
use crate::error::rendered;
use crate::guardrails::Guardrails;
use crate::ownership::{Owner, Tags};
use crate::reconcile::{Api, Plan, Planner, Resource};
use crate::request_origin::{is_in_progress, stack_status};

/// The number of times that a role is repaired whose declaration changes meanwhile.
const ROUNDS: usize = 3;
/// The number of times that a call is made whose failure passes.
const ATTEMPTS: usize = 5;
/// The time for which a stack is waited for that began to work during a repair.
const WAIT: Duration = Duration::from_mins(5);
/// The interval of looks at it.
const WATCH_INTERVAL: Duration = Duration::from_secs(10);
/// The states of a stack whose resources are as it declared them last.
const AT_REST: [&str; 5] =
    ["CREATE_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"];
/// The remedy where an Update writes what is missing.
const UPDATE: &str = "update the stack, with another `ServiceTimeout` of the role if nothing else changes";
/// The remedy where an Update takes the record for written.
const ANEW: &str = "update the stack with `OnDrift: Report`, and then with `OnDrift: Repair`";
/// The remedy where CloudFormation does not show the role.
const ELSEWHERE: &str = "the function in the region of the stack repairs it; delete a role that no stack has";

/// The repair of roles in a scheduled run.
#[derive(Clone, Copy, Debug)]
pub struct Repairs<'a> {
    /// The calls for roles. Each is made once, so that it is decided anew before it is made again.
    pub once: &'a GitHubRoles,
    /// The permissions of the deployment.
    pub guardrails: &'a Guardrails,
}

/// The end of a repair.
#[derive(Debug)]
pub(super) enum Repaired {
    /// The role, as it is now.
    Done(Box<Observed>),
    /// The stack is about to change the role, or has changed or deleted it meanwhile.
    Overtaken,
    /// The reason for which the role stays as it is, and the remedy.
    Left(String),
}

/// The state of a role and its stack.
#[derive(Debug, PartialEq, Eq)]
enum Stand {
    /// The stack is at rest, and the record that was read still counts.
    Same,
    /// The role has another declaration by now, or another owner.
    Other,
    AtWork,
    /// The reason for which a repair may not begin, and the remedy.
    Unsettled(String),
}

/// Returns true if the stack of a role asks for its repair.
pub(super) fn is_wanted(role: &Observed) -> bool {
    RoleRecord::read(&role.tags).settings.contains(ON_DRIFT)
}

impl Repairs<'_> {
    /// Repairs a role.
    ///
    /// # Errors
    /// When a call fails. The role may be repaired in part.
    pub(super) async fn repair(
        &self,
        roles: &GitHubRoles,
        owner: &Owner,
        mut role: Observed,
    ) -> Result<Repaired, CallError> {
        for _ in 0..ROUNDS {
            let found = role.clone();
            let stand = match stand_of_stack(roles, owner).await {
                Stand::Same => match self.plan(roles, owner, &role).await? {
                    Ok(plan) => self.carry_out(roles, owner, &mut role, &plan).await?,
                    Err(why) => return Ok(Repaired::Left(why)),
                },
                other => other,
            };
            match stand {
                Stand::Same => return Ok(Repaired::Done(Box::new(role))),
                Stand::AtWork if role == found => return Ok(Repaired::Overtaken),
                // The stack may leave the role as it is, half repaired.
                Stand::AtWork if !is_soon_at_rest(roles, owner).await => {
                    return Ok(Repaired::Left(
                        "its stack began to work during the repair: the next run goes on".to_owned(),
                    ));
                }
                Stand::Unsettled(why) => return Ok(Repaired::Left(why)),
                Stand::AtWork | Stand::Other => {}
            }
            match roles.owned(&role.name).await? {
                Some((now, changed)) if now == *owner && is_wanted(&changed) && !hand_changes(&changed).is_empty() => {
                    role = changed;
                }
                _ => return Ok(Repaired::Overtaken),
            }
        }
        Ok(Repaired::Left(format!("its declaration changed {ROUNDS} times meanwhile: the next run looks again")))
    }

    /// The plan that makes a role as it was declared, or the reason for which there is none.
    async fn plan(
        &self,
        roles: &GitHubRoles,
        owner: &Owner,
        role: &Observed,
    ) -> Result<Result<Plan<Action>, String>, CallError> {
        if let Some(why) = not_of_stack(roles, owner, &role.name).await {
            return Ok(Err(why));
        }
        let record = RoleRecord::read(&role.tags);
        let Some(digest) = record.declared.get(ON_DRIFT) else {
            return Ok(Err(format!("its last Update did not end: {UPDATE}")));
        };
        let Some(text) = roles.kept_declaration(&role.name).await? else {
            return Ok(Err(format!("the secret with its declaration is gone: {ANEW}")));
        };
        if digest_of(&text) != *digest {
            return Ok(Err(format!("the secret holds another declaration than its tags tell of: {ANEW}")));
        }
        let kept = DeclarationRecord::read(&text).filter(|kept| kept.is_of(owner, role));
        let names = NameRecord::read(&role.tags);
        let Some(mut desired) = kept.and_then(|kept| kept.desired(names, ATTACHED_QUOTA)) else {
            return Ok(Err(format!("the secret holds no declaration of this role that can be read: {ANEW}")));
        };
        // Who may tag a role could have parts taken away that are not ours, such as a boundary.
        if !record.is_like(&RoleRecord::of(owner, &desired)) {
            return Ok(Err(format!("its tags do not tell of its declaration: {UPDATE}")));
        }
        if let Err(why) = self.permitted(roles, owner, &desired) {
            return Ok(Err(why));
        }
        if desired.managed.union(&role.managed).count() > ATTACHED_QUOTA {
            desired.attached_quota = roles.quota(SummaryKeyType::AttachedPoliciesPerRoleQuota, ATTACHED_QUOTA).await?;
        }
        Ok(GitHubRoles::plan(owner, Some(&desired), Some(role)).map_err(|refusal| refusal.to_string()))
    }

    /// Checks a declaration as a request of today would be checked.
    fn permitted(&self, roles: &GitHubRoles, owner: &Owner, desired: &Desired) -> Result<(), String> {
        let unreadable = || format!("its declaration names no issuer or no stack: {ANEW}");
        let stack = StackId::parse(owner.stack_id()).map_err(|_malformed| unreadable())?;
        let checks = guardrail_checks::of_kept(desired).ok_or_else(unreadable)?;
        let guardrails = self.guardrails.at(roles.github.clock.now(), owner.logical_id());
        let account = guardrails.check_account(stack.account(), &roles.deployment);
        let checked = account.and_then(|()| guardrails.check(&checks, &stack, &roles.deployment));
        checked.map_err(|refusal| format!("the guardrails of today forbid its declaration: {refusal}"))
    }

    /// Applies a plan while the role and its stack stay as they are. `role` is the state after the last call.
    async fn carry_out(
        &self,
        roles: &GitHubRoles,
        owner: &Owner,
        role: &mut Observed,
        plan: &Plan<Action>,
    ) -> Result<Stand, CallError> {
        let found = role.clone();
        for (calls, action) in plan.actions().enumerate() {
            match self.apply_decided(roles, owner, &found, action).await? {
                Ok(output) => {
                    if let Some(next) = GitHubRoles::step(Some(role.clone()), action, output) {
                        *role = next;
                    }
                }
                Err(stand) => {
                    tell_overtaken(owner, &found.name, &stand, calls);
                    return Ok(stand);
                }
            }
        }
        let stand = stand(roles, owner, &found).await?;
        tell_overtaken(owner, &found.name, &stand, plan.actions().count());
        Ok(stand)
    }

    /// Applies an action after a look at the role and its stack, and again after another look if the call fails for a reason
    /// that passes.
    async fn apply_decided(
        &self,
        roles: &GitHubRoles,
        owner: &Owner,
        found: &Observed,
        action: &Action,
    ) -> Result<Result<Option<Created>, Stand>, CallError> {
        use ErrorKind::{Busy, Throttled, Unknown};
        let (id, mut backoff, mut attempts) = (RoleName(found.name.clone()), Backoff::new(), 0);
        loop {
            let stand = stand(roles, owner, found).await?;
            if stand != Stand::Same {
                return Ok(Err(stand));
            }
            tracing::info!(role = found.name, %action, "repairing a role");
            let pause = backoff.pause();
            attempts += 1;
            match self.once.apply(&id, action).await {
                Err(error)
                    if matches!(error.kind, Busy | Throttled | Unknown)
                        && attempts < ATTEMPTS
                        && roles.deadline.allows(pause) =>
                {
                    tokio::time::sleep(pause).await;
                }
                other => return other.map(Ok),
            }
        }
    }
}

/// Tells of a repair that the stack overtook. A call that was under way may have come after those of the Update.
fn tell_overtaken(owner: &Owner, role: &str, stand: &Stand, calls: usize) {
    if calls > 0 && matches!(stand, Stand::AtWork | Stand::Other) {
        let stack = owner.stack_id();
        tracing::warn!(
            role,
            stack,
            calls,
            "the stack of a role began to change it while it was repaired: look whether it has a policy of its former \
             declaration"
        );
    }
}

/// The state of a stack.
async fn stand_of_stack(roles: &GitHubRoles, owner: &Owner) -> Stand {
    match stack_status(&roles.cloudformation, &roles.deadline, owner.stack_id()).await {
        Ok(Some(status)) if is_in_progress(&status) => Stand::AtWork,
        Ok(Some(status)) if AT_REST.contains(&status.as_str()) => Stand::Same,
        Ok(Some(status)) => {
            Stand::Unsettled(format!("its stack is in {status}: update the stack, or end its rollback"))
        }
        Ok(None) => Stand::Unsettled(format!("CloudFormation shows no such stack here: {ELSEWHERE}")),
        Err(error) => Stand::Unsettled(format!("CloudFormation does not tell of its stack: {}", rendered(&error))),
    }
}

/// Returns true once a stack is no longer at work, and false if it works for long.
async fn is_soon_at_rest(roles: &GitHubRoles, owner: &Owner) -> bool {
    let end = Instant::now() + WAIT;
    while Instant::now() < end && roles.deadline.allows(WATCH_INTERVAL) {
        tokio::time::sleep(WATCH_INTERVAL).await;
        if stand_of_stack(roles, owner).await != Stand::AtWork {
            return true;
        }
    }
    false
}

/// The state of a role and its stack, beside the role that was found.
async fn stand(roles: &GitHubRoles, owner: &Owner, found: &Observed) -> Result<Stand, CallError> {
    let of_stack = stand_of_stack(roles, owner).await;
    if of_stack != Stand::Same {
        return Ok(of_stack);
    }
    let Some(now) = roles.role(&found.name).await? else { return Ok(Stand::Other) };
    let (role_id, tags) = (now.role_id, iam::tags_of(now.tags));
    let is_same = role_id == found.role_id && owner.owns(&tags);
    let declared = |tags: &Tags| RoleRecord::read(tags).declared.remove(ON_DRIFT);
    Ok(if is_same && declared(&tags) == declared(&found.tags) { Stand::Same } else { Stand::Other })
}

/// Returns the reason for which a role is not repaired that CloudFormation does not show as its owner's.
async fn not_of_stack(roles: &GitHubRoles, owner: &Owner, role: &str) -> Option<String> {
    match roles.witness().has(owner, GitHubRoles::TYPE, role).await {
        Ok(true) => None,
        Ok(false) => {
            let logical_id = owner.logical_id();
            Some(format!("CloudFormation does not show it as {logical_id} of its stack: {ELSEWHERE}"))
        }
        Err(error) => Some(format!("CloudFormation does not tell of its stack: {}", rendered(&error))),
    }
}

impl GitHubRoles {
    /// A role that carries an owner's tags, with the kinds of policies that its stack declared.
    pub(super) async fn owned(&self, name: &str) -> Result<Option<(Owner, Observed)>, CallError> {
        // It may have been deleted between two reads.
        let Some(role) = self.role(name).await? else { return Ok(None) };
        let tags = iam::tags_of(role.tags.clone());
        let Some(owner) = Owner::of_tags(&tags) else { return Ok(None) };
        let record = RoleRecord::read(&tags);
        let managed = if record.managed.is_empty() { BTreeSet::new() } else { self.attached(name).await? };
        let inline =
            if record.inline.is_empty() { BTreeMap::new() } else { self.inline(name, &ReadPlan::default()).await? };
        let arn = role.arn.clone();
        Ok(Some((owner, observed(role, managed, inline, BTreeSet::new(), arn))))
    }
}
