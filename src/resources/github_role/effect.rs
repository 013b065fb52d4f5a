//! The effect of an action on a role: the subjects that come and go, and the permissions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::action::RoleCreateInput;
use super::{Action, Observed, RoleSettings};
use crate::iam_policy::document::{one_or_many, statements};
use crate::iam_policy::pattern::Pattern;
use crate::iam_policy::trust_policy::{TrustPolicy, TrustRule};
use crate::ownership::described_tags;

/// The number of items that are named in one line.
const NAMED: usize = 8;

pub(super) fn of(before: Option<&Observed>, action: &Action) -> String {
    match action {
        Action::Create { input } => {
            let RoleCreateInput { name, path, trust, settings, tags: _ } = input.as_ref();
            let RoleSettings { description: _, max_session: _, boundary } = settings;
            let boundary = boundary.as_ref().map(|arn| format!(", with boundary {arn}")).unwrap_or_default();
            let path = path.trim_start_matches('/');
            format!("create the role {path}{name}{boundary}, and let in {}", rules(trust.rules()))
        }
        Action::SetTrust(trust) => match before.map(|before| TrustPolicy::read(&before.trust)) {
            Some(Some(old)) => trust_difference(&old, trust),
            _ => format!("replace a trust policy of others by one that lets in {}", rules(trust.rules())),
        },
        Action::Attach(arn) => format!("give the permissions of {arn}"),
        Action::Detach(arn) => format!("take away the permissions of {arn}"),
        Action::PutPolicy { name, document } => {
            let old = before.and_then(|before| before.inline.get(name));
            let verb = if old.is_some() { "change" } else { "add" };
            let was = old
                .filter(|old| !old.is_null())
                .map(|old| format!(" (until now: {})", permissions(old)))
                .unwrap_or_default();
            format!("{verb} the inline policy \"{name}\": {}{was}", permissions(document))
        }
        Action::DeletePolicy(name) => {
            let old = before.and_then(|before| before.inline.get(name));
            let lost = old.map(|old| format!(", until now: {}", permissions(old))).unwrap_or_default();
            format!("delete the inline policy \"{name}\"{lost}")
        }
        Action::RestoreTrust(document) => format!("the trust policy {document}"),
        Action::GiveBack(action) => format!("give back: {}", of(before, action)),
        Action::SaveDeclaration { record: _, is_kept: _ } => {
            "keep the declaration in a secret, so that changes by hand are repaired".to_owned()
        }
        Action::Tag(tags) => described_tags("write", tags.keys()),
        Action::Untag(keys) => described_tags("remove", keys),
        Action::Delete => {
            let trust = before.and_then(|before| TrustPolicy::read(&before.trust));
            let shut = trust.map(|trust| format!(", which lets in {}", rules(trust.rules()))).unwrap_or_default();
            format!("delete the role{shut}")
        }
        other => other.to_string(),
    }
}

/// The moment that an action gives up beside and before these others, and why.
pub(super) fn moment(before: Option<&Observed>, action: &Action, others: &[&Action]) -> Option<&'static str> {
    let comes = |is: fn(&Action) -> bool| others.iter().any(|action| is(action));
    match action {
        Action::Detach(_) | Action::DeletePolicy(_)
            if comes(|action| matches!(action, Action::Attach(_) | Action::PutPolicy { .. })) =>
        {
            Some(if comes(|action| matches!(action, Action::SetBoundary(_))) {
                "what old and new policies both allow is missing for a few calls, because nobody can tell which of two \
                 boundaries is wider"
            } else {
                "what old and new policies both allow is missing for a few calls, because a role has no room for both"
            })
        }
        Action::PutPolicy { name, document }
            if before.is_some_and(|before| moves(before, (name, document), others)) =>
        {
            Some(
                "what moves from it to another inline policy is missing for a few calls, because IAM changes one policy at a time",
            )
        }
        Action::SetTrust(trust)
            if *trust == trust.deny_all() && comes(|action| matches!(action, Action::SetTrust(_))) =>
        {
            Some(
                "nobody is let in until the permissions have changed, because no policy lets in what both trusts let in",
            )
        }
        _ => None,
    }
}

/// Returns true if a policy loses a statement that allows what one of the others comes to allow.
fn moves(before: &Observed, (name, document): (&String, &Value), others: &[&Action]) -> bool {
    let lost = allowed_beyond(before.inline.get(name), Some(document));
    others.iter().any(|other| match other {
        Action::PutPolicy { name: to, document } => {
            let come = allowed_beyond(Some(document), before.inline.get(to));
            lost.iter().any(|lost| come.iter().any(|come| overlap(lost, come)))
        }
        _ => false,
    })
}

/// The statements of a policy that allow something, and that another one does not have.
fn allowed_beyond<'a>(document: Option<&'a Value>, other: Option<&Value>) -> Vec<&'a Value> {
    let others = other.map(statements).unwrap_or_default();
    let all = document.map(statements).unwrap_or_default();
    all.iter().filter(|statement| statement["Effect"] == "Allow" && !others.contains(statement)).collect()
}

/// Returns true if two statements may allow the same. Exclusions and conditions count as wildcards.
fn overlap(one: &Value, other: &Value) -> bool {
    let patterns = |statement: &Value, name: &str| match statement.get(name) {
        None => vec![Pattern::written("*")],
        values => one_or_many(values)
            .iter()
            .filter_map(Value::as_str)
            .map(|text| Pattern::written(&text.to_lowercase()))
            .collect(),
    };
    ["Action", "Resource"].into_iter().all(|name| {
        let (one, other) = (patterns(one, name), patterns(other, name));
        one.iter().any(|one| other.iter().any(|other| one.overlaps(other)))
    })
}

fn trust_difference(old: &TrustPolicy, new: &TrustPolicy) -> String {
    let mut parts = Vec::new();
    if old.provider_arn != new.provider_arn {
        parts.push(format!("trust {} in place of {}", new.provider_arn, old.provider_arn));
    }
    if old.audience != new.audience {
        parts.push(format!("ask for the audience {} in place of {}", new.audience, old.audience));
    }
    let come: BTreeSet<&TrustRule> = new.rules().difference(old.rules()).collect();
    let go: BTreeSet<&TrustRule> = old.rules().difference(new.rules()).collect();
    let also = if go.is_empty() { "also let in" } else { "let in" };
    if !go.is_empty() {
        parts.push(format!("no longer let in {}", rules(go)));
    }
    if !come.is_empty() {
        parts.push(format!("{also} {}", rules(come)));
    }
    if parts.is_empty() { "write the trust policy in our form".to_owned() } else { parts.join("; ") }
}

fn rules<'a>(rules: impl IntoIterator<Item = &'a TrustRule>) -> String {
    list(rules.into_iter().map(ToString::to_string).collect())
}

fn list(items: Vec<String>) -> String {
    let more = items.len().saturating_sub(NAMED);
    let mut named: Vec<String> = items.into_iter().take(NAMED).collect();
    match (named.is_empty(), more) {
        (true, _) => "nobody".to_owned(),
        (false, 0) => named.join(", "),
        (false, more) => {
            named.push(format!("{more} more"));
            named.join(", ")
        }
    }
}

/// The statements of a policy, one after the other.
fn permissions(document: &Value) -> String {
    let words = |statement: &Value, name: &str| {
        let values = one_or_many(statement.get(name)).iter().map(|value| value.as_str().unwrap_or("?").to_owned());
        list(values.collect())
    };
    let statement = |statement: &Value| {
        let effect = if statement["Effect"] == "Deny" { "deny" } else { "allow" };
        let actions = if statement.get("NotAction").is_some() {
            format!("everything but {}", words(statement, "NotAction"))
        } else {
            words(statement, "Action")
        };
        let resources = if statement.get("NotResource").is_some() {
            format!("everything but {}", words(statement, "NotResource"))
        } else {
            words(statement, "Resource")
        };
        let condition = if statement.get("Condition").is_some() { ", under conditions" } else { "" };
        format!("{effect} {actions} on {resources}{condition}")
    };
    list(statements(document).iter().map(statement).collect())
}
