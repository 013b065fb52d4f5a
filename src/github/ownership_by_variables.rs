//! Claims on objects at GitHub, which has no tags. Each owner has a variable of its own beside the object, in the same repository
//! or organisation; GitHub makes a variable only where there is none, so that no owner overwrites the claim of another.
//!
//! A variable `TRUST_OWNER_<object>_<owner>` holds the owner in words, its state, and the memory of the time before the claim.

use std::collections::BTreeMap;
use std::fmt;

use aws_smithy_types::date_time::{DateTime, Format};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Client;
use super::name::Repository;
use super::{ApiCall, GitHubObjectId, Issuer, ObjectName};
use crate::aws::{CallError, ErrorKind};
use crate::ownership::{Owner, digest};

/// Begins the name of a claim. A name must not begin with `GITHUB_`.
pub const CLAIM_PREFIX: &str = "TRUST_OWNER_";
/// The characters of a digest, five bits each.
const DIGEST: usize = 20;
/// "The number of results per page (max 30)."
const PAGE: usize = 30;
/// A list that goes on after this page is given up. An organisation has at most 1,000 variables:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/variables#limits-for-configuration-variables>
const LAST_PAGE: usize = 100;
/// The number of times that a list is read that changes meanwhile.
const LISTINGS: usize = 4;
/// In seconds: a process that announced its leave before that lives no more. Lambda ends it after 15 minutes.
const PROCESS_LIFE: i64 = 960;

/// The state of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimState {
    /// A stack declares the object.
    Declares,
    /// The owner is about to leave.
    Leaving,
    /// The owner has left, and its memory is needed until the last one leaves.
    Left,
}

/// The claim of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerClaim {
    /// The owner as people read it: `eu-west-1/team/Variable`.
    pub owner: String,
    /// The ARN of its stack.
    pub stack: String,
    /// Its state.
    pub state: ClaimState,
    /// The time before the claim, in a form that the resource type knows.
    pub memory: String,
    /// On GitHub's clock, in seconds since 1970.
    pub created: i64,
    /// The time since which its stack has declared the object, if that is another one: in seconds since 1970.
    pub since: Option<i64>,
    /// True if no process that wrote it can be alive.
    pub is_old: bool,
}

impl OwnerClaim {
    /// Returns true if the owner leaves at this moment.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.state == ClaimState::Leaving && !self.is_old
    }

    fn since(&self) -> i64 {
        self.since.unwrap_or(self.created)
    }

    /// Returns true if the object has to stay for this owner. A deletion that died leaves its stack with the object.
    #[must_use]
    pub fn needs_object(&self) -> bool {
        self.state == ClaimState::Declares || (self.state == ClaimState::Leaving && self.is_old)
    }
}

/// The key of an owner among the claims on one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimKey(String);

impl ClaimKey {
    /// The key of an owner.
    #[must_use]
    pub fn of(owner: &Owner) -> Self {
        Self(owner.digest(DIGEST).to_uppercase())
    }
}

/// The claims on one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerClaims(pub BTreeMap<ClaimKey, OwnerClaim>);

impl OwnerClaims {
    /// The claim of an owner, unless it has left.
    #[must_use]
    pub fn of(&self, owner: &Owner) -> Option<&OwnerClaim> {
        self.0.get(&ClaimKey::of(owner)).filter(|claim| claim.state != ClaimState::Left)
    }

    /// Returns true if a resource of this stack has the object.
    #[must_use]
    pub fn are_of_stack(&self, stack_id: &str) -> bool {
        self.0.values().any(|claim| claim.stack == stack_id && claim.state != ClaimState::Left)
    }

    /// Returns true if another stack needs the object and declared it before this one. That stack decides about it.
    #[must_use]
    pub fn are_decided_by_another(&self, stack_id: &str) -> bool {
        self.decider().is_some_and(|(_, claim)| claim.stack != stack_id)
    }

    /// The claim of the stack that declared the object first, among those that need it.
    fn decider(&self) -> Option<(&ClaimKey, &OwnerClaim)> {
        let of_stacks = self.0.iter().filter(|(_, claim)| claim.needs_object());
        of_stacks.min_by_key(|(key, claim)| (claim.since(), *key))
    }

    /// The claim of another stack that decides about the object, and whose process may be about to make it.
    #[must_use]
    pub fn maker(&self, stack_id: &str) -> Option<(&ClaimKey, &OwnerClaim)> {
        self.decider().filter(|(_, claim)| claim.stack != stack_id && !claim.is_old)
    }

    /// The time since which a stack has declared the object, if it does.
    #[must_use]
    pub fn since(&self, stack_id: &str) -> Option<i64> {
        let of_stack = self.0.values().filter(|claim| claim.stack == stack_id && claim.state != ClaimState::Left);
        of_stack.map(OwnerClaim::since).min()
    }

    /// The claims of all others.
    pub fn others(&self, owner: &Owner) -> impl Iterator<Item = (&ClaimKey, &OwnerClaim)> {
        let ours = ClaimKey::of(owner);
        self.0.iter().filter(move |(key, _)| **key != ours)
    }

    /// The oldest claim.
    #[must_use]
    pub fn oldest(&self) -> Option<&OwnerClaim> {
        self.0.values().min_by_key(|claim| claim.created)
    }

    /// The memories of all claims, the oldest first.
    #[must_use]
    pub fn memories(&self) -> Vec<&str> {
        let mut claims: Vec<&OwnerClaim> = self.0.values().collect();
        claims.sort_by_key(|claim| claim.created);
        claims.into_iter().map(|claim| claim.memory.as_str()).collect()
    }
}

/// The ids of objects that have claims.
pub trait ClaimPlace: fmt::Display + Sized {
    /// The GitHub that has the object.
    fn issuer(&self) -> &Issuer;
    /// `repos/octo-org/octo-repo` or `orgs/octo-org`, and the object in it.
    fn place(&self) -> (String, String);
    /// The repository that has the object.
    fn repository(&self) -> Option<&Repository>;
    /// The id of the same object in a repository that has another name now.
    fn in_repository(&self, name: &Repository) -> Option<Self>;
    /// A call on the claims. `path` stands behind the root of the API.
    fn claim_call(&self, action: &'static str, method: &'static str, path: String) -> ApiCall<'_>;
}

impl<N: ObjectName> ClaimPlace for GitHubObjectId<N> {
    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn place(&self) -> (String, String) {
        let path = self.name.path();
        let length = if path.starts_with("orgs/") { 2 } else { 3 };
        let parts: Vec<&str> = path.splitn(length + 1, '/').collect();
        let (place, object) = parts.split_at(length.min(parts.len()));
        (place.join("/"), object.concat())
    }

    fn repository(&self) -> Option<&Repository> {
        self.name.repository()
    }

    fn in_repository(&self, name: &Repository) -> Option<Self> {
        let path = format!("repos/{name}/{}", self.place().1);
        Some(Self { issuer: self.issuer.clone(), name: N::parse(&path)? })
    }

    fn claim_call(&self, action: &'static str, method: &'static str, path: String) -> ApiCall<'_> {
        self.call(action, method, path)
    }
}

/// A variable, as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedVariable {
    /// In upper case, as GitHub keeps it.
    pub name: String,
    /// Everybody who can read the place can read it.
    pub value: String,
    /// On GitHub's clock, as is the next.
    pub created_at: String,
    /// The last write.
    pub updated_at: String,
    /// `all`, `private` or `selected`, in an organisation.
    pub visibility: Option<String>,
}

#[derive(Deserialize)]
struct VariablesPage {
    total_count: usize,
    variables: Vec<ListedVariable>,
}

/// The variables of a repository or an organisation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    all: BTreeMap<String, ListedVariable>,
    /// The seconds that GitHub's clock is ahead of ours.
    pub ahead: i64,
    /// On GitHub's clock, in seconds since 1970.
    now: i64,
}

impl Variables {
    /// The variable of this name, which GitHub takes in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ListedVariable> {
        self.all.get(&name.to_uppercase())
    }

    /// The claims on an object.
    #[must_use]
    pub fn claims(&self, id: &impl ClaimPlace) -> OwnerClaims {
        let prefix = prefix(id);
        let of_object = self.all.values().filter_map(|variable| {
            let key = variable.name.strip_prefix(&prefix)?;
            Some((ClaimKey(key.to_owned()), claim(variable, self.now)))
        });
        OwnerClaims(of_object.collect())
    }

    /// The values of all, which everybody can read who can read the place.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.all.values().map(|variable| variable.value.as_str())
    }

    fn names(&self) -> Vec<&String> {
        self.all.keys().collect()
    }
}

/// The value of a claim.
#[derive(Serialize, Deserialize)]
struct ClaimValue {
    /// The object, for people.
    #[serde(default)]
    object: String,
    owner: String,
    stack: String,
    state: ClaimState,
    memory: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
}

const LIST: &str = "github:ListVariables";

fn unsteady(id: &impl ClaimPlace) -> CallError {
    let call = id.claim_call(LIST, "GET", collection(id));
    call.error(ErrorKind::Unknown, "200", "the list of variables changed all the time".to_owned())
}

fn collection(id: &impl ClaimPlace) -> String {
    format!("/{}/actions/variables", id.place().0)
}

/// The name of a repository is not in it, so that a claim outlives a new name. GitHub takes names in any case.
fn prefix(id: &impl ClaimPlace) -> String {
    format!("{CLAIM_PREFIX}{}_", digest(&[&id.place().1.to_lowercase()], DIGEST).to_uppercase())
}

fn name(id: &impl ClaimPlace, key: &ClaimKey) -> String {
    format!("{}{}", prefix(id), key.0)
}

impl Client {
    /// Lists the variables beside an object.
    ///
    /// # Errors
    /// When they cannot be read, or change all the time.
    pub async fn variables(&self, id: &impl ClaimPlace) -> Result<Variables, CallError> {
        for _ in 0..LISTINGS {
            if let Some(listed) = self.listed(id).await? {
                return Ok(listed);
            }
        }
        Err(unsteady(id))
    }

    /// Lists the variables beside an object that is to be deleted: no claim may be passed over. A list of several pages is read
    /// until two readings agree, because a variable that goes while another one comes moves a third one past the reader.
    ///
    /// # Errors
    /// When they cannot be read, or change all the time.
    pub async fn variables_for_delete(&self, id: &impl ClaimPlace) -> Result<Variables, CallError> {
        let mut before: Option<Variables> = None;
        for _ in 0..LISTINGS {
            let Some(listed) = self.listed(id).await? else { continue };
            if listed.all.len() <= PAGE || before.is_some_and(|before| before.names() == listed.names()) {
                return Ok(listed);
            }
            before = Some(listed);
        }
        Err(unsteady(id))
    }

    /// Reads all pages. Returns nothing where a variable went meanwhile, and another may have been passed over.
    async fn listed(&self, id: &impl ClaimPlace) -> Result<Option<Variables>, CallError> {
        let mut listed = Variables::default();
        for page in 1..=LAST_PAGE {
            let path = format!("{}?per_page={PAGE}&page={page}", collection(id));
            let call = id.claim_call(LIST, "GET", path);
            let response = match self.call(id.issuer(), &call).await {
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(Some(Variables::default())),
                other => other?,
            };
            (listed.ahead, listed.now) = (response.ahead, self.now() + response.ahead);
            let VariablesPage { total_count, variables } = response.json(&call)?;
            let is_last = variables.len() < PAGE;
            listed.all.extend(variables.into_iter().map(|variable| (variable.name.to_uppercase(), variable)));
            let seen = listed.all.len();
            if is_last || seen >= total_count {
                return Ok((seen == total_count).then_some(listed));
            }
        }
        let call = id.claim_call(LIST, "GET", collection(id));
        Err(call.error(ErrorKind::Invalid, "200", format!("the list of variables has more than {LAST_PAGE} pages")))
    }

    /// Writes the claim of an owner.
    ///
    /// # Errors
    /// When it is not written; a new one also if it is there already.
    pub async fn set_claim(
        &self,
        id: &impl ClaimPlace,
        key: &ClaimKey,
        claim: &OwnerClaim,
        is_new: bool,
    ) -> Result<i64, CallError> {
        let OwnerClaim { owner, stack, state, memory, since, .. } = claim.clone();
        let value = ClaimValue { object: id.to_string(), owner, stack, state, memory, since };
        let name = name(id, key);
        let mut body = json!({"name": name, "value": json!(value).to_string()});
        if is_new && id.place().0.starts_with("orgs/") {
            // No repository has to read it.
            body["visibility"] = json!("selected");
            body["selected_repository_ids"] = Value::Array(Vec::new());
        }
        let call = if is_new {
            id.claim_call("github:CreateClaim", "POST", collection(id))
        } else {
            id.claim_call("github:UpdateClaim", "PATCH", format!("{}/{name}", collection(id)))
        };
        let call = ApiCall { body: Some(body), ..call };
        let response = self.call(id.issuer(), &call).await?;
        Ok(self.now() + response.ahead)
    }

    /// Removes the claim of an owner.
    ///
    /// # Errors
    /// When it may be left.
    pub async fn remove_claim(&self, id: &impl ClaimPlace, key: &ClaimKey) -> Result<(), CallError> {
        let path = format!("{}/{}", collection(id), name(id, key));
        let removed = self.call(id.issuer(), &id.claim_call("github:DeleteClaim", "DELETE", path)).await;
        crate::aws::ignore_not_found(removed.map(drop))
    }
}

/// A claim whose value somebody has changed by hand counts as one that needs the object.
fn claim(variable: &ListedVariable, now: i64) -> OwnerClaim {
    let seconds = |text: &str| DateTime::from_str(text, Format::DateTime).map(|time| time.secs()).unwrap_or_default();
    let ClaimValue { object: _, owner, stack, state, memory, since } = serde_json::from_str(&variable.value)
        .unwrap_or_else(|_json| ClaimValue {
            object: String::new(),
            owner: variable.name.clone(),
            stack: String::new(),
            state: ClaimState::Declares,
            memory: String::new(),
            since: None,
        });
    let is_old = now - seconds(&variable.updated_at) > PROCESS_LIFE;
    OwnerClaim { owner, stack, state, memory, created: seconds(&variable.created_at), since, is_old }
}
