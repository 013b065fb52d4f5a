//! The objects that stacks declare in random lives: what is declared, and where it is at GitHub then.

use serde_json::{Value, json};

use super::Place;

/// A sort of object, in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Value { place: ValuePlace, is_secret: bool },
    Environment,
    Subjects,
}

/// The place of a variable or a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValuePlace {
    Repository,
    Environment,
    Organisation,
}

/// The environment of [`super::ENVIRONMENT`], which nobody declares.
const ENVIRONMENT: &str = "eu: live/a";

const fn value(place: ValuePlace, is_secret: bool) -> Sort {
    Sort::Value { place, is_secret }
}

pub(super) const SORTS: [Sort; 8] = [
    value(ValuePlace::Repository, false),
    value(ValuePlace::Repository, true),
    Sort::Environment,
    Sort::Subjects,
    value(ValuePlace::Environment, false),
    value(ValuePlace::Environment, true),
    value(ValuePlace::Organisation, false),
    value(ValuePlace::Organisation, true),
];

impl Sort {
    pub(super) fn resource_type(self) -> &'static str {
        match self {
            Self::Value { .. } => super::KIND,
            Self::Environment => "Custom::GitHubEnvironment",
            Self::Subjects => "Custom::GitHubRepositoryOidc",
        }
    }

    /// The names that stacks choose from, of which no one ends another one.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Value { .. } => &["AWS_ROLE_ARN", "OTHER"],
            Self::Environment => &["live", "stage"],
            Self::Subjects => &["app"],
        }
    }

    /// A declaration, in one of two versions.
    pub(super) fn properties(self, repository: &str, name: &str, version: usize) -> Value {
        match self {
            Self::Value { place, is_secret } => {
                let value = ["hunter", "hunter 2"][version];
                let mut properties = json!({"Name": name, "Value": value});
                if is_secret {
                    properties["Secret"] = json!(true);
                }
                if place == ValuePlace::Organisation {
                    properties["Organization"] = json!("acme");
                    properties["Visibility"] = json!("all");
                } else {
                    properties["Repository"] = json!(repository);
                }
                if place == ValuePlace::Environment {
                    properties["Environment"] = json!(ENVIRONMENT);
                }
                properties
            }
            Self::Environment => json!({"Repository": repository, "Name": name, "WaitTimer": 5 * (version + 1),
                "DeploymentBranchPolicy": {"Branches": ["main"]}}),
            Self::Subjects => json!({"Repository": repository, "UseImmutableSubject": true}),
        }
    }

    /// The path that shows the object.
    fn path(self, repository: &str, name: &str) -> String {
        let Self::Value { place, is_secret } = self else { return format!("/repos/{repository}/environments/{name}") };
        let place = match place {
            ValuePlace::Repository => format!("/repos/{repository}/actions"),
            ValuePlace::Environment => format!("/repos/{repository}/environments/{ENVIRONMENT}"),
            ValuePlace::Organisation => "/orgs/acme/actions".to_owned(),
        };
        format!("{place}/{}/{name}", if is_secret { "secrets" } else { "variables" })
    }

    pub(super) fn is_there(self, place: &Place, repository: &str, name: &str) -> bool {
        let path = self.path(repository, name);
        match self {
            Self::Value { .. } => place.value(&path).is_some(),
            Self::Environment => place.github(|github| github.environments.contains_key(&path)),
            Self::Subjects => !place.cloud.state().account.github.opted_in.is_empty(),
        }
    }

    /// Somebody deletes the object.
    pub(super) fn remove_by_hand(self, place: &Place, repository: &str, name: &str) {
        let path = self.path(repository, name);
        place.github(|github| (github.items.remove(&path), github.environments.remove(&path)));
        if self == Self::Subjects {
            place.cloud.state().account.github.opted_in.clear();
        }
    }

    /// Somebody makes such an object. Administrators may not bypass the rules of an environment.
    pub(super) fn make_by_hand(self, place: &Place, repository: &str, name: &str) {
        let (path, now) = (self.path(repository, name), place.cloud.now());
        place.github(|github| match self {
            Self::Value { .. } => github.set(&path, "theirs", now),
            Self::Environment => {
                github.environment(&path, true, now);
                github.environments.get_mut(&path).expect("an environment").admins_bypass = false;
            }
            Self::Subjects => {}
        });
    }
}
