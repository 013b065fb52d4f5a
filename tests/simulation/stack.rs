//! A stack's life: create and roll back, update and roll back and clean up, continue a rollback, delete.

use serde_json::Value;

use super::cloudformation::{CloudFormation, Declared, RequestType, Resource, Result, Status, Template};
use super::invariants::lock;

/// The time before the first request of a rollback. CloudFormation has to note the failure and to turn round.
const BEFORE_ROLLBACK: std::time::Duration = std::time::Duration::from_secs(3);

pub(crate) struct Stack {
    pub(super) cloudformation: CloudFormation,
    pub(crate) name: String,
    pub(crate) id: String,
    /// In the order of creation.
    pub(crate) resources: Vec<(String, Resource)>,
    /// What an update that has not been rolled back completely began with.
    pub(super) before: Option<Vec<(String, Resource)>>,
    /// What never answered when it was rolled back.
    pub(super) silent: Vec<String>,
    /// What a rollback that failed had yet to clean up.
    pub(super) owed: Vec<(String, Resource)>,
    pub(crate) status: Option<Status>,
}

impl Stack {
    pub(crate) fn resource(&self, logical: &str) -> Option<&Resource> {
        self.resources.iter().find(|(name, _)| name == logical).map(|(_, resource)| resource)
    }

    fn set(&mut self, logical: &str, resource: Resource) {
        let now = self.cloudformation.cloud.now();
        let names = (self.id.as_str(), logical);
        self.cloudformation.cloud.state().account.stacks.set_current(names, &resource.physical, now);
        match self.resources.iter_mut().find(|(name, _)| name == logical) {
            Some((_, known)) => *known = resource,
            None => self.resources.push((logical.to_owned(), resource)),
        }
    }

    fn show(&self, status: &str) {
        self.cloudformation.cloud.state().account.stacks.set_status(&self.id, status);
    }

    fn ended(&mut self, status: Status) -> Status {
        // `CreateComplete` is shown as `CREATE_COMPLETE`.
        let shown = format!("{status:?}")
            .replace("Rollback", "_ROLLBACK")
            .replace("Complete", "_COMPLETE")
            .replace("Failed", "_FAILED");
        self.show(shown.trim_start_matches('_').to_uppercase().as_str());
        self.status = Some(status);
        status
    }

    /// Creates every resource; on the first failure deletes all of them, the failed one included.
    pub(crate) async fn create(&mut self, template: &Template) -> Status {
        self.show("CREATE_IN_PROGRESS");
        for declared in template {
            let declared = self.resolved(declared);
            let made = self.send(RequestType::Create, &declared, None).await;
            self.set(&declared.logical, known(&declared, &made));
            if !made.success {
                self.show("ROLLBACK_IN_PROGRESS");
                let left = self.delete_all().await;
                // A stack whose rollback failed is deleted by hand, which sends the same requests once more.
                return self.ended(if left { Status::DeleteFailed } else { Status::RollbackComplete });
            }
        }
        self.ended(Status::CreateComplete)
    }

    /// Updates what differs, creates what is new, then cleans up what is replaced or declared no longer.
    pub(crate) async fn update(&mut self, template: &Template) -> Status {
        self.show("UPDATE_IN_PROGRESS");
        let before = self.resources.clone();
        self.before = Some(before.clone());
        for declared in template {
            let declared = self.resolved(declared);
            let old = self.resource(&declared.logical).cloned();
            let result = match &old {
                Some(old) if old.properties == declared.properties => continue,
                Some(old) => self.send(RequestType::Update, &declared, Some(old)).await,
                None => self.send(RequestType::Create, &declared, None).await,
            };
            self.set(&declared.logical, known(&declared, &result));
            if !result.success {
                if result.silent {
                    self.silent.push(declared.logical.clone());
                }
                return self.roll_back(&before, &[]).await;
            }
        }
        let kept: Vec<&str> = template.iter().map(|declared| declared.logical.as_str()).collect();
        self.show("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS");
        // The clean-up: its failures are reported and forgotten.
        for (logical, old) in before.iter().rev() {
            let replaced = self.resource(logical).is_some_and(|now| now.physical != old.physical);
            if replaced || !kept.contains(&logical.as_str()) {
                self.delete(logical, old).await;
            }
        }
        self.resources.retain(|(logical, _)| kept.contains(&logical.as_str()));
        self.before = None;
        self.ended(Status::UpdateComplete)
    }

    /// Goes on with a rollback that failed, passing over some resources, which are taken for what they once were.
    pub(crate) async fn continue_rollback(&mut self, skip: &[&str]) -> Status {
        let before = self.before.clone().unwrap_or_default();
        self.roll_back(&before, skip).await
    }

    async fn roll_back(&mut self, before: &[(String, Resource)], skip: &[&str]) -> Status {
        self.show("UPDATE_ROLLBACK_IN_PROGRESS");
        tokio::time::sleep(BEFORE_ROLLBACK).await;
        let now = self.resources.clone();
        let mut clean_up = Vec::new();
        let mut failed = false;
        for (logical, current) in now.iter().rev() {
            let Some((_, old)) = before.iter().find(|(name, _)| name == logical) else {
                clean_up.push((logical.clone(), current.clone()));
                continue;
            };
            if current == old {
                continue;
            }
            let replaced = current.physical != old.physical;
            if skip.contains(&logical.as_str()) {
                self.set(logical, old.clone());
                continue;
            }
            if replaced {
                clean_up.push((logical.clone(), current.clone()));
            }
            if replaced && !self.cloudformation.rolls_back_replacements_by_update {
                self.set(logical, old.clone());
                continue;
            }
            let declared = declared(logical, old);
            let result = self.send(RequestType::Update, &declared, Some(current)).await;
            if result.success {
                self.set(logical, known(&declared, &result));
            } else {
                failed = true;
                if result.silent {
                    self.silent.push(logical.clone());
                }
            }
        }
        self.owed.append(&mut clean_up);
        if failed {
            return self.ended(Status::UpdateRollbackFailed);
        }
        self.show("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS");
        for (logical, gone) in std::mem::take(&mut self.owed) {
            if self.resource(&logical).is_some_and(|kept| kept.physical != gone.physical)
                || !before.iter().any(|(name, _)| *name == logical)
            {
                self.delete(&logical, &gone).await;
            }
        }
        self.resources.retain(|(logical, _)| before.iter().any(|(name, _)| name == logical));
        self.before = None;
        self.ended(Status::UpdateRollbackComplete)
    }

    /// Deletes everything, last first. What cannot be deleted stays, and can be tried again.
    pub(crate) async fn delete_stack(&mut self) -> Status {
        self.show("DELETE_IN_PROGRESS");
        let left = self.delete_all().await;
        self.ended(if left { Status::DeleteFailed } else { Status::DeleteComplete })
    }

    /// Whether something is left.
    async fn delete_all(&mut self) -> bool {
        // What an update had replaced when its rollback failed is still the stack's.
        for (logical, old) in self.before.take().unwrap_or_default().into_iter().rev() {
            if self.resource(&logical).is_none_or(|now| now.physical != old.physical) {
                let gone = self.delete(&logical, &old).await.success;
                if !gone {
                    self.resources.push((logical, old));
                }
            }
        }
        for (logical, owed) in std::mem::take(&mut self.owed) {
            let current = self.resource(&logical).is_some_and(|now| now.physical == owed.physical);
            if !current && !self.delete(&logical, &owed).await.success {
                self.owed.push((logical, owed));
            }
        }
        for (logical, resource) in self.resources.clone().into_iter().rev() {
            if self.delete(&logical, &resource).await.success {
                self.resources.retain(|(name, _)| *name != logical);
            } else {
                // What depends on it is gone; what it depends on must wait.
                return true;
            }
        }
        false
    }

    /// Takes a resource out, and leaves its object (`DeletionPolicy: Retain`).
    pub(crate) fn retain(&mut self, logical: &str) {
        self.resources.retain(|(name, _)| name != logical);
        let now = self.cloudformation.cloud.now();
        self.cloudformation.cloud.state().account.stacks.skip((&self.id, logical), now);
        if let Some(ledger) = &self.cloudformation.ledger {
            let objects = self.cloudformation.cloud.snapshot().objects;
            lock(ledger).lets_go(&self.id, logical, objects.into_keys());
        }
    }

    async fn delete(&mut self, logical: &str, resource: &Resource) -> Result {
        let declared = declared(logical, resource);
        self.send(RequestType::Delete, &declared, Some(resource)).await
    }

    /// Sends one request by itself: for tests that tell CloudFormation's story otherwise.
    pub(crate) async fn send(&self, kind: RequestType, declared: &Declared, old: Option<&Resource>) -> Result {
        if let Some(current) = self.resource(&declared.logical) {
            let now = self.cloudformation.cloud.now();
            let mut state = self.cloudformation.cloud.state();
            state.account.stacks.set_current((&self.id, &declared.logical), &current.physical, now);
        }
        // A request that a test sends by itself is an update of the stack.
        let state = |stack: &Self| stack.cloudformation.cloud.state().account.stacks.status(&stack.id);
        let before = state(self);
        if !before.ends_with("_IN_PROGRESS") {
            self.show("UPDATE_IN_PROGRESS");
        }
        let result = self.cloudformation.clone().exchange(self, kind, declared, old).await;
        self.show(&before);
        result
    }

    /// References replaced by what they refer to.
    pub(crate) fn resolved(&self, declared: &Declared) -> Declared {
        Declared { properties: self.resolve(&declared.properties), ..declared.clone() }
    }

    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                if let Some(logical) = members.get("Ref").and_then(Value::as_str)
                    && let Some(resource) = self.resource(logical)
                {
                    return Value::from(resource.physical.as_str());
                }
                if let Some([logical, attribute]) =
                    members.get("Fn::GetAtt").and_then(Value::as_array).map(Vec::as_slice)
                    && let Some(resource) = self.resource(logical.as_str().unwrap_or_default())
                {
                    return resource.attributes[attribute.as_str().unwrap_or_default()].clone();
                }
                Value::Object(members.iter().map(|(name, value)| (name.clone(), self.resolve(value))).collect())
            }
            Value::Array(list) => list.iter().map(|value| self.resolve(value)).collect(),
            other => other.clone(),
        }
    }
}

fn known(declared: &Declared, result: &Result) -> Resource {
    Resource {
        kind: declared.kind.clone(),
        physical: result.physical.clone(),
        properties: declared.properties.clone(),
        attributes: result.attributes.clone(),
    }
}

fn declared(logical: &str, resource: &Resource) -> Declared {
    Declared { logical: logical.to_owned(), kind: resource.kind.clone(), properties: resource.properties.clone() }
}
