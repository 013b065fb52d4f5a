//! Decisions about an environment. Superfluous patterns are removed first and missing ones added last, so that at no moment a
//! branch may deploy that neither the old nor the new declaration allows. An environment that is restricted to patterns and
//! has none yet allows no branch.

use std::collections::BTreeMap;
use std::fmt;

use super::stricter::EnvironmentSettings;
use super::{ApplyOutput, DeploymentBranchPolicy, Desired, GitHubEnvironments, Observed, RefPattern, Rules, Spec};
use crate::cloudformation::Attributes;
use crate::error::Refusal;
use crate::ownership::Owner;
use crate::readable_list::list;
use crate::reconcile::{Plan, Planner};

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Create(Rules),
    Set(Rules),
    Add(RefPattern),
    Remove { pattern: RefPattern, id: u64 },
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, rules) = match self {
            Self::Create(rules) => ("create the environment", rules),
            Self::Set(rules) => ("set", rules),
            Self::Add(pattern) => return write!(f, "let {pattern} deploy"),
            Self::Remove { pattern, id: _ } => return write!(f, "let {pattern} deploy no more"),
            Self::Delete => return f.write_str("delete the environment"),
        };
        let Rules { wait_timer, prevent_self_review, reviewers, policy, bars_administrators } = rules;
        write!(
            f,
            "{verb} with a wait of {wait_timer} min, reviewers {}{}, branches {policy}{}",
            list(reviewers),
            if *prevent_self_review { " of others' runs" } else { "" },
            if *bars_administrators { ", no bypass for administrators" } else { "" }
        )
    }
}

/// The settings that the environment is to have: as declared, but where somebody has made them stricter.
fn wanted(desired: &Desired, observed: &Observed) -> EnvironmentSettings {
    let Desired { spec, before, remark: _ } = desired;
    let today = observed.settings();
    let declared = EnvironmentSettings::declared(spec, &today);
    match before {
        Some(before) if observed.ours && !spec.adopt => {
            declared.keep_stricter(&EnvironmentSettings::declared(before, &EnvironmentSettings::NONE), &today)
        }
        _ => declared,
    }
}

/// The refusal of a change that cannot name a reviewer who has to stay.
fn unknown_reviewer(spec: &Spec) -> Refusal {
    Refusal::PreconditionFailed {
        what: format!(
            "GitHub does not show a reviewer of {}, so that a change would remove the reviewer",
            spec.id().name
        ),
        remedy: "Set the reviewers at GitHub anew, or declare `Reviewers` with `OnExisting: Adopt`".to_owned(),
    }
}

impl Observed {
    fn settings(&self) -> EnvironmentSettings {
        EnvironmentSettings { rules: self.rules.clone(), patterns: self.patterns.keys().cloned().collect() }
    }
}

impl Planner for GitHubEnvironments {
    fn plan(_: &Owner, desired: Option<&Desired>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        let Some(desired) = desired else {
            let delete = observed.filter(|observed| observed.ours && !observed.occupied && !observed.stricter);
            let delete = delete.map(|_| Action::Delete);
            return Ok(Plan::nothing().then(delete));
        };
        let Some(observed) = observed else {
            let EnvironmentSettings { rules, patterns } =
                EnvironmentSettings::declared(&desired.spec, &EnvironmentSettings::NONE);
            return Ok(Plan::nothing().then([Action::Create(rules)]).then(patterns.into_iter().map(Action::Add)));
        };
        let EnvironmentSettings { rules, patterns: wanted } = wanted(desired, observed);
        // GitHub removes them itself under another policy.
        let superfluous = observed
            .patterns
            .iter()
            .filter(|(pattern, _)| rules.policy == DeploymentBranchPolicy::Custom && !wanted.contains(*pattern));
        let missing = wanted.iter().filter(|pattern| !observed.patterns.contains_key(*pattern));
        let plan = Plan::nothing()
            .then(superfluous.map(|(pattern, id)| Action::Remove { pattern: pattern.clone(), id: *id }))
            .then((rules != observed.rules).then(|| Action::Set(rules.clone())))
            .then(missing.cloned().map(Action::Add));
        if !plan.is_empty() && !observed.ours && !desired.spec.adopt {
            return Err(Refusal::Foreign {
                what: desired.spec.id().name.to_string(),
                owner: "it was there before, or was made by somebody else".to_owned(),
                remedy: "Delete it at GitHub, choose another `Name`, or take it over with `OnExisting: Adopt`",
            });
        }
        if rules != observed.rules && rules.reviewers.iter().any(|reviewer| reviewer.id.is_none()) {
            return Err(unknown_reviewer(&desired.spec));
        }
        Ok(plan)
    }

    fn step(observed: Option<Observed>, action: &Action, output: ApplyOutput) -> Option<Observed> {
        if let Action::Create(rules) = action {
            let (rules, patterns) = (rules.clone(), BTreeMap::new());
            return Some(Observed {
                rules,
                patterns,
                created: output.at,
                ours: true,
                occupied: false,
                stricter: false,
            });
        }
        let mut observed = observed?;
        match action.clone() {
            Action::Create(_) => {}
            Action::Set(rules) => {
                if rules.policy != DeploymentBranchPolicy::Custom {
                    observed.patterns.clear();
                }
                observed.rules = rules;
            }
            Action::Add(pattern) => {
                observed.patterns.insert(pattern, output.id);
            }
            Action::Remove { pattern, id: _ } => {
                observed.patterns.remove(&pattern);
            }
            Action::Delete => return None,
        }
        Some(observed)
    }

    fn attributes(desired: &Desired, observed: &Observed) -> Attributes {
        let declared = EnvironmentSettings::declared(&desired.spec, &observed.settings());
        let wanted = wanted(desired, observed);
        let kept: Vec<&str> = wanted.differences(&declared).collect();
        let stricter = (!kept.is_empty()).then(|| {
            format!(
                "somebody has made the environment stricter than it was declared before, and so it stays in: {}. \
                 `OnExisting: Adopt` sets what is declared",
                kept.join(", ")
            )
        });
        let is_about_it = wanted.rules.policy == DeploymentBranchPolicy::Protected && !desired.remark.is_empty();
        let remark = is_about_it.then(|| desired.remark.to_owned());
        let warnings: Vec<String> = stricter.into_iter().chain(remark).collect();
        [("Name", desired.spec.name.clone()), ("Warning", warnings.join(". "))].into()
    }
}
