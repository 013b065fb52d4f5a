//! What becomes of a declared trust by what GitHub says, or does not say: through the function, the real SDK, and a
//! simulated IAM, Secrets Manager and GitHub.

mod another_github;
mod attacks;
mod audience;
mod changed_by_hand;
mod changed_names;
mod changed_users;
mod closed_values;
mod declarations;
mod drift;
mod environment_warnings;
mod errors;
mod explain;
mod followed_advice;
mod hidden_repositories;
mod job_refs;
mod lookup;
mod many_names;
mod names_at_github;
mod names_in_subjects;
mod repairs;
mod rollbacks;
mod strangers;
mod unknown_templates;
mod whole_subjects;

use std::ops::Deref;

use github_trust::guardrails::Guardrails;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use crate::simulation::account::{ACCOUNT, Account, PARTITION};
use crate::simulation::function::deliver;
use crate::simulation::github::{GitHub, SECRET};
use crate::simulation::world::{Request, World, world};

const ISSUER: &str = "token.actions.githubusercontent.com";

/// A world with an issuer, of which single requests are made.
struct Place {
    world: World,
    issuer: &'static str,
    /// True if CloudFormation shows that the stack rolls back.
    rolls_back: bool,
}

impl Deref for Place {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

/// What a request led to.
#[derive(Debug)]
struct Outcome {
    succeeded: bool,
    reason: String,
    physical_id: String,
    attributes: Value,
    /// The bytes of the whole answer.
    size: usize,
}

/// As a deployment forbids it that says nothing; of the rest, nothing that is asked for here is forbidden.
fn broad_trust_is_forbidden() -> Guardrails {
    let set = [("ROLE_PATH", "/"), ("ALLOWED_ISSUERS", "*"), ("ALLOW_ROLE_ADOPTION", "true")];
    Guardrails::read(|name| set.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned()))
}

fn at<T>(test: impl AsyncFnOnce(&mut Place) -> T) -> T {
    at_issuer(ISSUER, test)
}

fn at_issuer<T>(issuer: &'static str, test: impl AsyncFnOnce(&mut Place) -> T) -> T {
    let settings = Settings { guardrails: broad_trust_is_forbidden(), ..Settings::default() };
    let furnish = |account: &mut Account, now| {
        account.iam.settings.principals_are_checked = false;
        let provider = json!({"Url": format!("https://{issuer}"), "ClientIDList": ["sts.amazonaws.com", "other"]});
        let author = crate::simulation::author::Author::Someone;
        account.iam_as(&author, now, "CreateOpenIDConnectProvider", &provider).expect("an empty account");
    };
    world(settings, furnish, async |world| test(&mut Place { world, issuer, rolls_back: false }).await)
}

impl Place {
    /// Somebody else changes something in IAM.
    fn someone(&self, action: &str, input: &Value) {
        let author = crate::simulation::author::Author::Someone;
        self.cloud.change_now(|account, now| account.iam_as(&author, now, action, input).expect("it works"));
    }

    /// The provider of the issuer.
    fn provider_arn(&self) -> String {
        format!("arn:aws:iam::111122223333:oidc-provider/{}", self.issuer)
    }

    fn github(&self, change: impl FnOnce(&mut GitHub)) {
        change(&mut self.cloud.state().account.github);
    }

    /// Gives the function a secret.
    fn secret(&mut self, secret: &Value) {
        self.world.settings.github_secret = Some(SECRET.to_owned());
        let text = secret.to_string();
        self.github(|github| github.secret = Some(text));
    }

    fn token(&mut self) {
        self.secret(&json!({"token": "ghp_0123456789"}));
    }

    async fn create(&mut self, trust: Value) -> Outcome {
        self.request("Create", json!({"Trust": trust})).await
    }

    async fn update(&mut self, trust: Value) -> Outcome {
        self.request("Update", json!({"Trust": trust})).await
    }

    async fn request(&mut self, request: &str, mut properties: Value) -> Outcome {
        if properties["RoleName"].is_null() {
            properties["RoleName"] = json!("deploy");
        }
        if properties["ProviderArn"].is_null() {
            properties["ProviderArn"] = json!(format!("arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/{}", self.issuer));
        }
        self.cloud.state().account.stacks.event_status =
            if self.rolls_back { "UPDATE_ROLLBACK_IN_PROGRESS" } else { "UPDATE_IN_PROGRESS" };
        let physical = (request != "Create").then_some("deploy");
        let (kind, account, logical) = ("Custom::GitHubRole", ACCOUNT, "Role");
        let answer = self.world.request(Request { request, kind, account, logical, physical, properties }).await;
        Outcome {
            succeeded: answer["Status"] == "SUCCESS",
            reason: answer["Reason"].as_str().unwrap_or_default().to_owned(),
            physical_id: answer["PhysicalResourceId"].as_str().unwrap_or_default().to_owned(),
            attributes: answer["Data"].clone(),
            size: answer.to_string().len(),
        }
    }

    async fn invoke(&self, event: &Value) -> Value {
        deliver(&self.cloud, self.settings.clone(), event).await
    }

    /// The subjects that the role admits, or nothing without a role.
    fn subjects(&self) -> Vec<String> {
        let policy = self.policy();
        let mut subjects = Vec::new();
        for statement in policy["Statement"].as_array().into_iter().flatten() {
            let conditions = statement["Condition"].as_object().unwrap().iter();
            for (_, operator) in conditions.filter(|(operator, _)| *operator != "StringNotLike") {
                for (key, value) in operator.as_object().unwrap() {
                    if key.ends_with(":sub") {
                        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                        subjects.extend(values.iter().map(|value| value.as_str().unwrap().to_owned()));
                    }
                }
            }
        }
        subjects.sort();
        subjects
    }

    fn policy(&self) -> Value {
        let state = self.cloud.state();
        let role = state.account.iam.roles.all().next().map(|(_, role)| role.trust.clone());
        serde_json::from_str(&role.unwrap_or_default()).unwrap_or_default()
    }
}

/// The ids that the simulated GitHub gives.
fn immutable(repository: &str, context: &str) -> String {
    format!("repo:{}:{context}", crate::simulation::github::immutable(repository))
}
