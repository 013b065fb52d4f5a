//! Decisions about a variable or a secret. What somebody else made is not written unless the author says so; what holds the
//! declared value already needs nobody's permission. Nothing is deleted but what we made and nobody has changed since.

use super::GitHubVariables;
use crate::cloudformation::Attributes;
use crate::ownership::Owner;
use crate::reconcile::Planner;
use std::fmt;

use super::{Desired, Observed, PublicKey, Value, ValueKind, Visibility};
use crate::error::Refusal;
use crate::reconcile::Plan;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Create(VariableContent),
    Update(VariableContent),
    Delete { sort: ValueKind },
}

/// All that is written, in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableContent {
    pub(super) sort: ValueKind,
    pub(super) value: Value,
    pub(super) reach: Option<Visibility>,
    pub(super) key: Option<PublicKey>,
    pub(super) what: String,
}

/// The value is in no plan, because a plan is logged.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, content) = match self {
            Self::Create(content) => ("create", content),
            Self::Update(content) => ("set", content),
            Self::Delete { sort } => return write!(f, "delete the {sort}"),
        };
        let VariableContent { sort, value: _, reach, key, what: _ } = content;
        write!(f, "{verb} the {sort}")?;
        if let Some(Visibility { visibility, selected }) = reach {
            write!(f, " for {visibility} repositories {selected:?}")?;
        }
        match key {
            Some(key) => write!(f, ", sealed with key {}", key.id),
            None => Ok(()),
        }
    }
}

fn sort(observed: &Observed) -> ValueKind {
    if observed.value.is_some() { ValueKind::Variable } else { ValueKind::Secret }
}

impl Planner for GitHubVariables {
    fn plan(_: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        let Some(desired) = desired else {
            let delete = observed.filter(|observed| observed.ours && !observed.changed_by_others);
            return Ok(Plan::nothing().then(delete.map(|observed| Action::Delete { sort: sort(observed) })));
        };
        let Desired { name: _, sort, value, reach, adopt, asked, key, warning: _, what } = desired;
        let content = || VariableContent {
            sort: *sort,
            value: value.clone(),
            reach: reach.clone(),
            key: key.clone(),
            what: what.clone(),
        };
        let Some(observed) = observed else { return Ok(Plan::nothing().then([Action::Create(content())])) };
        let same_value = match &observed.value {
            Some(held) => held == value,
            // Written since this was asked for, and by whom else than an earlier attempt?
            None => (observed.ours || *adopt) && asked.precedes(observed.updated),
        };
        if same_value && observed.reach == *reach {
            return Ok(Plan::nothing());
        }
        if !observed.ours && !adopt {
            return Err(Refusal::Foreign {
                what: format!("the {what}"),
                owner: "it was there before, or was made by somebody else".to_owned(),
                remedy: "Delete it at GitHub, choose another `Name`, or take it over with `OnExisting: Adopt`",
            });
        }
        Ok(Plan::nothing().then([Action::Update(content())]))
    }

    fn step(observed: Option<Observed>, action: &Action, written: i64) -> Option<Observed> {
        let (VariableContent { sort, value, reach, key: _, what }, created, ours) = match action {
            Action::Create(content) => (content.clone(), written, true),
            Action::Update(content) => {
                let Observed { created, ours, .. } = observed?;
                (content.clone(), created, ours)
            }
            Action::Delete { .. } => return None,
        };
        let value = (sort == ValueKind::Variable).then_some(value);
        Some(Observed { value, reach, created, updated: written, ours, changed_by_others: false, what })
    }

    fn attributes(desired: &Desired, _: &Observed) -> Attributes {
        [("Name", desired.name.clone()), ("Warning", desired.warning.clone())].into()
    }
}
