//! AWS Secrets Manager, as far as secrets are made, read, replaced, listed and deleted for good: JSON 1.1, the operation in
//! a header.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::author::Author;
use super::model;
use super::wire::{Answer, Refusal, Request};

type Reply = Result<Value, Refusal>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) serial: u64,
    pub(crate) description: String,
    pub(crate) made_by: Author,
    created: SystemTime,
    /// By the token that each was written with.
    versions: BTreeMap<String, String>,
    current: String,
}

impl Secret {
    pub(crate) fn value(&self) -> &str {
        &self.versions[&self.current]
    }
}

/// One account's secrets in one region.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) page: Option<usize>,
    /// For so long, the name of a deleted secret stays taken.
    pub(crate) lingers: Duration,
    /// For so long, a new secret is not shown. terraform-provider-aws waits for it.
    pub(crate) read_lag: Duration,
    /// Reading a secret that is not there is denied.
    pub(crate) missing_is_denied: bool,
    deleted: BTreeMap<String, SystemTime>,
    revision: u64,
}

impl Secrets {
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The operation and its input, of a request.
    pub(crate) fn parse(request: &Request) -> Result<(String, Value), Refusal> {
        let target = request.header("x-amz-target").unwrap_or_default();
        let action = target.strip_prefix("secretsmanager.").unwrap_or_default().to_owned();
        let Some(operation) = model::secrets().operations.get(&action) else {
            return Err(Refusal::new("UnknownOperationException", 400, format!("Unknown operation {target}")));
        };
        let input: Value = serde_json::from_slice(&request.body)
            .map_err(|_| Refusal::new("SerializationException", 400, "The body is not JSON."))?;
        let shape = operation.input.as_deref().expect("every operation has an input");
        match model::secrets().complaints(shape, &input).first() {
            Some(complaint) => Err(Refusal::new("ValidationException", 400, complaint.clone())),
            None => Ok((action, input)),
        }
    }

    pub(crate) fn handle(&mut self, action: &str, input: &Value, author: &Author, now: SystemTime) -> Reply {
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        let name = if action == "CreateSecret" { text("Name") } else { text("SecretId") };
        let lingers = self.deleted.get(&name).is_some_and(|deleted| now < *deleted + self.lingers);
        // terraform-provider-aws#5583
        if lingers && matches!(action, "CreateSecret" | "GetSecretValue" | "PutSecretValue") {
            let message = "You can\u{2019}t perform this operation on the secret because it was deleted.";
            return Err(Refusal::new("InvalidRequestException", 400, message));
        }
        match action {
            "CreateSecret" => self.create(&text("Name"), input, (author, now)),
            "PutSecretValue" => {
                let (id, token, value) = (text("SecretId"), text("ClientRequestToken"), text("SecretString"));
                let secret = self.secrets.get_mut(&id).ok_or_else(missing)?;
                match secret.versions.get(&token) {
                    Some(known) if *known != value => return Err(other_content()),
                    Some(_) => {}
                    None => {
                        secret.versions.insert(token.clone(), value);
                        secret.current.clone_from(&token);
                        self.revision += 1;
                    }
                }
                Ok(json!({"ARN": arn(&id), "Name": id, "VersionId": token}))
            }
            "GetSecretValue" => {
                let id = text("SecretId");
                let shown = |secret: &&Secret| secret.created + self.read_lag <= now;
                let secret = self.secrets.get(&id).filter(shown).ok_or_else(|| self.unseen())?;
                Ok(json!({"ARN": arn(&id), "Name": id, "SecretString": secret.value()}))
            }
            // "If you forcibly delete an already deleted or nonexistent secret, the operation does not return
            // ResourceNotFoundException." (API reference)
            "DeleteSecret" => {
                let id = text("SecretId");
                assert_eq!(input["ForceDeleteWithoutRecovery"], true, "the name would be blocked for days");
                if self.secrets.remove(&id).is_some() {
                    self.revision += 1;
                    self.deleted.insert(id.clone(), now);
                }
                Ok(json!({"ARN": arn(&id), "Name": id}))
            }
            "ListSecrets" => Ok(self.list(input)),
            other => panic!("{other} is in the model and not here"),
        }
    }

    fn unseen(&self) -> Refusal {
        let denied = "User: arn:aws:sts::111122223333:assumed-role/github-trust/function is not authorized to perform: \
                      secretsmanager:GetSecretValue";
        if self.missing_is_denied { Refusal::new("AccessDeniedException", 400, denied) } else { missing() }
    }

    fn create(&mut self, name: &str, input: &Value, (author, now): (&Author, SystemTime)) -> Reply {
        let token = input["ClientRequestToken"].as_str().expect("a token").to_owned();
        let value = input["SecretString"].as_str().expect("a value").to_owned();
        if let Some(secret) = self.secrets.get(name) {
            // "If a version with this token exists and has the same content, the request is ignored."
            if secret.versions.get(&token) == Some(&value) {
                return Ok(json!({"ARN": arn(name), "Name": name, "VersionId": token}));
            }
            let message = format!("The operation failed because the secret {name} already exists.");
            return Err(Refusal::new("ResourceExistsException", 400, message));
        }
        self.revision += 1;
        let secret = Secret {
            serial: self.revision,
            description: input["Description"].as_str().unwrap_or_default().to_owned(),
            made_by: author.clone(),
            created: now,
            versions: [(token.clone(), value)].into(),
            current: token.clone(),
        };
        self.secrets.insert(name.to_owned(), secret);
        Ok(json!({"ARN": arn(name), "Name": name, "VersionId": token}))
    }

    /// "Matches the beginning of secret names; case-sensitive." (API reference, Filter)
    fn list(&self, input: &Value) -> Value {
        let prefixes: Vec<&str> = input["Filters"]
            .as_array()
            .into_iter()
            .flatten()
            .inspect(|filter| assert_eq!(filter["Key"], "name"))
            .flat_map(|filter| filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str))
            .collect();
        let found: Vec<Value> = self
            .secrets
            .keys()
            .filter(|name| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix)))
            .map(|name| json!({"ARN": arn(name), "Name": name}))
            .collect();
        let from = input["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
        let size = self.page.unwrap_or(100);
        let next = (from + size < found.len()).then(|| (from + size).to_string());
        json!({"SecretList": found.into_iter().skip(from).take(size).collect::<Vec<_>>(), "NextToken": next})
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}-AbCdEf")
}

fn missing() -> Refusal {
    Refusal::new("ResourceNotFoundException", 400, "Secrets Manager can't find the specified secret.")
}

fn other_content() -> Refusal {
    Refusal::new("ResourceExistsException", 400, "A version with this token exists and has other content.")
}

pub(crate) fn answer(reply: &Reply, request_id: &str) -> Answer {
    let mut headers =
        vec![("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amzn-requestid", request_id.to_owned())];
    match reply {
        Ok(output) => Answer { status: 200, headers, body: output.to_string() },
        Err(refusal) => {
            headers.push(("x-amzn-errortype", refusal.code.to_owned()));
            let body = json!({"__type": refusal.code, "Message": refusal.message}).to_string();
            Answer { status: refusal.status, headers, body }
        }
    }
}
