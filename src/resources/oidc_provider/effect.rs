//! The effect of an action on a provider.

use super::Observed;
use super::action::Action;
use super::owner_stakes::{LEAVING, claim, is_claim};
use crate::ownership::described_tags;

pub(super) fn of(before: Option<&Observed>, action: &Action) -> String {
    match action {
        Action::Create { url, arn: _, client_ids, thumbprints: _, tags: _ } => {
            let audiences: Vec<&str> = client_ids.iter().map(String::as_str).collect();
            format!("create a provider for {url}, for tokens that are meant for {}", audiences.join(", "))
        }
        Action::AddClientId(audience) => format!("also take tokens that are meant for {audience}"),
        Action::RemoveClientId(audience) => format!("no longer take tokens that are meant for {audience}"),
        Action::Tag(tags) if tags.contains_key(LEAVING) => {
            "announce the deletion to others that may join, and wait".to_owned()
        }
        Action::Tag(tags) => match claim(tags) {
            Some((_, true)) => "announce to the others that this resource leaves, and wait".to_owned(),
            Some((key, false)) if before.is_some_and(|before| !before.tags.contains_key(key)) => {
                format!("share the provider; {}", described_tags("write", tags.keys()))
            }
            _ => described_tags("write", tags.keys()),
        },
        Action::Untag(keys) if keys.iter().any(|key| is_claim(key)) => {
            "leave the provider to those that still need it".to_owned()
        }
        Action::Untag(keys) => described_tags("remove", keys),
        other => other.to_string(),
    }
}
