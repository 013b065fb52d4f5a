//! Whole lifecycles out of seeds, with faults: no invariant is ever violated.
//!
//! `N` and `SEED` in the environment say how many and from where; a failure prints its seed and the shortest history.

use std::collections::BTreeMap;

use super::history::Stage;
use super::plan::Plan;
use super::shrink::shortest;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The plan of a seed; `IAM_LAG` and `IAM_CHANGE_LAG` in the environment set how late IAM's readers are, in seconds.
fn planned(seed: u64) -> Plan {
    let mut plan = Plan::of(seed);
    plan.setting.iam_lag = number("IAM_LAG", plan.setting.iam_lag);
    plan.setting.iam_change_lag = number("IAM_CHANGE_LAG", plan.setting.iam_change_lag);
    plan
}

#[test]
fn random_lifecycles_violate_nothing() {
    let (count, first) = (number("N", 2000), number("SEED", 1));
    let stage = Stage::new();
    let mut faults: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut calls, mut requests, mut attempts) = (0, 0, 0);
    for seed in first..first + count {
        let plan = planned(seed);
        let outcome = stage.play(&plan);
        for (fault, struck) in &outcome.tally {
            *faults.entry(fault).or_default() += struck;
        }
        calls += outcome.calls;
        requests += outcome.requests;
        attempts += outcome.attempts;
        if !outcome.violations.is_empty() {
            let (plan, short) = shortest(&stage, &plan, &outcome, 3000);
            panic!("seed {seed} violates {}\n\nthe shortest history found:\n{plan:#?}\n{short}", outcome.violations[0]);
        }
    }
    println!(
        "{count} lifecycles from seed {first}: {requests} requests, {attempts} invocations, {calls} calls, faults {faults:?}, no violation"
    );
}

#[test]
fn a_seed_tells_the_same_history_every_time() {
    let (one, other) = (Stage::new(), Stage::new());
    for seed in 1..6 {
        let plan = Plan::of(seed);
        // The other stage has another past.
        other.play(&Plan::of(seed + 100));
        let (a, b) = (one.play(&plan).story, other.play(&plan).story);
        let differs = a.lines().zip(b.lines()).find(|(a, b)| a != b);
        if let Some((a, b)) = differs {
            let at = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
            panic!("seed {seed}: …{} or …{}", &a[at.saturating_sub(40)..], &b[at.saturating_sub(40)..]);
        }
        assert_eq!(a.len(), b.len(), "seed {seed}");
    }
}

/// Not a test by itself: writes what went over the wire, for `check_transcript.py`.
#[test]
#[ignore = "called with TRANSCRIPT=<file> by whoever checks the answers against botocore"]
fn transcribe() {
    let file = std::env::var("TRANSCRIPT").expect("TRANSCRIPT names a file");
    let mut stage = Stage::new();
    stage.transcribes = true;
    let mut lines = String::new();
    for seed in 1..=number("N", 200) {
        for exchange in stage.play(&Plan::of(seed)).transcript {
            lines.push_str(&exchange.to_string());
            lines.push('\n');
        }
    }
    std::fs::write(file, lines).expect("the transcript can be written");
}

/// Not a test: counts what is violated over many seeds, each kind with its first seed.
#[test]
#[ignore = "a survey for whoever is at work on it"]
fn survey() {
    let (count, first) = (number("N", 2000), number("SEED", 1));
    let stage = Stage::new();
    let mut kinds: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for seed in first..first + count {
        for violation in stage.play(&planned(seed)).violations {
            let words: Vec<&str> =
                violation.what.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).collect();
            let kind = format!("{} {}", violation.invariant, words.join(" "));
            kinds.entry(kind).or_insert((0, seed)).0 += 1;
        }
    }
    for (kind, (count, seed)) in kinds {
        println!("{count:>6} {kind} (seed {seed})");
    }
}
