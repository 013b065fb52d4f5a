//! Templates of subjects that GitHub does not tell any more: an update that leaves the trust as it is leaves the policy as it is.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::drift::scheduled;
use super::{Place, at, immutable};
use crate::simulation::github::ids;
use crate::simulation::wire::Answer;

const SHARED: &str = "acme/shared/.github/workflows/deploy.yml@refs/heads/main";

/// Templates, each with the members of an entry that it takes.
fn templates() -> Vec<(&'static str, Value)> {
    vec![
        ("repository_id context", json!({"Branches": ["main"]})),
        ("repository context", json!({"Branches": ["main"], "PullRequests": true})),
        ("repository_owner context", json!({"Branches": ["main"], "Environments": ["prod"]})),
        ("repository_owner_id repository_id context", json!({"PullRequests": true})),
        ("repo context ref", json!({"AllJobs": true, "Refs": ["refs/heads/main"]})),
        ("repo context ref", json!({"Environments": ["prod"], "Refs": ["refs/heads/main"]})),
        ("repo context job_workflow_ref", json!({"AllJobs": true, "Workflows": [SHARED]})),
        ("repo context job_workflow_ref", json!({"Branches": ["main"], "PullRequests": true, "Workflows": [SHARED]})),
        ("repository_owner repo context", json!({"Branches": ["main"], "PullRequests": true})),
        (
            "repo job_workflow_ref context",
            json!({"Branches": ["main"], "Environments": ["prod"], "Workflows": [SHARED]}),
        ),
        ("repo ref", json!({"Branches": ["main"]})),
        ("repo ref context", json!({"Environments": ["prod"], "Refs": ["refs/heads/main"]})),
        ("repo ref environment", json!({"Environments": ["prod"], "Refs": ["refs/heads/main"]})),
        ("repo environment", json!({"Environments": ["prod", "dev"]})),
        ("repo context repository_visibility", json!({"Branches": ["main"], "PullRequests": true})),
        ("repo context actor", json!({"Branches": ["main"], "Actors": ["octocat"]})),
        ("context repository_owner", json!({"Branches": ["main"]})),
        ("repository ref environment", json!({"Environments": ["prod"]})),
        ("repo", json!({"AllJobs": true})),
        ("repo context", json!({"AllJobs": true})),
    ]
}

fn trust(members: &Value) -> Value {
    let mut entry = json!({"Repository": "acme/app"});
    entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!([entry])
}

/// A role for each template, made while GitHub told it.
fn each_template(test: &impl AsyncFn(&mut Place, &Value)) {
    for (template, members) in templates() {
        at(async |place| {
            place.world.settings.guardrails = Guardrails::none();
            place.token();
            let keys = template.split(' ').map(str::to_owned).collect();
            place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
            let trust = trust(&members);
            let outcome = place.create(trust.clone()).await;
            assert!(outcome.succeeded, "{template} {trust}: {}", outcome.reason);
            test(place, &trust).await;
        });
    }
}

/// Updates another property, which leaves the trust policy.
async fn leaves_the_policy(place: &mut Place, trust: &Value) {
    let before = place.policy();
    let outcome = place.request("Update", json!({"Trust": trust, "Description": "other"})).await;
    assert!(outcome.succeeded, "{trust}: {}", outcome.reason);
    assert_eq!(place.policy(), before, "{trust}");
}

/// GitHub shows the repository no more, to no credential.
fn hide(place: &Place) {
    let absent = Answer { status: 404, headers: Vec::new(), body: "{}".into() };
    place.github(|github| drop(github.answers.insert("GET /repos/acme/app".into(), absent)));
}

#[test]
fn a_role_of_a_hidden_repository_keeps_the_subjects_of_its_template() {
    each_template(&async |place, trust| {
        hide(place);
        leaves_the_policy(place, trust).await;
        place.rolls_back = true;
        leaves_the_policy(place, trust).await;
        place.github(|github| github.down = true);
        leaves_the_policy(place, trust).await;
    });
}

#[test]
fn a_role_keeps_the_subjects_of_a_template_that_may_not_be_read() {
    each_template(&async |place, trust| {
        for status in [403, 404] {
            let path = "GET /repos/acme/app/actions/oidc/customization/sub".to_owned();
            let denied = Answer { status, headers: Vec::new(), body: "{}".into() };
            place.github(|github| drop(github.answers.insert(path, denied)));
            leaves_the_policy(place, trust).await;
        }
        place.world.settings.github_secret = None;
        leaves_the_policy(place, trust).await;
    });
}

#[test]
fn a_statement_that_somebody_adds_hides_no_template() {
    each_template(&async |place, trust| {
        let before = place.policy();
        let mut policy = before.clone();
        let human = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:TagSession"});
        policy["Statement"].as_array_mut().unwrap().push(human);
        place.someone("UpdateAssumeRolePolicy", &json!({"RoleName": "deploy", "PolicyDocument": policy.to_string()}));
        hide(place);
        let outcome = place.request("Update", json!({"Trust": trust, "Description": "other"})).await;
        assert!(outcome.succeeded, "{trust}: {}", outcome.reason);
        assert_eq!(place.policy(), before, "{trust}");
    });
}

#[test]
fn a_rollback_keeps_a_template_under_a_name_that_changed_hands() {
    each_template(&async |place, trust| {
        place.github(|github| github.taken = [("acme".to_owned(), 777), ("acme/app".to_owned(), 999)].into());
        place.rolls_back = true;
        leaves_the_policy(place, trust).await;
    });
}

#[test]
fn the_scheduled_run_knows_the_subjects_of_each_template() {
    each_template(&async |place, _| {
        let log = scheduled(place).await;
        assert!(log.contains("\"drifted\":0,\"unknown\":0"), "{}: {log}", place.policy());
    });
}

const PATH: &str = "GET /repos/acme/app/actions/oidc/customization/sub";

/// GitHub shows the repository, and not its template.
fn deny_template(place: &Place) {
    let denied = Answer { status: 403, headers: Vec::new(), body: "{}".into() };
    place.github(|github| drop(github.answers.insert(PATH.to_owned(), denied)));
}

#[test]
fn a_template_is_known_beside_whole_subjects_and_other_forms() {
    let app = |members: &Value| trust(members)[0].clone();
    let in_form = |form: &str, members: Value| {
        let mut entry = app(&members);
        entry["SubjectFormat"] = json!(form);
        entry
    };
    let whole = format!("{}:sha:0000000000000000000000000000000000000000", immutable("acme/app", "environment:prod"));
    for (keys, entries) in [
        (
            "repo context job_workflow_ref",
            json!([app(&json!({"Branches": ["main"], "Workflows": [SHARED]})), {"Subjects": [whole]}]),
        ),
        (
            "repo context ref",
            json!([
                in_form("Classic", json!({"Environments": ["prod"], "Refs": ["refs/heads/main"]})),
                in_form("Immutable", json!({"PullRequests": true})),
            ]),
        ),
        (
            "ref repo event_name",
            json!([
                {"Repository": "acme/app", "Branches": ["main"], "TemplateClaims": [{"Name": "event_name", "Values": ["push"]}]},
            ]),
        ),
    ] {
        at(async |place| {
            place.world.settings.guardrails = Guardrails::none();
            place.token();
            let keys = keys.split(' ').map(str::to_owned).collect();
            place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
            let outcome = place.create(entries.clone()).await;
            assert!(outcome.succeeded, "{entries}: {}", outcome.reason);
            deny_template(place);
            leaves_the_policy(place, &entries).await;
            hide(place);
            leaves_the_policy(place, &entries).await;
        });
    }
}

#[test]
fn a_policy_that_somebody_changed_keeps_the_template() {
    let tag = |policy: &mut Value| {
        policy["Statement"][0]["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
    };
    let narrow = |policy: &mut Value| {
        policy["Statement"][0]["Condition"]["IpAddress"] = json!({"aws:SourceIp": "203.0.113.0/24"});
    };
    let more = |policy: &mut Value| {
        let mut other = policy["Statement"][0].clone();
        other["Condition"] = json!({"StringLike": {"token.actions.githubusercontent.com:sub": "repo:corp/web:*"}});
        policy["Statement"].as_array_mut().unwrap().push(other);
    };
    for (index, change) in [tag as fn(&mut Value), narrow, more].into_iter().enumerate() {
        each_template(&async |place, app| {
            let before = place.subjects();
            let mut policy = place.policy();
            change(&mut policy);
            let input = json!({"RoleName": "deploy", "PolicyDocument": policy.to_string()});
            place.someone("UpdateAssumeRolePolicy", &input);
            deny_template(place);
            for description in ["denied", "hidden"] {
                let outcome = place.request("Update", json!({"Trust": app, "Description": description})).await;
                assert!(outcome.succeeded, "{index} {app}: {} {}", outcome.reason, place.policy());
                let after = place.subjects();
                assert!(before.iter().all(|subject| after.contains(subject)), "{before:?} {after:?}");
                place.someone("UpdateAssumeRolePolicy", &input);
                hide(place);
            }
        });
    }
}

#[test]
fn a_template_comes_back_with_its_repository() {
    for declares_ids in [false, true] {
        at(async |place| {
            place.token();
            let keys = ["repo", "context", "job_workflow_ref"].map(str::to_owned).to_vec();
            place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
            let mut app = trust(&json!({"Branches": ["main"], "Workflows": [SHARED]}));
            assert!(place.create(app.clone()).await.succeeded);
            let before = place.subjects();
            assert!(place.update(json!([{"Repository": "corp/web", "Branches": ["main"]}])).await.succeeded);
            deny_template(place);
            if declares_ids {
                hide(place);
                let (owner, id) = ids("acme/app");
                app[0]["OwnerId"] = json!(owner.to_string());
                app[0]["RepositoryId"] = json!(id.to_string());
            }
            let outcome = place.update(app).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            let after = place.subjects();
            assert!(before.iter().all(|subject| after.contains(subject)), "{before:?} {after:?}");
            let is_of_template = |subject: &String| subject.ends_with(&format!("job_workflow_ref:{SHARED}"));
            assert!(after.iter().all(is_of_template), "{after:?}");
        });
    }
}

#[test]
fn a_template_of_another_repository_of_the_name_is_forgotten() {
    at(async |place| {
        place.token();
        place.github(|github| drop(github.templates.insert("acme/app".into(), vec!["context".to_owned()])));
        assert!(place.create(trust(&json!({"Branches": ["main"]}))).await.succeeded);
        place.github(|github| {
            github.templates.clear();
            github.taken = [("acme/app".to_owned(), 999)].into();
        });
        deny_template(place);
        let mut app = trust(&json!({"Branches": ["main"]}));
        app[0]["RepositoryId"] = json!("999");
        let outcome = place.update(app.clone()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        let (owner, _) = ids("acme/app");
        assert!(
            place.subjects().contains(&format!("repo:acme@{owner}/app@999:ref:refs/heads/main")),
            "{}",
            place.policy()
        );
        leaves_the_policy(place, &app).await;
    });
}

#[test]
fn a_template_is_recorded_beside_whole_subjects() {
    at(async |place| {
        place.token();
        let keys = ["repo", "ref"].map(str::to_owned).to_vec();
        place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
        assert!(place.create(trust(&json!({"Branches": ["main"]}))).await.succeeded);
        place.github(|github| github.templates.clear());
        let whole = trust(&json!({"Subjects": [immutable("acme/app", "environment:prod")]}));
        assert!(place.update(whole).await.succeeded);
        deny_template(place);
        let outcome = place.update(trust(&json!({"Environments": ["prod"]}))).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert!(place.subjects().contains(&immutable("acme/app", "environment:prod")), "{}", place.policy());
    });
}

#[test]
fn a_template_whose_record_somebody_removed_is_asked_for() {
    at(async |place| {
        place.token();
        let keys = ["repo", "context", "job_workflow_ref"].map(str::to_owned).to_vec();
        place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
        let app = trust(&json!({"Branches": ["main"], "Workflows": [SHARED]}));
        assert!(place.create(app.clone()).await.succeeded);
        let before = place.policy();
        place.someone("UntagRole", &json!({"RoleName": "deploy", "TagKeys": ["github-trust:names"]}));
        deny_template(place);
        let update = json!({"Trust": app, "Description": "other"});
        let outcome = place.request("Update", update.clone()).await;
        let told = "and neither GitHub nor the role's tags tell which one it is";
        assert!(!outcome.succeeded && outcome.reason.contains(told), "{}", outcome.reason);
        place.github(|github| github.answers.clear());
        let outcome = place.request("Update", json!({"Trust": app})).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.policy(), before);
        deny_template(place);
        leaves_the_policy(place, &app).await;
    });
}

#[test]
fn an_entry_that_the_recorded_template_does_not_fit_is_refused() {
    at(async |place| {
        place.token();
        let keys = ["repo", "job_workflow_ref"].map(str::to_owned).to_vec();
        place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
        let main = json!({"Repository": "acme/app", "Branches": ["main"], "Workflows": [SHARED]});
        assert!(place.create(json!([main])).await.succeeded);
        deny_template(place);
        let outcome = place.update(json!([main, {"Repository": "acme/app", "Environments": ["prod"]}])).await;
        assert!(!outcome.succeeded && outcome.reason.contains("`Workflows`"), "{} {}", outcome.reason, place.policy());
    });
}

#[test]
fn whole_subjects_of_another_entry_tell_no_template() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let whole = json!({"Subjects": [immutable("acme/app", "environment:prod:workflow:one"), immutable("acme/app", "ref:refs/heads/x:workflow:two")]});
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"]}, whole]);
        place.token();
        let outcome = place.create(trust.clone()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        deny_template(place);
        leaves_the_policy(place, &trust).await;
        hide(place);
        leaves_the_policy(place, &trust).await;
    });
}

#[test]
fn a_rollback_brings_back_claims_of_a_template_that_nothing_tells() {
    at(async |place| {
        place.token();
        let keys = ["repo", "context", "repo_property_tier"].map(str::to_owned).to_vec();
        place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
        let mut app = trust(&json!({"Branches": ["main"]}));
        app[0]["TemplateClaims"] = json!([{"Name": "repo_property_tier", "Values": ["gold"]}]);
        assert!(place.create(app.clone()).await.succeeded);
        let before = place.policy();
        assert!(place.update(json!([{"Repository": "corp/web", "Branches": ["main"]}])).await.succeeded);
        place.github(|github| github.taken = [("acme".to_owned(), 777), ("acme/app".to_owned(), 999)].into());
        place.rolls_back = true;
        let outcome = place.update(app).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.policy(), before);
    });
}

#[test]
fn entries_that_overlap_keep_each_form_of_a_hidden_repository() {
    at(async |place| {
        place.github(|github| github.private.push("acme/none".into()));
        let (owner, id) = ids("acme/none");
        let entry = |members: Value| {
            let mut entry =
                json!({"Repository": "acme/none", "OwnerId": owner.to_string(), "RepositoryId": id.to_string()});
            entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            entry
        };
        let classic = entry(json!({"Branches": ["main", "release/*"], "SubjectFormat": "Classic"}));
        let trust = json!([classic, entry(json!({"Branches": ["main", "release/one"]}))]);
        let outcome = place.create(trust.clone()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        leaves_the_policy(place, &trust).await;
    });
}

#[test]
fn a_template_comes_back_with_the_id_that_an_author_corrects() {
    each_template(&async |place, trust| {
        // Nothing tells the visibility of a repository whose id the policy does not have.
        if place.policy().to_string().contains("repository_visibility") {
            return;
        }
        let (owner, id) = ids("acme/app");
        let declared = |id: u64| {
            let mut declared = trust.clone();
            declared[0]["OwnerId"] = json!(owner.to_string());
            declared[0]["RepositoryId"] = json!(id.to_string());
            declared
        };
        assert!(place.update(declared(id)).await.succeeded);
        let before = place.subjects();
        hide(place);
        let mistaken = place.update(declared(999)).await;
        for rolls_back in [true, false] {
            place.rolls_back = rolls_back;
            let outcome = place.update(declared(id)).await;
            assert!(outcome.succeeded, "{trust}, {rolls_back}, {}: {}", mistaken.reason, outcome.reason);
            // Nothing tells the form, so that both are written.
            let after = place.subjects();
            assert!(before.iter().all(|subject| after.contains(subject)), "{trust}, {rolls_back}: {after:?}");
        }
    });
}

#[test]
fn a_template_stays_while_somebody_writes_another_id_by_hand() {
    each_template(&async |place, trust| {
        // Nothing tells the visibility of a repository whose id the policy does not have.
        if place.policy().to_string().contains("repository_visibility") {
            return;
        }
        let (owner, id) = ids("acme/app");
        let mut declared = trust.clone();
        declared[0]["OwnerId"] = json!(owner.to_string());
        declared[0]["RepositoryId"] = json!(id.to_string());
        assert!(place.update(declared.clone()).await.succeeded);
        let before = place.subjects();
        let document = place.policy().to_string().replace(&id.to_string(), "999");
        hide(place);
        for rolls_back in [false, true] {
            place.someone("UpdateAssumeRolePolicy", &json!({"RoleName": "deploy", "PolicyDocument": document}));
            place.rolls_back = rolls_back;
            let request = json!({"Trust": declared, "Description": rolls_back.to_string()});
            let outcome = place.request("Update", request).await;
            assert!(outcome.succeeded, "{trust}, {rolls_back}: {}", outcome.reason);
            // Nothing tells the form, so that both are written.
            let after = place.subjects();
            assert!(before.iter().all(|subject| after.contains(subject)), "{trust}, {rolls_back}: {after:?}");
        }
    });
}

#[test]
fn a_policy_that_somebody_widened_is_brought_back_while_no_template_is_told() {
    let (owner, id) = ids("acme/app");
    let wide = [":*", "*", ":r*", ":ref:refs/heads/main:*", ":?ef:refs/heads/main"];
    for end in wide {
        at(async |place| {
            place.token();
            let trust = trust(&json!({"Branches": ["main"]}));
            assert!(place.create(trust.clone()).await.succeeded);
            let before = place.subjects();
            let subject = format!("repo:acme@{owner}/app@{id}{end}");
            let mut policy = place.policy();
            let key = "token.actions.githubusercontent.com:sub";
            let condition = &mut policy["Statement"][0]["Condition"];
            condition["StringEquals"].as_object_mut().unwrap().remove(key);
            condition["StringLike"] = json!({key: subject});
            let input = json!({"RoleName": "deploy", "PolicyDocument": policy.to_string()});
            place.someone("UpdateAssumeRolePolicy", &input);
            deny_template(place);
            let outcome = place.request("Update", json!({"Trust": trust, "Description": "again"})).await;
            assert!(outcome.succeeded, "{subject}: {}", outcome.reason);
            assert_eq!(place.subjects(), before, "{subject}");
        });
    }
}

#[test]
fn templates_for_which_the_tags_have_no_room_are_told() {
    at(async |place| {
        place.token();
        place.cloud.change_now(|account, _| account.iam.settings.quotas.trust_policy = 8192);
        let names = ["acme/app", "acme/web", "acme/ci", "acme/lib", "acme/site"];
        let mut keys =
            ["repository_owner_id", "repository_id", "context", "job_workflow_ref", "actor_id"].map(str::to_owned);
        place.github(|github| {
            for name in names {
                keys.rotate_left(1);
                github.templates.insert(name.to_owned(), keys.to_vec());
            }
        });
        let entries: Vec<Value> = names
            .iter()
            .map(|name| json!({"Repository": name, "Environments": ["prod"], "Workflows": [SHARED], "Actors": ["octocat"]}))
            .collect();
        let tags = |count: usize| -> Vec<Value> {
            (0..count).map(|index| json!({"Key": format!("team-{index}"), "Value": "a"})).collect()
        };
        let told = "no room to record the subject templates of";
        let outcome = place.request("Create", json!({"Trust": entries, "Tags": tags(10)})).await;
        assert!(outcome.succeeded && !outcome.attributes["Warning"].to_string().contains(told), "{}", outcome.reason);
        let outcome = place.request("Update", json!({"Trust": entries, "Tags": tags(43)})).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert!(outcome.attributes["Warning"].to_string().contains(told), "{:?}", outcome.attributes);
    });
}
