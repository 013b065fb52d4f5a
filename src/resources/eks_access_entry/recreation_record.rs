//! The store of recreation records: Secrets Manager, which takes 64 KB in one call and which the function uses anyway. A
//! record holds no secrets. It exists for seconds, or until the next scheduled run if its process has died.

use super::state::RecreationRecord;
use super::{AccessEntries, EntryId};
use crate::aws::{CallError, ErrorKind, ignore_not_found, pages};
use crate::ownership::digest;

/// The prefix of the names. The function's role may use no others.
pub(super) const PREFIX: &str = "github-trust/access-entry/";

/// The name of the record of an entry.
fn name(id: &EntryId) -> String {
    format!("{PREFIX}{}", digest(&[&id.cluster, &id.principal], 26))
}

impl AccessEntries {
    /// Reads the record of an entry.
    pub(super) async fn read_record(&self, id: &EntryId) -> Result<Option<RecreationRecord>, CallError> {
        let record = self.read_record_named(&name(id)).await?;
        Ok(record.filter(|record| record.content.principal == id.principal && record.content.cluster == id.cluster))
    }

    /// Reads the record with a name.
    pub(super) async fn read_record_named(&self, name: &str) -> Result<Option<RecreationRecord>, CallError> {
        let request = self.secrets.get_secret_value().secret_id(name);
        let value = match self.deadline.call("secretsmanager:GetSecretValue", name, || request.clone().send()).await {
            Ok(output) => output.secret_string.unwrap_or_default(),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match serde_json::from_str(&value) {
            Ok(record) => Ok(Some(record)),
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

    /// Lists the names of all records.
    pub(super) async fn list_records(&self) -> Result<Vec<String>, CallError> {
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

    pub(super) async fn save_record(
        &self,
        id: &EntryId,
        record: &RecreationRecord,
        exists: bool,
    ) -> Result<(), CallError> {
        let name = name(id);
        let value = serde_json::to_string(record).unwrap_or_default();
        // For Secrets Manager, the same content with the same token is the same request. Of two processes, one wins.
        let token = digest(&[&record.process, &value], 40);
        // A commit is decided right before the call, so that it is not repeated without a new decision.
        let deadline = if record.committed { self.deadline.once() } else { self.deadline };
        if exists {
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

    pub(super) async fn delete_record(&self, id: &EntryId) -> Result<(), CallError> {
        let name = name(id);
        let request = self.secrets.delete_secret().secret_id(&name).force_delete_without_recovery(true);
        ignore_not_found(self.deadline.call("secretsmanager:DeleteSecret", &name, || request.clone().send()).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::eks_access_entry::{EntryContent, PolicyScope};

    /// The JSON may not change once there are releases: another version reads it.
    #[test]
    fn a_record_reads_the_same_again_as_json() {
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
        let record = RecreationRecord { content, committed: true, type_changed: false, process: "a".into() };
        let text = serde_json::to_string_pretty(&record).unwrap();
        assert_eq!(serde_json::from_str::<RecreationRecord>(&text).unwrap(), record);
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
          "committed": true,
          "process": "a"
        }
        "#);
    }
}
