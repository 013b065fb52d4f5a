//! A history that violates an invariant, told as shortly as possible: parts are left out as long as the same invariant is
//! violated without them.

use serde_json::Value;

use super::history::{Outcome, Stage};
use super::plan::{Plan, Step, Trouble};

/// The shortest plan found that still violates what the given one violates, and what comes of it.
pub(crate) fn shortest(stage: &Stage, plan: &Plan, first: &Outcome, mut tries: usize) -> (Plan, Outcome) {
    let Some(violated) = first.violations.first().map(|violation| violation.invariant) else {
        return (plan.clone(), stage.play(plan));
    };
    // From faults at random to the very faults that struck, so that each can be left out.
    let exact = Plan { trouble: Trouble::Exactly(first.struck.clone()), ..plan.clone() };
    let mut best = match violation_of(stage, &exact, violated) {
        Some(outcome) => (exact, outcome),
        None => (plan.clone(), stage.play(plan)),
    };
    loop {
        let mut found = None;
        for candidate in simpler(&best.0) {
            if tries == 0 {
                return best;
            }
            tries -= 1;
            if let Some(outcome) = violation_of(stage, &candidate, violated) {
                found = Some((candidate, outcome));
                break;
            }
        }
        match found {
            Some(shorter) => best = shorter,
            None => return best,
        }
    }
}

fn violation_of(stage: &Stage, plan: &Plan, violated: &str) -> Option<Outcome> {
    let outcome = stage.play(plan);
    outcome.violations.iter().any(|violation| violation.invariant == violated).then_some(outcome)
}

/// Plans with one thing less, the biggest things first.
fn simpler(plan: &Plan) -> Vec<Plan> {
    let mut simpler = Vec::new();
    let with_steps = |steps| Plan { steps, ..plan.clone() };
    for index in 0..plan.steps.len() {
        let mut steps = plan.steps.clone();
        steps.remove(index);
        simpler.push(with_steps(steps));
    }
    for (index, (number, step)) in plan.steps.iter().enumerate() {
        if let Step::Together(parts) = step {
            for part in parts {
                let mut steps = plan.steps.clone();
                steps[index] = (*number, part.clone());
                simpler.push(with_steps(steps));
            }
        }
    }
    if let Trouble::Exactly(faults) = &plan.trouble {
        for half in [0..faults.len() / 2, faults.len() / 2..faults.len()] {
            if half.len() > 1 {
                let mut faults = faults.clone();
                faults.drain(half);
                simpler.push(Plan { trouble: Trouble::Exactly(faults), ..plan.clone() });
            }
        }
        for index in 0..faults.len() {
            let mut faults = faults.clone();
            faults.remove(index);
            simpler.push(Plan { trouble: Trouble::Exactly(faults), ..plan.clone() });
        }
    }
    simpler.extend(plan.setting.simpler().into_iter().map(|setting| Plan { setting, ..plan.clone() }));
    for index in 0..plan.steps.len() {
        for step in simpler_templates(&plan.steps[index].1) {
            let mut steps = plan.steps.clone();
            steps[index].1 = step;
            simpler.push(with_steps(steps));
        }
    }
    simpler
}

/// A step with one resource, one property or one item less.
fn simpler_templates(step: &Step) -> Vec<Step> {
    let (Step::Create(_, template) | Step::Update(_, template)) = step else { return Vec::new() };
    let rebuilt = |template| match step {
        Step::Create(name, _) => Step::Create(name, template),
        Step::Update(name, _) => Step::Update(name, template),
        other => other.clone(),
    };
    let mut simpler = Vec::new();
    for index in 0..template.len() {
        let mut shorter = template.clone();
        let gone = shorter.remove(index).logical;
        // What others refer to cannot go before they do.
        if !shorter.iter().any(|declared| declared.properties.to_string().contains(&format!("{gone:?}"))) {
            simpler.push(rebuilt(shorter));
        }
        for properties in simpler_properties(&template[index].properties) {
            let mut plainer = template.clone();
            plainer[index].properties = properties;
            simpler.push(rebuilt(plainer));
        }
    }
    simpler
}

fn simpler_properties(properties: &Value) -> Vec<Value> {
    const REQUIRED: [&str; 4] = ["ProviderArn", "Trust", "ClusterName", "PrincipalArn"];
    let mut simpler = Vec::new();
    for (name, value) in properties.as_object().into_iter().flatten() {
        if !REQUIRED.contains(&name.as_str()) {
            let mut fewer = properties.clone();
            fewer.as_object_mut().expect("members").remove(name);
            simpler.push(fewer);
        }
        if let Some(list) = value.as_array().filter(|list| list.len() > 1) {
            for index in 0..list.len() {
                let mut fewer = properties.clone();
                fewer[name].as_array_mut().expect("a list").remove(index);
                simpler.push(fewer);
            }
        }
    }
    simpler
}
