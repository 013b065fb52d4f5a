//! The effect of an action on a provider.

use super::Observed;
use super::action::Action;
use super::owner_stakes::{LEAVING, claim, is_claim};
use crate::ownership::described_tags;

pub(super) fn of(before: Option<&Observed>, action: &Action) -> String {
    match action {
        Action::Create { url, arn: _, client_ids, thumbprints: _, tags: _ } => {
            let audiences: Vec<&str> = client_ids.iter().map(String::as_str).collect();
            format!("create a provider for {url}, for tokens for the audience {}", audiences.join(", "))
        }
        Action::AddClientId(audience) => format!("also take tokens for the audience {audience}"),
        Action::RemoveClientId(audience) => format!("no longer take tokens for the audience {audience}"),
        Action::Tag(tags) if tags.contains_key(LEAVING) => {
            "say in a tag that the provider is about to be deleted, and wait for stacks that may join meanwhile"
                .to_owned()
        }
        Action::Tag(tags) => match claim(tags) {
            Some((_, true)) => {
                "say in a tag that this stack stops using the provider, and wait for stacks that do the same meanwhile"
                    .to_owned()
            }
            Some((key, false)) if before.is_some_and(|before| !before.tags.contains_key(key)) => {
                format!(
                    "use the provider that is there, together with its other owners; {}",
                    described_tags("write", tags.keys())
                )
            }
            _ => described_tags("write", tags.keys()),
        },
        Action::Untag(keys) if keys.iter().any(|key| is_claim(key)) => {
            "stop using the provider, and keep it for the other stacks that use it".to_owned()
        }
        Action::Untag(keys) => described_tags("remove", keys),
        other => other.to_string(),
    }
}
