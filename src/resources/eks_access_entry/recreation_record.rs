//! Where an entry is remembered while it is made again: in Secrets Manager, which takes 64 KB in one call and which the
//! function knows already. Nothing in it is secret. It is there for seconds, or until the next run if that one died.

use super::state::RecreationRecord;
use super::{AccessEntries, EntryId};
use crate::aws::{CallError, ErrorKind, ignore_not_found, pages};
use crate::ownership::digest;

/// What the names begin with; the function's role may use no others.
pub(super) const PREFIX: &str = "github-trust/access-entry/";

/// Under which name an entry is remembered.
fn name(id: &EntryId) -> String {
    format!("{PREFIX}{}", digest(&[&id.cluster, &id.principal], 26))
}

impl AccessEntries {
    /// What is remembered of an entry.
    pub(super) async fn remembered(&self, id: &EntryId) -> Result<Option<RecreationRecord>, CallError> {
        let memory = self.recall(&name(id)).await?;
        Ok(memory.filter(|memory| memory.content.principal == id.principal && memory.content.cluster == id.cluster))
    }

    /// What stands under a name.
    pub(super) async fn recall(&self, name: &str) -> Result<Option<RecreationRecord>, CallError> {
        let request = self.secrets.get_secret_value().secret_id(name);
        let value = match self.deadline.call("secretsmanager:GetSecretValue", name, || request.clone().send()).await {
            Ok(output) => output.secret_string.unwrap_or_default(),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match serde_json::from_str(&value) {
            Ok(memory) => Ok(Some(memory)),
            Err(error) => Err(CallError::of(
                ErrorKind::Invalid,
                "secretsmanager:GetSecretValue",
                name,
                "Unreadable",
                format!(
                    "it should be what github-trust remembers of an access entry, but {error}. Delete the secret if you know what the entry was"
                ),
            )),
        }
    }

    /// The names of all that is remembered.
    pub(super) async fn memories(&self) -> Result<Vec<String>, CallError> {
        let filter = aws_sdk_secretsmanager::types::Filter::builder()
            .key(aws_sdk_secretsmanager::types::FilterNameStringType::Name)
            .values(PREFIX)
            .build();
        pages(async |token| {
            let request = self.secrets.list_secrets().filters(filter.clone()).set_next_token(token);
            let page = self.deadline.call("secretsmanager:ListSecrets", PREFIX, || request.clone().send()).await?;
            let found = page.secret_list.unwrap_or_default().into_iter().filter_map(|secret| secret.name);
            Ok((found.filter(|name| name.starts_with(PREFIX)).collect(), page.next_token))
        })
        .await
    }

    pub(super) async fn remember(&self, id: &EntryId, memory: &RecreationRecord, known: bool) -> Result<(), CallError> {
        let name = name(id);
        let value = serde_json::to_string(memory).unwrap_or_default();
        // The same content under the same token is the same request to Secrets Manager; of two processes one wins.
        let token = digest(&[&memory.by, &value], 40);
        // What counts from now on is decided right before.
        let deadline = if memory.taken_down { self.deadline.once() } else { self.deadline };
        if known {
            let request =
                self.secrets.put_secret_value().secret_id(&name).secret_string(value).client_request_token(token);
            return deadline.call("secretsmanager:PutSecretValue", &name, || request.clone().send()).await.map(drop);
        }
        let description = format!(
            "The access entry of {} in cluster {}, while github-trust makes it again",
            id.principal, id.cluster
        );
        let request = self
            .secrets
            .create_secret()
            .name(&name)
            .description(description.chars().take(2048).collect::<String>())
            .secret_string(value)
            .client_request_token(token);
        self.deadline.call("secretsmanager:CreateSecret", &name, || request.clone().send()).await.map(drop)
    }

    pub(super) async fn forget(&self, id: &EntryId) -> Result<(), CallError> {
        let name = name(id);
        let request = self.secrets.delete_secret().secret_id(&name).force_delete_without_recovery(true);
        ignore_not_found(self.deadline.call("secretsmanager:DeleteSecret", &name, || request.clone().send()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::eks_access_entry::{EntryContent, PolicyScope};

    /// What one version remembers, another one has to be able to read.
    #[test]
    fn what_is_remembered_reads_the_same_again() {
        let content = EntryContent {
            cluster: "prod".into(),
            principal: "arn:aws:iam::123456789012:role/ci/deploy".into(),
            entry_type: "STANDARD".into(),
            username: "ci:{{SessionName}}".into(),
            groups: ["deployers".to_owned()].into(),
            policies: [
                ("a".to_owned(), PolicyScope::Cluster),
                ("b".to_owned(), PolicyScope::Namespaces(["dev-*".to_owned()].into())),
            ]
            .into(),
            tags: [("k".to_owned(), "v".to_owned())].into(),
        };
        let memory = RecreationRecord { content, taken_down: true, retyped: false, by: "a".into() };
        let text = serde_json::to_string_pretty(&memory).unwrap();
        assert_eq!(serde_json::from_str::<RecreationRecord>(&text).unwrap(), memory);
        insta::assert_snapshot!(text, @r#"
        {
          "cluster": "prod",
          "principal": "arn:aws:iam::123456789012:role/ci/deploy",
          "type": "STANDARD",
          "username": "ci:{{SessionName}}",
          "groups": [
            "deployers"
          ],
          "policies": {
            "a": "cluster",
            "b": {
              "namespaces": [
                "dev-*"
              ]
            }
          },
          "tags": {
            "k": "v"
          },
          "taken_down": true,
          "by": "a"
        }
        "#);
    }
}
