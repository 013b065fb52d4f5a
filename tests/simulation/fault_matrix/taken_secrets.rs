//! Row 27, too: the name of the secret that remembers an entry stays taken after a deletion.

use std::time::Duration;

use serde_json::json;

use super::super::answer::Verdict;
use super::super::cloudformation::Status;
use super::super::expected_state::ENTRY;
use super::entry_recreation::{HOUR, find_entry, lets_in, made_again};
use super::fixtures::{alone, but, world};

#[test]
fn row_27_a_secrets_name_that_stays_taken_for_minutes_costs_no_entry() {
    for minutes in [1, 2, 5] {
        world(async |world| {
            world.cloud.state().account.secrets.lingers = Duration::from_mins(minutes);
            let mut stack = world.stack("s");
            assert_eq!(stack.create(&vec![alone(ENTRY, 1)]).await, Status::CreateComplete, "{}", world.story());
            tokio::time::sleep(HOUR).await;
            let again = |timeout: u64| vec![but(alone(ENTRY, 1), json!({"ServiceTimeout": timeout}))];
            made_again(world);
            assert_eq!(stack.update(&again(600)).await, Status::UpdateComplete, "{}", world.story());
            made_again(world);
            let status = stack.update(&again(700)).await;
            assert!(find_entry(world).is_some(), "{}", world.story());
            if status == Status::UpdateComplete {
                assert!(lets_in(world), "{}", world.story());
            } else {
                let failures =
                    world.sent().into_iter().filter(|sent| !sent.verdict.as_ref().is_some_and(Verdict::is_success));
                let reasons: Vec<String> = failures.map(|sent| world.failure(&sent).0).collect();
                let names_secret =
                    |reason: &String| reason.contains("secretsmanager:") && reason.contains("was deleted");
                assert!(!reasons.is_empty() && reasons.iter().all(names_secret), "{minutes}: {reasons:?}");
            }
            tokio::time::sleep(HOUR).await;
            assert_eq!(stack.update(&again(800)).await, Status::UpdateComplete, "{}", world.story());
            assert!(lets_in(world), "{}", world.story());
        });
    }
}
