//! The worlds in which switches are checked.

use std::collections::BTreeSet;

use crate::github::Issuer;
use crate::github::name::Repository;
use crate::github::subject_facts::{FormatChoice, SubjectFormat};
use crate::laws::{Coverage, PlanLaws, owner, plan_text};
use crate::owner_claim_laws;
use crate::ownership::Owner;
use crate::reconcile::Planner;
use crate::resources::github_repository_oidc::plan::Action;
use crate::resources::github_repository_oidc::{
    CustomizationTemplate, GitHubRepositoryOidcs, Observed, OidcCustomization, Only, Spec,
};

const FORMATS: [SubjectFormat; 2] = [SubjectFormat::Classic, SubjectFormat::Immutable];
const CLASSIC: FormatChoice = FormatChoice::Made(SubjectFormat::Classic);
const IMMUTABLE: FormatChoice = FormatChoice::Made(SubjectFormat::Immutable);
const CHOICES: [FormatChoice; 3] = [CLASSIC, IMMUTABLE, FormatChoice::Unset];

impl PlanLaws for GitHubRepositoryOidcs {
    const VARIANTS: &'static [&'static str] = &["Switch"];

    fn output(_: &Action) {}

    fn done(
        _: &Owner,
        desired: Option<&Spec>,
        before: Option<&Observed>,
        after: Option<&Observed>,
    ) -> Result<(), String> {
        let (Some(before), Some(after)) = (before, after) else {
            return if desired.is_none() { Ok(()) } else { Err("a repository is not made".into()) };
        };
        let holds = match desired {
            Some(Spec { format: SubjectFormat::Immutable, .. }) => after.sent == SubjectFormat::Immutable,
            Some(Spec { format: SubjectFormat::Classic, .. }) => after.chosen == CLASSIC,
            // What it was, unless that would lock somebody out.
            None => before.before.is_none_or(|was| after.chosen == was || !before.locked_out(was).is_empty()),
        };
        if holds { Ok(()) } else { Err("not the form that is asked for".into()) }
    }

    fn foreign(_: &Owner, observed: Option<&Observed>, _: bool) -> BTreeSet<String> {
        // The template is the repository's own.
        observed.map(|observed| format!("{:?}", observed.template)).into_iter().collect()
    }

    /// The roles that the workflows can assume.
    fn granted(observed: Option<&Observed>) -> BTreeSet<(String, String)> {
        let Some(Observed { sent, only, .. }) = observed else { return BTreeSet::new() };
        let admitted = match sent {
            SubjectFormat::Classic => &only.classic,
            SubjectFormat::Immutable => &only.immutable,
        };
        admitted.iter().map(|role| ("workflow".to_owned(), role.clone())).collect()
    }
}

fn worlds() -> Vec<Observed> {
    let mut all = Vec::new();
    for chosen in CHOICES {
        // New repositories send ids whatever is chosen.
        for sent in FORMATS.into_iter().filter(|sent| *sent == SubjectFormat::Immutable || chosen != IMMUTABLE) {
            for before in [None, Some(CLASSIC), Some(IMMUTABLE), Some(FormatChoice::Unset)] {
                for (classic, immutable) in [(false, false), (true, false), (false, true)] {
                    let role = |is: bool| is.then(|| "deploy".to_owned()).into_iter().collect();
                    all.push(Observed {
                        chosen,
                        sent,
                        before,
                        chosen_by_others: false,
                        template: CustomizationTemplate { use_default: Some(false), keys: Some(vec!["repo".into()]) },
                        only: Only { classic: role(classic), immutable: role(immutable) },
                        elsewhere: BTreeSet::new(),
                    });
                }
            }
        }
    }
    all
}

fn spec(format: SubjectFormat) -> Spec {
    let (issuer, repository) = (Issuer::of_host("github.com"), Repository::parse("o/r"));
    let name = OidcCustomization::Repository(repository.expect("a repository"));
    Spec { issuer: issuer.expect("a host"), name, format }
}

#[test]
fn switches_obey_the_laws() {
    let owner = owner("Oidc");
    let mut tally = Coverage::default();
    for observed in worlds() {
        tally.check::<GitHubRepositoryOidcs>(&owner, None, Some(&observed), None);
        for format in FORMATS {
            tally.check::<GitHubRepositoryOidcs>(&owner, Some(&spec(format)), Some(&observed), None);
        }
    }
    tally.check::<GitHubRepositoryOidcs>(&owner, None, None, None);
    tally.covered::<GitHubRepositoryOidcs>();
    tally.report::<GitHubRepositoryOidcs>();
}

#[test]
fn claims_on_the_subjects_of_a_repository_obey_the_laws() {
    let mut cases = vec![(None, None)];
    for observed in worlds().into_iter().filter(|world| world.before.is_none()) {
        let desires = [None, Some(spec(SubjectFormat::Classic)), Some(spec(SubjectFormat::Immutable))];
        cases.extend(desires.map(|desired| (desired, Some(observed.clone()))));
    }
    owner_claim_laws::obey::<GitHubRepositoryOidcs>(&cases, 0);
}

#[test]
fn no_switch_locks_out_a_role_that_trusts_one_form_only() {
    for observed in worlds() {
        let plans = [None, Some(spec(SubjectFormat::Classic)), Some(spec(SubjectFormat::Immutable))]
            .map(|desired| GitHubRepositoryOidcs::plan(&owner("Oidc"), desired.as_ref(), Some(&observed)));
        for plan in plans.into_iter().flatten() {
            for Action::Switch { to, .. } in plan.stages().iter().flatten() {
                assert!(observed.locked_out(*to).is_empty(), "{observed:?} {plan:?}");
            }
        }
    }
}

#[test]
fn the_plans_of_a_switch_read_well() {
    let owner = owner("Oidc");
    let classic = worlds().into_iter().find(|world| world.sent == SubjectFormat::Classic && world.before.is_none());
    let switched = Observed {
        chosen: IMMUTABLE,
        sent: SubjectFormat::Immutable,
        before: Some(CLASSIC),
        ..classic.clone().expect("one")
    };
    let plan = |desired, observed| plan_text::<GitHubRepositoryOidcs>(&owner, desired, observed);
    let immutable = spec(SubjectFormat::Immutable);
    insta::assert_snapshot!(plan(Some(&immutable), classic.as_ref()), @"switch to immutable subjects");
    insta::assert_snapshot!(plan(Some(&immutable), Some(&switched)), @"nothing");
    insta::assert_snapshot!(plan(None, Some(&switched)), @"switch to classic subjects");
}
