//! Decisions about a variable or a secret. An object of somebody else is not written unless the author says so; if it holds the
//! declared value already, no write is needed. An object is deleted only if we created it and nobody has changed it since.

use std::fmt;

use super::{Desired, GitHubVariables, Observed, PublicKey, RepositoryVisibility, Value, ValueKind};
use crate::cloudformation::Attributes;
use crate::error::Refusal;
use crate::github::ownership_by_creation::CreationWindow;
use crate::ownership::Owner;
use crate::readable_list::list;
use crate::reconcile::{Plan, Planner};

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Create(VariableContent),
    Update(VariableContent),
    Delete { kind: ValueKind },
}

/// The content that one call writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableContent {
    pub(super) kind: ValueKind,
    pub(super) value: Value,
    pub(super) visibility: Option<RepositoryVisibility>,
    pub(super) key: Option<PublicKey>,
    pub(super) what: String,
}

/// The value is in no plan, because a plan is logged.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, content) = match self {
            Self::Create(content) => ("create", content),
            Self::Update(content) => ("set", content),
            Self::Delete { kind } => return write!(f, "delete the {kind}"),
        };
        let VariableContent { kind, value: _, visibility, key, what: _ } = content;
        write!(f, "{verb} the {kind}")?;
        if let Some(RepositoryVisibility { level, selected }) = visibility {
            write!(f, " for {level} repositories")?;
            if !selected.is_empty() {
                write!(f, " {}", list(selected))?;
            }
        }
        match key {
            Some(key) => write!(f, ", sealed with key {}", key.id),
            None => Ok(()),
        }
    }
}

fn kind(observed: &Observed) -> ValueKind {
    if observed.value.is_some() { ValueKind::Variable } else { ValueKind::Secret }
}

impl Planner for GitHubVariables {
    fn plan(_: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        let Some(desired) = desired else {
            let delete = observed.filter(|observed| observed.ours && !observed.changed_by_others);
            return Ok(Plan::nothing().then(delete.map(|observed| Action::Delete { kind: kind(observed) })));
        };
        let Desired { name: _, kind, value, visibility, adopt, requested, key, warning: _, what } = desired;
        let content = || VariableContent {
            kind: *kind,
            value: value.clone(),
            visibility: visibility.clone(),
            key: key.clone(),
            what: what.clone(),
        };
        let Some(observed) = observed else { return Ok(Plan::nothing().then([Action::Create(content())])) };
        let same_value = match &observed.value {
            Some(current) => current == value,
            // A write since the request is that of an earlier attempt.
            None => (observed.ours || *adopt) && requested.precedes(observed.updated),
        };
        if same_value && observed.visibility == *visibility {
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
        let (VariableContent { kind, value, visibility, key: _, what }, made) = match action {
            Action::Create(content) => (content.clone(), None),
            Action::Update(content) => (content.clone(), Some(observed?)),
            Action::Delete { .. } => return None,
        };
        let (created, ours) = made.as_ref().map_or((written, true), |made| (made.created, made.ours));
        let requested = made.map_or(CreationWindow::at(written), |made| made.requested);
        let value = (kind == ValueKind::Variable).then_some(value);
        let changed_by_others = false;
        Some(Observed { value, visibility, created, updated: written, requested, ours, changed_by_others, what })
    }

    fn attributes(desired: &Desired, _: &Observed) -> Attributes {
        [("Name", desired.name.clone()), ("Warning", desired.warning.clone())].into()
    }
}
