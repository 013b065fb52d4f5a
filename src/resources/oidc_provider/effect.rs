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
        Action::AddClientId(audience) => format!("also accept tokens for the audience \"{audience}\""),
        Action::RemoveClientId(audience) => format!("no longer accept tokens for the audience \"{audience}\""),
        Action::Tag(tags) if tags.contains_key(LEAVING) => {
            "say in a tag that the provider is about to be deleted, and wait for stacks that may join meanwhile"
                .to_owned()
        }
        Action::Tag(tags) => match claim(tags) {
            Some((_, true)) => {
                "say in a tag that this stack leaves the provider, and see whether other stacks leave at the same time"
                    .to_owned()
            }
            Some((key, false)) if before.is_some_and(|before| !before.tags.contains_key(key)) => {
                format!(
                    "use the provider that is there, together with the stacks that use it already; {}",
                    described_tags("write", tags.keys())
                )
            }
            _ => described_tags("write", tags.keys()),
        },
        Action::Untag(keys) if keys.iter().any(|key| is_claim(key)) => {
            "leave the provider to the other stacks that use it; it is not deleted".to_owned()
        }
        Action::Untag(keys) => described_tags("remove", keys),
        other => other.to_string(),
    }
}
