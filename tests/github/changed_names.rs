//! A name that changes hands gets nothing, unless the author declares the new id.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::{Place, at, at_issuer, immutable};
use crate::simulation::faults::{At, Fault, When};
use crate::simulation::github::ids;
use crate::simulation::wire::Answer;

const MAIN: &str = "ref:refs/heads/main";
const OLD: &str = "repo:acme/old:pull_request";

fn app() -> Value {
    json!([{"Repository": "acme/app", "Branches": ["main"]}])
}

/// Somebody else has the repository's name, and its owner's.
fn taken(place: &mut Place) {
    place.github(|github| github.taken = [("acme".to_owned(), 777), ("acme/app".to_owned(), 999)].into());
}

async fn described_as(place: &mut Place, trust: &Value, description: &str) -> super::Outcome {
    place.request("Update", json!({"Trust": trust, "Description": description})).await
}

/// An Update of anything else fails, says why, and leaves the policy.
pub(super) async fn refuses(place: &mut Place, trust: &Value, parts: &[&str]) {
    let before = place.policy();
    let outcome = described_as(place, trust, "other").await;
    assert!(!outcome.succeeded, "{trust}: {}", place.policy());
    for part in parts {
        assert!(outcome.reason.contains(part), "{part}: {}", outcome.reason);
    }
    assert!(!outcome.reason.contains("leave it out") && !outcome.reason.contains("update"), "{}", outcome.reason);
    assert_eq!(place.policy(), before);
}

#[test]
fn another_id_under_a_name_is_refused_with_both_ids_and_the_way() {
    for classic in [false, true] {
        at(async |place| {
            place.token();
            place.github(|github| github.classic.extend(classic.then(|| "acme/app".to_owned())));
            assert!(place.create(app()).await.succeeded);
            taken(place);
            let pinned = format!("the role trusts acme/app with id {}", ids("acme/app").1);
            let parts = [
                pinned.as_str(),
                "GitHub shows id 999 under this name",
                "Somebody else may have taken over the name; the role still trusts the old id only",
                "if the new one is meant, write `RepositoryId: 999`",
            ];
            refuses(place, &app(), &parts).await;
        });
    }
}

#[test]
fn the_new_ids_count_once_the_author_writes_them() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        taken(place);
        refuses(place, &app(), &["`RepositoryId: 999` and `OwnerId: 777`"]).await;
        let half = json!([{"Repository": "acme/app", "Branches": ["main"], "RepositoryId": "999"}]);
        refuses(place, &half, &["write `OwnerId: 777`"]).await;
        let whole = json!([{"Repository": "acme/app", "Branches": ["main"], "RepositoryId": "999", "OwnerId": "777"}]);
        let outcome = place.update(whole).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects(), [format!("repo:acme@777/app@999:{MAIN}")]);
        // They are what the policy pins from now on.
        assert!(place.update(app()).await.succeeded);
    });
}

#[test]
fn a_taken_owner_is_refused_for_new_repositories_and_in_any_case() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        taken(place);
        refuses(place, &json!([{"Repository": "acme/new", "Branches": ["main"]}]), &["`OwnerId: 777`"]).await;
        place.github(|github| github.taken = [("ACME/app".to_owned(), 999)].into());
        refuses(place, &json!([{"Repository": "ACME/app", "Branches": ["main"]}]), &["`RepositoryId: 999`"]).await;
    });
}

#[test]
fn a_taken_owner_is_refused_for_new_repositories_in_whole_subjects() {
    for first in [app(), json!([{"Subjects": [immutable("acme/app", MAIN)]}]), json!([{"Subjects": [OLD]}])] {
        for subject in ["repository:acme/new:environment:prod", "repo:acme/new:pull_request"] {
            at(async |place| {
                place.token();
                assert!(place.create(first.clone()).await.succeeded);
                place.github(|github| github.taken = [("acme".to_owned(), 777), ("evil".to_owned(), 777)].into());
                refuses(place, &json!([{"Subjects": [subject]}]), &["acme with id", "write `OwnerId: 777`"]).await;
                // The id of another owner declares nothing of this one.
                let beside = format!("repo:evil@777/x@{}:pull_request", ids("evil/x").1);
                refuses(place, &json!([{"Subjects": [subject, &beside]}]), &["write `OwnerId: 777`"]).await;
                let outcome = place.update(json!([{"Subjects": [subject], "OwnerId": "777"}])).await;
                assert!(outcome.succeeded, "{}", outcome.reason);
                assert!(place.update(json!([{"Subjects": [subject]}])).await.succeeded);
            });
        }
    }
}

#[test]
fn an_id_of_long_ago_is_no_excuse_where_the_policy_pins_another() {
    at(async |place| {
        let by = |actors: &[&str]| json!({"Repository": "acme/app", "Branches": ["main"], "Actors": actors});
        let gone = json!([{"Repository": "corp/web", "Branches": ["main"]}]);
        place.github(|github| github.taken = [("acme".to_owned(), 777), ("octocat".to_owned(), 555)].into());
        assert!(place.create(json!([by(&["octocat"])])).await.succeeded);
        assert!(place.update(gone).await.succeeded);
        place.github(|github| github.taken.clear());
        let mut today = by(&["octocat", &ids("octocat").0.to_string()]);
        today["OwnerId"] = json!(ids("acme").0.to_string());
        let outcome = place.update(json!([today])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert!(place.update(json!([by(&["octocat"])])).await.succeeded);
        place.github(|github| github.taken = [("acme".to_owned(), 777)].into());
        refuses(place, &json!([{"Repository": "acme/new", "Branches": ["main"]}]), &["write `OwnerId: 777`"]).await;
        place.github(|github| github.taken = [("octocat".to_owned(), 555)].into());
        refuses(place, &json!([by(&["octocat"])]), &["the user octocat", "write 555 in place of octocat"]).await;
    });
}

#[test]
fn a_user_whose_name_is_that_of_a_trusted_owner_has_its_id() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        place.github(|github| github.taken = [("acme".to_owned(), 777)].into());
        let trust = json!([{"Repository": "corp/web", "Branches": ["main"], "Actors": ["acme"]}]);
        refuses(place, &trust, &["the user acme with id", "write 777 in place of acme under `Actors`"]).await;
    });
}

#[test]
fn an_organisation_that_changes_hands_is_refused_and_pinned_in_both_forms() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let trust = json!([{"Repository": "acme/*", "Branches": ["main"]}]);
        assert!(place.create(trust.clone()).await.succeeded);
        let owner = ids("acme").0.to_string();
        let statement = &place.policy()["Statement"][0]["Condition"];
        let pins = format!("\"token.actions.githubusercontent.com:repository_owner_id\":\"{owner}\"");
        assert!(statement.to_string().contains(&pins), "{statement}");
        taken(place);
        refuses(place, &trust, &["acme with id", "`OwnerId: 777`"]).await;
        let classic = json!([{"Repository": "acme/*", "Branches": ["main"], "SubjectFormat": "Classic"}]);
        refuses(place, &classic, &["acme with id", "`OwnerId: 777`"]).await;
    });
}

#[test]
fn a_user_whose_name_changes_hands_is_refused_and_a_new_user_is_not() {
    at(async |place| {
        let trust = |actors: &[&str]| json!([{"Repository": "acme/app", "Branches": ["main"], "Actors": actors}]);
        assert!(place.create(trust(&["octocat"])).await.succeeded);
        place.github(|github| github.taken = [("octocat".to_owned(), 555)].into());
        let parts = ["the role trusts the user octocat with id", "write 555 in place of octocat under `Actors`"];
        refuses(place, &trust(&["octocat"]), &parts).await;
        refuses(place, &trust(&["Octocat", "hubot"]), &parts[..0]).await;
        assert!(place.update(trust(&["hubot"])).await.succeeded);
        assert!(place.update(trust(&["hubot", "555"])).await.succeeded);
        let (hubot, policy) = (ids("hubot").0.to_string(), place.policy().to_string());
        assert!(policy.contains(&hubot) && policy.contains("\"555\""), "{policy}");
    });
}

#[test]
fn a_role_that_replaces_another_has_its_memory() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        taken(place);
        let outcome = place.request("Update", json!({"Trust": app(), "RoleName": "other"})).await;
        assert!(outcome.reason.contains("`RepositoryId: 999`"), "{}", outcome.reason);
        assert_eq!(place.subjects(), [immutable("acme/app", MAIN)]);
    });
}

#[test]
fn a_role_that_is_taken_over_adopted_or_untagged_has_its_memory() {
    for existing in ["TakeOver", "Adopt", "Fail"] {
        at(async |place| {
            assert!(place.create(app()).await.succeeded);
            let before = place.policy();
            place.cloud.change_now(|account, now| {
                let someone = crate::simulation::author::Author::Someone;
                let input =
                    json!({"RoleName": "deploy", "TagKeys": ["github-trust:stack-id", "github-trust:logical-id"]});
                account.iam_as(&someone, now, "UntagRole", &input).unwrap();
            });
            taken(place);
            let request = if existing == "Fail" { "Update" } else { "Create" };
            let outcome = place.request(request, json!({"Trust": app(), "OnExisting": existing})).await;
            assert!(!outcome.succeeded, "{existing}: {}", place.policy());
            assert!(outcome.reason.contains("write `RepositoryId: 999`"), "{existing}: {}", outcome.reason);
            assert_eq!(place.policy(), before);
        });
    }
}

#[test]
fn a_rollback_keeps_the_pinned_ids_and_never_fails_for_them() {
    at(async |place| {
        place.token();
        let both = json!([{"Repository": "acme/app", "Branches": ["main"], "Actors": ["octocat"]},
                          {"Subjects": ["repo:acme/old:pull_request"]}]);
        assert!(place.create(both.clone()).await.succeeded);
        let before = place.policy();
        taken(place);
        place.github(|github| github.taken.extend([("octocat".to_owned(), 555), ("acme/old".to_owned(), 888)]));
        place.rolls_back = true;
        let outcome = described_as(place, &both, "former").await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.policy(), before);
        // So it is for a repository that leads elsewhere.
        let moved = Answer {
            status: 301,
            headers: vec![("location", "https://api.github.com/repos/evil/app".to_owned())],
            body: "{}".into(),
        };
        place.github(|github| drop(github.answers.insert("GET /repos/acme/app".into(), moved)));
        assert!(described_as(place, &both, "again").await.succeeded);
        assert_eq!(place.policy(), before);
        place.rolls_back = false;
        let outcome = described_as(place, &both, "more").await;
        assert!(outcome.reason.contains("do not trust evil/app unless you know whose it is"), "{}", outcome.reason);
    });
}

#[test]
fn a_rollback_to_an_id_that_was_declared_alone_brings_it_back() {
    for (member, id) in [("RepositoryId", ids("acme/app").1), ("OwnerId", ids("acme/app").0)] {
        at(async |place| {
            let mut former = app();
            former[0][member] = json!(id.to_string());
            assert!(place.create(former.clone()).await.succeeded);
            let before = place.subjects();
            taken(place);
            let new =
                json!([{"Repository": "acme/app", "Branches": ["main"], "RepositoryId": "999", "OwnerId": "777"}]);
            assert!(place.update(new).await.succeeded);
            refuses(place, &former, &[member, &id.to_string()]).await;
            place.rolls_back = true;
            let outcome = place.update(former).await;
            assert!(outcome.succeeded, "{member}: {}", outcome.reason);
            assert!(before.iter().all(|subject| place.subjects().contains(subject)), "{}", place.policy());
        });
    }
}

#[test]
fn a_name_that_was_taken_out_is_remembered_when_a_rollback_brings_it_back() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        let before = place.policy();
        taken(place);
        assert!(place.update(json!([{"Repository": "corp/web", "Branches": ["main"]}])).await.succeeded);
        assert!(!place.policy().to_string().contains("acme"), "{}", place.policy());
        refuses(place, &app(), &["`RepositoryId: 999` and `OwnerId: 777`"]).await;
        place.rolls_back = true;
        let outcome = place.update(app()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let strangers = format!("repo:acme@777/app@999:{MAIN}");
        assert!(!place.subjects().contains(&strangers), "{}", place.policy());
        assert!(before.to_string().contains(&place.subjects()[0]), "{}", place.policy());
    });
}

/// The middle policy of an update that breaks off admits nobody, and pins no id.
#[test]
fn a_name_is_remembered_by_a_role_whose_update_broke_off() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        let policies = json!(["arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"]);
        let other = json!([{"Repository": "acme/app", "Environments": ["prod"]}]);
        place.cloud.state().faults.plan(At::every("AttachRolePolicy"), When::Before, Fault::AccessDenied);
        let outcome = place.request("Update", json!({"Trust": other, "ManagedPolicyArns": policies})).await;
        assert!(!outcome.succeeded, "it broke off");
        assert!(!place.policy().to_string().contains("acme"), "{}: {}", outcome.reason, place.policy());
        place.cloud.state().faults.cease();
        taken(place);
        refuses(place, &other, &["`RepositoryId: 999` and `OwnerId: 777`"]).await;
    });
}

#[test]
fn whole_subjects_are_pinned_whatever_stands_behind_an_at() {
    at(async |place| {
        place.token();
        place.github(|github| github.classic.extend(["acme/app", "acme/old"].map(str::to_owned)));
        let workflow = "job_workflow_ref:acme/ci/.github/workflows/d.yml@refs/heads/main";
        for (subject, with) in [
            (format!("repo:acme/old:environment:prod:{workflow}"), json!({})),
            ("repo:acme/old:ref:refs/heads/renovate/@types".to_owned(), json!({"Repository": "acme/old"})),
            ("repo:acme/old:pull_request".to_owned(), json!({})),
            ("repository:acme/old:environment:prod".to_owned(), json!({})),
        ] {
            let mut entry = with;
            entry["Subjects"] = json!([subject]);
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            let pin = format!(":repository_id\":\"{}\"", ids("acme/old").1);
            assert!(place.policy().to_string().contains(&pin), "{subject}: {}", place.policy());
            let warning = outcome.attributes["Warning"].as_str().unwrap_or_default();
            assert_eq!(
                warning.contains("workflows of other repositories by their names: acme/ci."),
                subject.ends_with(workflow)
            );
            let has_template = subject.ends_with(workflow) || subject.starts_with("repository:");
            assert!(has_template || warning.is_empty(), "{subject}: {warning}");
            place.github(|github| github.taken = [("acme/old".to_owned(), 888)].into());
            refuses(place, &json!([entry]), &["acme/old with id", "`RepositoryId: 888`"]).await;
            place.github(|github| github.taken.clear());
            place
                .cloud
                .change_now(|account, _| account.iam.roles = crate::simulation::iam::Iam::new("aws", "1", 1).roles);
        }
    });
}

#[test]
fn a_declared_classic_form_is_pinned_or_a_warning_says_so() {
    at(async |place| {
        let branches = ["main", "renovate/@types"];
        let classic = json!([{"Repository": "acme/app", "Branches": branches, "SubjectFormat": "Classic"}]);
        place.token();
        place.github(|github| github.classic.push("acme/app".into()));
        let outcome = place.create(classic.clone()).await;
        assert!(outcome.succeeded && outcome.attributes["Warning"] == "", "{outcome:?}");
        let pin = format!(":repository_id\":\"{}\"", ids("acme/app").1);
        assert!(place.policy().to_string().contains(&pin), "{}", place.policy());
        // GitHub does not answer: the policy still tells the id.
        place.github(|github| github.down = true);
        assert!(place.update(classic).await.succeeded);
        assert!(place.policy().to_string().contains(&pin), "{}", place.policy());
        // It also tells the owner's, for other repositories.
        let others = json!([{"Repository": "acme/new", "Branches": ["main"], "SubjectFormat": "Classic"},
                            {"Subjects": ["repo:acme/old:pull_request"]}]);
        let outcome = place.update(others).await;
        let warning = outcome.attributes["Warning"].as_str().unwrap_or_default();
        let expected =
            "The role trusts by name and by the owner's id: acme/new, acme/old. A person who makes a repository";
        assert!(outcome.succeeded && warning.starts_with(expected), "{outcome:?}");
    });
}

#[test]
fn an_enterprise_server_has_no_id_to_pin_and_a_warning_says_so() {
    at_issuer("github.example.com/_services/token", async |place| {
        let outcome = place.create(app()).await;
        let warning = outcome.attributes["Warning"].as_str().unwrap_or_default();
        assert!(warning.contains("acme/app") && warning.contains("Enterprise Server"), "{outcome:?}");
    });
}

#[test]
fn the_scheduled_run_tells_of_each_name_that_changed_hands() {
    at(async |place| {
        place.token();
        place.world.settings.guardrails = Guardrails::none();
        place.github(|github| github.classic.push("acme/app".into()));
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "Actors": ["octocat"]},
                           {"Repository": "corp/*", "Branches": ["main"]}]);
        let outcome = place.create(trust).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let log = super::drift::scheduled(place).await;
        assert!(log.contains("\"roles\":1,\"drifted\":0,\"unknown\":0"), "{log}");
        let names = ["acme/app", "corp", "octocat"];
        place.github(|github| github.taken = names.map(|name| (name.to_owned(), 999)).into());
        let log = super::drift::scheduled(place).await;
        assert!(log.contains("\"drifted\":3"), "{log}");
        for (name, what) in [("acme/app", "the repository"), ("corp/*", "the owner"), ("octocat", "the user")] {
            let line = log.lines().find(|line| line.contains(&format!("\"name\":\"{name}\""))).expect(&log);
            let told = [
                "somebody else may have taken it over, and is not let in",
                &format!("{what} has id 999, the role trusts"),
            ];
            assert!(told.iter().all(|told| line.contains(told)) && !line.contains("update"), "{line}");
        }
    });
}

#[test]
fn each_of_several_owners_in_one_entry_is_told_an_entry_of_its_own() {
    at(async |place| {
        let entries = |subjects: &[&str]| json!([{"Subjects": subjects}]);
        place.token();
        assert!(place.create(entries(&["repo:acme/old:pull_request", "repo:corp/old:pull_request"])).await.succeeded);
        place.github(|github| github.taken = [("acme".to_owned(), 777), ("corp".to_owned(), 888)].into());
        let told = ["`OwnerId: 777` in an entry for acme alone", "`OwnerId: 888` in an entry for corp alone"];
        refuses(place, &entries(&["repo:acme/new:pull_request", "repo:corp/new:pull_request"]), &told).await;
        place.github(|github| github.taken = [("acme/old".to_owned(), 777), ("acme/new".to_owned(), 888)].into());
        let told = ["`RepositoryId: 777` in an entry for acme/old alone"];
        refuses(place, &entries(&["repo:acme/old:pull_request", "repo:acme/new:pull_request"]), &told).await;
        let outcome = place.update(json!([{"Subjects": ["repo:acme/old:pull_request"], "RepositoryId": "777"}])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
    });
}

#[test]
fn a_user_whom_github_does_not_tell_gets_no_id_of_another_one() {
    let trust = |actors: &[&str], branches: &[&str]| json!([{"Repository": "acme/app", "Branches": branches, "Actors": actors}]);
    at(async |place| {
        assert!(place.create(trust(&["hubot"], &["main"])).await.succeeded);
        let before = place.policy();
        place.github(|github| github.down = true);
        assert!(!place.update(trust(&["mona"], &["main", "dev"])).await.succeeded);
        assert_eq!(place.policy(), before);
        assert!(place.update(trust(&["hubot"], &["main", "dev"])).await.succeeded);
        assert!(place.policy().to_string().contains(&ids("hubot").0.to_string()));
    });
}

#[test]
fn an_id_before_the_newest_is_no_excuse_for_a_name_that_left() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        taken(place);
        let mut declared = app();
        (declared[0]["RepositoryId"], declared[0]["OwnerId"]) = (json!("999"), json!("777"));
        assert!(place.update(declared).await.succeeded);
        assert!(place.update(json!([{"Repository": "corp/web", "Branches": ["main"]}])).await.succeeded);
        place.github(|github| github.taken.clear());
        let told = ["the role trusts acme/app with id 999, and", "the role trusts acme with id 777, and"];
        refuses(place, &app(), &told).await;
    });
}

/// A repository whose subjects have no ids, and the role without the tags that tell its owner.
async fn without_its_owner(place: &mut Place) {
    place.token();
    place.world.settings.guardrails = Guardrails::none();
    place.github(|github| github.classic.push("acme/app".into()));
    assert!(place.create(app()).await.succeeded);
    place.someone("UntagRole", &json!({"RoleName": "deploy", "TagKeys": ["github-trust:names"]}));
}

#[test]
fn an_owner_whom_nothing_tells_any_more_is_to_be_declared() {
    let new = || json!({"Repository": "acme/new", "Branches": ["main"]});
    let all = || json!({"Repository": "acme/*", "Branches": ["main"]});
    for entry in [new(), all(), json!({"Subjects": ["repository_owner:acme:environment:prod"]})] {
        at(async |place| {
            without_its_owner(place).await;
            place.github(|github| github.taken = [("acme".to_owned(), 777)].into());
            let told = ["tell no longer which id acme has; 777 has the name now", "write `OwnerId: 777`"];
            refuses(place, &json!([entry]), &told).await;
            let before = place.policy();
            place.github(|github| github.down = true);
            let mut classic = entry.clone();
            if entry["Subjects"].is_null() {
                classic["SubjectFormat"] = json!("Classic");
            }
            let outcome = place.update(json!([classic])).await;
            assert!(!outcome.succeeded, "{}", place.policy());
            assert_eq!(place.policy(), before);
            place.github(|github| github.down = false);
            let mut declared = entry.clone();
            declared["OwnerId"] = json!("777");
            let outcome = place.update(json!([declared])).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
        });
    }
    at(async |place| {
        without_its_owner(place).await;
        // A repository that has its id tells its owner.
        let outcome = place.update(json!([app()[0], new(), all()])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
    });
}

#[test]
fn an_owner_in_whole_subjects_keeps_its_id_beside_another_one_of_the_name() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        place.token();
        let app = |owner: u64, id: u64| {
            json!({"Repository": "acme/app", "PullRequests": true, "OwnerId": owner.to_string(),
                "RepositoryId": id.to_string(), "SubjectFormat": "Both"})
        };
        let whole = json!({"Subjects": ["repository_owner:acme:pull_request"], "SubjectFormat": "Classic"});
        let (owner, id) = ids("acme/app");
        assert!(place.create(json!([app(owner, id)])).await.succeeded);
        place.github(|github| {
            github.taken = [("acme".to_owned(), 777), ("acme/app".to_owned(), 999)].into();
            let silent = Answer { status: 403, headers: Vec::new(), body: "{}".into() };
            github.answers.insert("GET /users/acme".to_owned(), silent);
        });
        let outcome = place.update(json!([app(777, 999), whole])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let outcome = place.update(json!([whole])).await;
        let is_pinned = place.policy().to_string().contains("repository_owner_id");
        assert!(is_pinned, "{}: {}", outcome.reason, place.policy());
    });
}
