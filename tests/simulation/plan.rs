//! A history written down before it happens: the surroundings, the steps, the trouble. The same plan gives the same
//! history, call for call, and a shorter plan is a plan, too.

use std::time::Duration;

use super::account::Account;
use super::changed_names::AtGitHub;
use super::cloudformation::{Disturbance, Template};
use super::eks::Status;
use super::faults::{At, Fault, Rates, When};

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) setting: Setting,
    /// Numbered, so that a fault stays with its step when another step goes.
    pub(crate) steps: Vec<(u64, Step)>,
    pub(crate) trouble: Trouble,
    /// Whether everything that is asked for can be done in spite of the trouble, so that it must be done.
    pub(crate) must_succeed: bool,
    /// Whether everything that fails can be rolled back in spite of the trouble, so that it must be rolled back.
    pub(crate) must_not_stick: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// By the stack's name.
    Create(&'static str, Template),
    Update(&'static str, Template),
    Delete(&'static str),
    ContinueRollback(&'static str, Vec<&'static str>),
    /// Concerns the next request of that resource.
    Disturb(&'static str, Disturbance),
    Someone(ManualChange),
    AtGitHub(AtGitHub),
    Wait(Duration),
    /// At once, each in another stack.
    Together(Vec<Step>),
}

/// What others do to what is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ManualChange {
    AttachPolicy,
    DetachPolicies,
    WriteInlinePolicy,
    OpenTrust,
    TagRole,
    PutIntoInstanceProfile,
    RecreateRole,
    DeleteRole,
    AddClientId,
    RemoveClientIds,
    DeleteEntry,
    DisassociatePolicies,
    ChangeGroups,
}

#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    None,
    AtRandom(Rates),
    Exactly(Vec<(At, When, Fault)>),
}

/// The surroundings: which of the services' liberties are taken, and what is there before us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Seconds until readers see what is new in IAM, and what is changed.
    pub(crate) iam_lag: u64,
    pub(crate) iam_change_lag: u64,
    pub(crate) odd_arn: u64,
    pub(crate) principal_lag: u64,
    pub(crate) role_lag: u64,
    pub(crate) entry_lag: u64,
    pub(crate) page: usize,
    pub(crate) empty_pages: bool,
    pub(crate) forgets_client_tokens: bool,
    pub(crate) associating_again_is_ignored: bool,
    pub(crate) deleting_a_missing_provider_fails: bool,
    pub(crate) provider_of_others: bool,
    pub(crate) rolls_back_replacements_by_update: bool,
    pub(crate) service_timeout: Option<u64>,
    /// Seconds until a new tag counts for authorization.
    pub(crate) tags_lag: u64,
    pub(crate) gone_is_denied: bool,
    /// Services word their errors otherwise; code and status stay.
    pub(crate) garbles: Option<&'static str>,
    /// Seconds for which the name of a deleted secret stays taken.
    pub(crate) secret_lag: u64,
    /// IAM takes a trust policy whose provider does not exist.
    pub(crate) takes_unknown_providers: bool,
    /// Seconds until a new secret is shown.
    pub(crate) secret_read_lag: u64,
    /// Seconds for which reads of EKS show the entries as they were.
    pub(crate) eks_read_lag: u64,
    pub(crate) empty_descriptions_stay: bool,
    pub(crate) refuses_own_usernames: bool,
    pub(crate) nodes_take_no_tags: bool,
    /// Seconds until CloudFormation shows the state of a resource, and those by which its clock is ahead.
    pub(crate) states_lag: u64,
    pub(crate) clock_skew: i64,
    /// Seconds.
    pub(crate) lambda_timeout: u64,
    /// Whether the function has a credential for GitHub; a stage of its own plays it.
    pub(crate) credential: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            iam_lag: 0,
            iam_change_lag: 0,
            odd_arn: 0,
            principal_lag: 0,
            role_lag: 0,
            entry_lag: 0,
            page: 100,
            empty_pages: false,
            forgets_client_tokens: false,
            associating_again_is_ignored: false,
            deleting_a_missing_provider_fails: false,
            provider_of_others: false,
            rolls_back_replacements_by_update: false,
            service_timeout: None,
            tags_lag: 0,
            gone_is_denied: false,
            garbles: None,
            secret_lag: 0,
            takes_unknown_providers: false,
            secret_read_lag: 0,
            eks_read_lag: 0,
            empty_descriptions_stay: false,
            refuses_own_usernames: false,
            nodes_take_no_tags: false,
            states_lag: 0,
            clock_skew: 0,
            lambda_timeout: 600,
            credential: false,
        }
    }
}

/// Policies of the account that roles may be bounded by.
pub(crate) const BOUNDARIES: [&str; 2] =
    ["arn:aws:iam::111122223333:policy/boundary", "arn:aws:iam::111122223333:policy/wider-boundary"];
pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";

impl Setting {
    pub(crate) fn apply(&self, account: &mut Account, now: std::time::SystemTime) {
        let seconds = Duration::from_secs;
        let iam = &mut account.iam.settings;
        iam.lag = seconds(self.iam_lag);
        iam.change_lag = seconds(self.iam_change_lag);
        iam.lag_is_exact = false;
        iam.odd_arn = seconds(self.odd_arn);
        iam.principal_lag = seconds(self.principal_lag);
        iam.page = self.page;
        iam.empty_pages = self.empty_pages;
        iam.deleting_a_missing_provider_fails = self.deleting_a_missing_provider_fails;
        iam.principals_are_checked = !self.takes_unknown_providers;
        iam.empty_descriptions_stay = self.empty_descriptions_stay;
        account.authorization.tags_lag = seconds(self.tags_lag);
        account.authorization.gone_is_denied = self.gone_is_denied;
        account.garbles = self.garbles;
        (account.stacks.lag, account.stacks.clock_skew) = (seconds(self.states_lag), self.clock_skew);
        account.secrets.lingers = seconds(self.secret_lag);
        account.secrets.read_lag = seconds(self.secret_read_lag);
        let eks = &mut account.eks.settings;
        eks.role_lag = seconds(self.role_lag);
        eks.entry_lag = seconds(self.entry_lag);
        eks.read_lag = seconds(self.eks_read_lag);
        eks.refuses_own_usernames = self.refuses_own_usernames;
        eks.nodes_take_no_tags = self.nodes_take_no_tags;
        eks.page = self.page;
        eks.empty_pages = self.empty_pages;
        eks.honours_client_tokens = !self.forgets_client_tokens;
        eks.associating_again_changes_scope = !self.associating_again_is_ignored;
        account.iam.policies.extend(BOUNDARIES.map(str::to_owned));
        account.eks.add_cluster("prod", "API_AND_CONFIG_MAP", Status::Active, now);
        if self.credential {
            account.github.secret = Some(r#"{"token": "ghp_0123456789"}"#.to_owned());
        }
        if self.provider_of_others {
            let input = serde_json::json!({"Url": ISSUER, "ClientIDList": ["theirs"], "Tags": [{"Key": "owner", "Value": "them"}]});
            account
                .iam_as(&super::author::Author::Someone, now, "CreateOpenIDConnectProvider", &input)
                .expect("an empty account");
        }
    }

    /// This, with one thing as it is by default; one candidate for each thing that is not.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        let plain = Self::default();
        let candidates = [
            Self { iam_lag: plain.iam_lag, ..self.clone() },
            Self { iam_change_lag: plain.iam_change_lag, ..self.clone() },
            Self { odd_arn: plain.odd_arn, ..self.clone() },
            Self { principal_lag: plain.principal_lag, ..self.clone() },
            Self { role_lag: plain.role_lag, ..self.clone() },
            Self { entry_lag: plain.entry_lag, ..self.clone() },
            Self { page: plain.page, ..self.clone() },
            Self { empty_pages: false, ..self.clone() },
            Self { forgets_client_tokens: false, ..self.clone() },
            Self { associating_again_is_ignored: false, ..self.clone() },
            Self { deleting_a_missing_provider_fails: false, ..self.clone() },
            Self { provider_of_others: false, ..self.clone() },
            Self { rolls_back_replacements_by_update: false, ..self.clone() },
            Self { service_timeout: None, ..self.clone() },
            Self { tags_lag: 0, ..self.clone() },
            Self { gone_is_denied: false, ..self.clone() },
            Self { garbles: None, ..self.clone() },
            Self { secret_lag: 0, ..self.clone() },
            Self { takes_unknown_providers: false, ..self.clone() },
            Self { secret_read_lag: 0, ..self.clone() },
            Self { eks_read_lag: 0, ..self.clone() },
            Self { empty_descriptions_stay: false, ..self.clone() },
            Self { refuses_own_usernames: false, ..self.clone() },
            Self { nodes_take_no_tags: false, ..self.clone() },
            Self { states_lag: 0, ..self.clone() },
            Self { clock_skew: 0, ..self.clone() },
            Self { lambda_timeout: plain.lambda_timeout, ..self.clone() },
        ];
        candidates.into_iter().filter(|candidate| candidate != self).collect()
    }
}
