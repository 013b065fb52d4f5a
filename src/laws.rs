//! The laws that every kind obeys, checked over small worlds with the kind's own `plan` and `step`, without a runtime
//! and without a simulated service.
//!
//! 1. **sound**: the plan applied gives a state that an independent predicate accepts.
//! 2. **quiet**: planning again gives nothing to do.
//! 3. **interruptible**: stopped after any action, in any order that a stage allows, planning again leads to the same
//!    state; and planning for the old declaration leads back to the old state, as a rollback does.
//! 4. **harmless**: what is not ours is unchanged in every state.
//! 5. **final**: deletion ends in nothing, or in a release where the object is shared.
//! 6. **tight**: no state grants a pair of subject and permission that neither end grants; none that both grant is
//!    missing.
//! 7. **covered**: every action is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Write};

use crate::cloudformation::StackId;
use crate::ownership::Owner;
use crate::reconcile::{Plan, Planner};

/// The facts about a resource type that the laws need, written independently of its `plan` and `step`.
pub(crate) trait PlanLaws: Planner<Desired: Debug, Observed: Debug + PartialEq, Action: Debug + Clone> {
    /// The names of all actions.
    const VARIANTS: &'static [&'static str];
    /// Returns the output of the service.
    fn output(action: &Self::Action) -> Self::ApplyOutput;
    /// Returns the state as a deletion reads it.
    fn observed_for_delete(observed: Self::Observed) -> Self::Observed {
        observed
    }
    /// Checks that a state is the desired one, or the one after a deletion.
    fn done(
        owner: &Owner,
        desired: Option<&Self::Desired>,
        before: Option<&Self::Observed>,
        after: Option<&Self::Observed>,
    ) -> Result<(), String>;
    /// Returns the parts of a state that belong to others, as text; with `deleting`, the parts that stay after a deletion.
    fn foreign(owner: &Owner, observed: Option<&Self::Observed>, deleting: bool) -> BTreeSet<String>;
    /// The pairs of subject and permission that a state grants.
    fn granted(observed: Option<&Self::Observed>) -> BTreeSet<(String, String)>;
    /// Returns true if a pair that both ends grant is never missing. No pair too many is granted in any case.
    fn keeps_common(_desired: Option<&Self::Desired>, _observed: Option<&Self::Observed>) -> bool {
        true
    }
}

/// The number of cases that were checked.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) worlds: usize,
    pub(crate) plans: usize,
    pub(crate) states: usize,
    pub(crate) refusals: usize,
    variants: BTreeMap<String, usize>,
}

pub(crate) fn owner(logical_id: &str) -> Owner {
    let stack = StackId::parse("arn:aws:cloudformation:us-east-1:123456789012:stack/laws/1");
    Owner::new(&stack.expect("a stack"), logical_id)
}

/// The state after a declaration was carried out in a state.
pub(crate) fn after<K: PlanLaws>(
    owner: &Owner,
    desired: Option<&K::Desired>,
    observed: Option<K::Observed>,
) -> Option<K::Observed> {
    let observed = read::<K>(desired, observed);
    let plan = K::plan(owner, desired, observed.as_ref()).expect("no refusal");
    finish::<K>(&plan, observed)
}

/// The plan from a state to a declaration as people read it: a line for each stage.
pub(crate) fn plan_text<K: PlanLaws>(
    owner: &Owner,
    desired: Option<&K::Desired>,
    observed: Option<&K::Observed>,
) -> String {
    let observed = read::<K>(desired, observed.cloned());
    let plan = K::plan(owner, desired, observed.as_ref()).expect("no refusal");
    let stage = |stage: &Vec<K::Action>| stage.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let stages: Vec<String> = plan.stages().iter().map(stage).collect();
    if stages.is_empty() { "nothing".to_owned() } else { stages.join("\n") }
}

/// Returns the state as the loop reads it before it plans.
fn read<K: PlanLaws>(desired: Option<&K::Desired>, observed: Option<K::Observed>) -> Option<K::Observed> {
    if desired.is_none() { observed.map(K::observed_for_delete) } else { observed }
}

fn finish<K: PlanLaws>(plan: &Plan<K::Action>, observed: Option<K::Observed>) -> Option<K::Observed> {
    plan.stages().iter().flatten().fold(observed, |observed, action| K::step(observed, action, K::output(action)))
}

impl Coverage {
    /// Checks all laws for one step from `observed` to `desired`. `previous` is the declaration that `observed` came
    /// from, if it is one of ours.
    pub(crate) fn check<K: PlanLaws>(
        &mut self,
        owner: &Owner,
        desired: Option<&K::Desired>,
        observed: Option<&K::Observed>,
        previous: Option<&K::Desired>,
    ) {
        self.worlds += 1;
        let observed = read::<K>(desired, observed.cloned());
        let observed = observed.as_ref();
        let world = || format!("\n  desired {desired:#?}\n  observed {observed:#?}");
        let plan = match K::plan(owner, desired, observed) {
            Ok(plan) => plan,
            Err(refusal) => {
                self.refusals += 1;
                assert!(desired.is_some(), "final: a deletion was refused ({refusal}){}", world());
                return;
            }
        };
        self.plans += 1;
        for action in plan.stages().iter().flatten() {
            *self.variants.entry(variant(action)).or_default() += 1;
        }
        let end = finish::<K>(&plan, observed.cloned());
        if let Err(why) = K::done(owner, desired, observed, end.as_ref()) {
            panic!("sound: {why}{}\n  end {end:#?}", world());
        }
        let again = K::plan(owner, desired, read::<K>(desired, end.clone()).as_ref()).expect("no refusal");
        assert!(again.is_empty(), "quiet: {:?}{}", again.stages(), world());

        let deleting = desired.is_none();
        let foreign = K::foreign(owner, observed, deleting);
        let (old, new) = (K::granted(observed), K::granted(end.as_ref()));
        let common = K::keeps_common(desired, observed);
        for orders in orders(&plan) {
            let mut state = observed.cloned();
            for action in orders {
                state = K::step(state, action, K::output(action));
                self.states += 1;
                let here = || format!("after {action:?}\n  of {:#?}{}", plan.stages(), world());
                assert_eq!(K::foreign(owner, state.as_ref(), deleting), foreign, "harmless: {}", here());
                let now = K::granted(state.as_ref());
                if let Some(pair) = now.iter().find(|pair| !old.contains(pair) && !new.contains(pair)) {
                    panic!("tight: {pair:?} is granted {}", here());
                }
                if let Some(pair) = old.intersection(&new).find(|pair| common && !now.contains(pair)) {
                    panic!("tight: {pair:?} is missing {}", here());
                }
                let resumed = K::plan(owner, desired, read::<K>(desired, state.clone()).as_ref()).expect("no refusal");
                assert_eq!(finish::<K>(&resumed, state.clone()), end, "interruptible: {}", here());
                if let Some(previous) = previous {
                    let back = K::plan(owner, Some(previous), state.as_ref()).expect("no refusal");
                    let back = finish::<K>(&back, state.clone());
                    assert_eq!(back.as_ref(), observed, "interruptible, rolled back: {}", here());
                }
            }
        }
    }

    /// The law of coverage.
    pub(crate) fn covered<K: PlanLaws>(&self) {
        for variant in K::VARIANTS {
            assert!(self.variants.contains_key(*variant), "covered: no plan has {variant}");
        }
        for variant in self.variants.keys() {
            assert!(K::VARIANTS.contains(&variant.as_str()), "covered: {variant} is not listed");
        }
    }

    /// Says how much was checked.
    pub(crate) fn report<K: PlanLaws>(&self) {
        let Self { worlds, plans, states, refusals, variants: _ } = self;
        println!("{}: {worlds} worlds, {plans} plans, {states} states between, {refusals} refusals", K::TYPE);
    }
}

/// The name of an action: the beginning of its `Debug`, which is not written any further.
fn variant(action: &impl Debug) -> String {
    struct Name(String);

    impl Write for Name {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            self.0.push_str(name);
            if name.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
        }
    }

    let mut name = Name(String::new());
    let _ = write!(name, "{action:?}");
    name.0
}

/// Orders in which a plan's actions may happen: every permutation of a stage of up to three actions, both directions of
/// a longer one.
fn orders<A>(plan: &Plan<A>) -> Vec<Vec<&A>> {
    let mut orders: Vec<Vec<&A>> = vec![Vec::new()];
    for stage in plan.stages() {
        let stage: Vec<&A> = stage.iter().collect();
        let ways = permutations(&stage);
        orders =
            orders.iter().flat_map(|order| ways.iter().map(|way| order.iter().chain(way).copied().collect())).collect();
    }
    orders
}

fn permutations<'a, A>(items: &[&'a A]) -> Vec<Vec<&'a A>> {
    if items.len() > 3 {
        return vec![items.to_vec(), items.iter().rev().copied().collect()];
    }
    if items.is_empty() {
        return vec![Vec::new()];
    }
    (0..items.len())
        .flat_map(|first| {
            let mut rest = items.to_vec();
            let head = rest.remove(first);
            permutations(&rest).into_iter().map(move |tail| std::iter::once(head).chain(tail).collect())
        })
        .collect()
}
