//! Decisions about the form of the subjects of a repository or organisation. A role that trusts one form only is locked out by a switch to the
//! other, so that the switch is refused until it trusts both; and a deletion leaves things as they are rather than do that.

use std::collections::BTreeSet;
use std::fmt;

use super::{CustomizationTemplate, GitHubRepositoryOidcs, Observed, OidcCustomization, Spec};
use crate::cloudformation::Attributes;
use crate::error::Refusal;
use crate::github::subject_facts::{FormatChoice, SubjectFormat};
use crate::ownership::Owner;
use crate::reconcile::{Plan, Planner};

const CLASSIC: FormatChoice = FormatChoice::Made(SubjectFormat::Classic);
const IMMUTABLE: FormatChoice = FormatChoice::Made(SubjectFormat::Immutable);

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the name says it")]
pub enum Action {
    Switch { to: FormatChoice, template: CustomizationTemplate },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Switch { to, template: _ } = self;
        match to {
            FormatChoice::Made(format) => write!(f, "switch to {format} subjects"),
            FormatChoice::Unset => f.write_str("take back the choice of the subjects"),
        }
    }
}

/// The number of roles and accounts in the attribute.
const NAMED: usize = 12;

/// Says where else to look.
fn to_look_at(elsewhere: &BTreeSet<String>) -> String {
    if elsewhere.is_empty() {
        return "Its variables of Actions name none; secrets and workflow files were not read".to_owned();
    }
    let named: Vec<&str> = elsewhere.iter().take(NAMED).map(String::as_str).collect();
    let more = match elsewhere.len() - named.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("Its variables of Actions name {}{more}: look there first", named.join(", "))
}

impl Planner for GitHubRepositoryOidcs {
    fn plan(_: &Owner, desired: Option<&Spec>, observed: Option<&Observed>) -> Result<Plan<Action>, Refusal> {
        let Some(observed) = observed else {
            return match desired {
                None => Ok(Plan::nothing()),
                Some(desired) => Err(Refusal::PreconditionFailed {
                    what: format!("GitHub shows no {} to the function's credential", desired.name.noun()),
                    remedy: "It is not there, or the credential may not see its Actions settings".to_owned(),
                }),
            };
        };
        let switch = |to| Plan::nothing().then([Action::Switch { to, template: observed.template.clone() }]);
        let Some(Spec { issuer: _, name, format }) = desired else {
            let back =
                observed.before.filter(|before| *before != observed.chosen && observed.locked_out(*before).is_empty());
            return Ok(back.map_or_else(Plan::nothing, switch));
        };
        // A repository that sends ids by itself needs no choice.
        let wanted = FormatChoice::Made(*format);
        if observed.chosen == wanted || (observed.sent == *format && *format == SubjectFormat::Immutable) {
            return Ok(Plan::nothing());
        }
        // A choice that somebody has taken back by hand may be made again, the stricter one by every stack.
        let is_stricter = observed.chosen == FormatChoice::Unset && wanted == IMMUTABLE;
        if observed.chosen_by_others && !is_stricter {
            return Err(Refusal::Foreign {
                what: format!("the choice of the subjects of {}", name.whose()),
                owner: "another resource declares it".to_owned(),
                remedy: "Declare the same `UseImmutableSubject`, or take it out of the other stack first",
            });
        }
        if wanted == CLASSIC && observed.before.unwrap_or(observed.chosen) == IMMUTABLE {
            return Err(Refusal::Foreign {
                what: format!("the choice of immutable subjects of {}", name.whose()),
                owner: "it was made before any stack declared it".to_owned(),
                remedy: "Declare `UseImmutableSubject: true`, or choose classic subjects at GitHub by hand first",
            });
        }
        let locked_out = observed.locked_out(wanted);
        if !locked_out.is_empty() {
            let names: Vec<&str> = locked_out.iter().map(String::as_str).collect();
            return Err(Refusal::PreconditionFailed {
                what: format!(
                    "with {format} subjects, workflows of {} could no longer assume {}",
                    name.whose(),
                    names.join(", ")
                ),
                remedy: "Let these trust both forms first (`SubjectFormat: Both`), switch, and then let them trust one"
                    .to_owned(),
            });
        }
        Ok(switch(wanted))
    }

    fn step(observed: Option<Observed>, action: &Action, (): ()) -> Option<Observed> {
        let Action::Switch { to, template: _ } = action;
        observed.map(|observed| {
            let sent = if let FormatChoice::Made(format) = to { *format } else { observed.sent };
            Observed { chosen: *to, sent, ..observed }
        })
    }

    fn attributes(desired: &Spec, observed: &Observed) -> Attributes {
        let (repository, organization) = match &desired.name {
            OidcCustomization::Repository(repository) => (repository.to_string(), String::new()),
            OidcCustomization::Organization(owner) => (String::new(), owner.clone()),
        };
        let warning = format!(
            "The roles of this account were checked. Not seen: roles of other accounts and other clouds that trust {}. {}",
            desired.name.whose(),
            to_look_at(&observed.elsewhere)
        );
        [("Repository", repository), ("Organization", organization), ("Warning", warning)].into()
    }
}
