//! The effect of an action on an entry.

use std::collections::BTreeSet;

use super::action::{Action, EntryCreateInput};
use super::state::Observed;
use crate::ownership::described_tags;

pub(super) fn of(before: Option<&Observed>, action: &Action) -> String {
    let content = before.and_then(|before| before.entry.as_ref()).map(|entry| &entry.content);
    match action {
        Action::Create { input } => {
            let EntryCreateInput { cluster, principal, entry_type, username, groups, tags: _ } = input.as_ref();
            let username = username.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
            let groups = if groups.is_empty() { String::new() } else { format!(", in the groups {}", list(groups)) };
            format!("let {principal} into the cluster {cluster}{username} by a {entry_type} entry{groups}")
        }
        Action::Update { username, groups } => {
            let mut parts = Vec::new();
            if let Some(new) = username {
                let old = content.map(|content| content.username.as_str()).unwrap_or_default();
                parts.push(format!("change the username from {old} to {new}"));
            }
            if let Some(new) = groups {
                let old = content.map(|content| content.groups.clone()).unwrap_or_default();
                let (come, go): (BTreeSet<_>, BTreeSet<_>) =
                    (new.difference(&old).cloned().collect(), old.difference(new).cloned().collect());
                if !come.is_empty() {
                    parts.push(format!("add to the groups {}", list(&come)));
                }
                if !go.is_empty() {
                    parts.push(format!("take out of the groups {}", list(&go)));
                }
            }
            parts.join("; ")
        }
        Action::Associate { policy, scope } => match content.and_then(|content| content.policies.get(policy)) {
            Some(old) => format!("change the scope of {policy} from {old} to {scope}"),
            None => format!("give {policy} in {scope}"),
        },
        Action::Disassociate(policy) => match content.and_then(|content| content.policies.get(policy)) {
            Some(old) => format!("take away {policy} in {old}"),
            None => format!("take away {policy}"),
        },
        Action::GiveBack(action) => format!("give back: {}", of(before, action)),
        Action::Tag { arn: _, tags } => described_tags("write", tags.keys()),
        Action::Untag { arn: _, keys } => described_tags("remove", keys),
        other => other.to_string(),
    }
}

fn list(items: &BTreeSet<String>) -> String {
    items.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
