//! Values at GitHub through whole lives of stacks: CloudFormation, Lambda, the function, the real SDK, and a simulated
//! GitHub that opens what is sealed.

mod crashes;
mod declared_objects;
mod dry_run;
mod environments;
mod errors;
mod guardrails;
mod lifecycle;
mod ownership;
mod random_ownership;
mod readings;
mod repository_oidc;

use std::ops::Deref;
use std::time::Duration;

use github_trust::guardrails::Guardrails;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use crate::simulation::account::Account;
use crate::simulation::cloudformation::{Status, Template, declared};
use crate::simulation::github::SECRET;
use crate::simulation::github_settings::Settings as AtGitHub;
use crate::simulation::stack::Stack;
use crate::simulation::world::{World, world};

const KIND: &str = "Custom::GitHubVariable";
const REPOSITORY: &str = "/repos/acme/app/actions";
const ENVIRONMENT: &str = "/repos/acme/app/environments/eu: live/a";
const ORGANISATION: &str = "/orgs/acme/actions";
const TOKEN: &str = "ghp_0123456789";

/// A world with a credential for GitHub, and a stack.
struct Place {
    world: World,
    stack: Stack,
}

impl Deref for Place {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

fn at(test: impl AsyncFnOnce(&mut Place)) {
    guarded(Guardrails::none(), test);
}

fn guarded(guardrails: Guardrails, test: impl AsyncFnOnce(&mut Place)) {
    let settings = Settings { github_secret: Some(SECRET.to_owned()), guardrails, ..Settings::default() };
    let furnish = |account: &mut Account, now| {
        account.github.secret = Some(json!({"token": TOKEN}).to_string());
        account.github.settings.reviewed_environment(ENVIRONMENT, now);
    };
    world(settings, furnish, async |world| {
        let stack = world.stack("team");
        let mut place = Place { world, stack };
        test(&mut place).await;
        for secret in [TOKEN, "hunter"] {
            assert!(!place.log.text().contains(secret), "{}", place.log.text());
        }
    });
}

impl Place {
    fn github<T>(&self, look: impl FnOnce(&mut AtGitHub) -> T) -> T {
        look(&mut self.cloud.state().account.github.settings)
    }

    fn value(&self, path: &str) -> Option<String> {
        self.github(|github| github.value(path).map(str::to_owned))
    }

    /// Somebody sets one by hand, and some time passes.
    async fn by_hand(&self, path: &str, value: &str) {
        let now = self.cloud.now();
        self.github(|github| github.set(path, value, now));
        minutes(5).await;
    }

    async fn create(&mut self, properties: Value) -> Status {
        self.stack.create(&template(properties)).await
    }

    async fn update(&mut self, properties: Value) -> Status {
        self.stack.update(&template(properties)).await
    }

    async fn delete(&mut self) -> Status {
        self.stack.delete_stack().await
    }

    fn physical(&self) -> String {
        self.stack.resource("Variable").map(|resource| resource.physical.clone()).unwrap_or_default()
    }

    /// Why the last request that failed did.
    fn reason(&self) -> String {
        let state = self.cloud.state();
        let answers = state.account.s3.uploads.iter().rev();
        let failed = answers.filter_map(|upload| serde_json::from_slice::<Value>(&upload.body).ok());
        let mut failed = failed.filter(|answer| answer["Status"] == "FAILED");
        failed.next().map(|answer| answer["Reason"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
    }

    fn changes(&self) -> u64 {
        self.github(|github| github.changes)
    }
}

fn template(properties: Value) -> Template {
    vec![declared("Variable", KIND, properties)]
}

fn variable(value: &str) -> Value {
    json!({"Repository": "acme/app", "Name": "AWS_ROLE_ARN", "Value": value})
}

fn secret(value: &str) -> Value {
    let mut properties = variable(value);
    properties["Secret"] = json!(true);
    properties
}

fn with(mut properties: Value, name: &str, value: Value) -> Value {
    properties[name] = value;
    properties
}

async fn minutes(minutes: u64) {
    tokio::time::sleep(Duration::from_mins(minutes)).await;
}
