//! Names in subjects that can change hands: users, enterprises, and owners of repositories that a subject does not name.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::{Outcome, Place, at, at_issuer, immutable};
use crate::simulation::github::ids;
use crate::simulation::wire::Answer;

const SERVER: &str = "github.example.com/_services/token";
const WORKFLOW: &str = "job_workflow_ref:acme/app/.github/workflows/d.yml@refs/heads/main";

fn has_template(place: &mut Place, keys: &[&str]) {
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
}

fn warning(outcome: &Outcome) -> &str {
    assert!(outcome.succeeded, "{}", outcome.reason);
    outcome.attributes["Warning"].as_str().unwrap()
}

fn refused(outcome: &Outcome, why: &str) {
    assert!(!outcome.succeeded && outcome.reason.contains(why), "{why}: {}", outcome.reason);
}

fn pins(place: &Place, claim: &str, id: &str) {
    let pin = format!(":{claim}\":\"{id}\"");
    assert!(place.policy().to_string().contains(&pin), "{pin}: {}", place.policy());
}

fn by(actors: &[&str]) -> Value {
    json!([{"Repository": "acme/app", "Branches": ["main"], "Actors": actors}])
}

#[test]
fn a_template_takes_the_names_of_users_from_actors_and_pins_their_ids() {
    at(async |place| {
        place.token();
        has_template(place, &["repo", "context", "actor"]);
        let named = json!([{"Repository": "acme/app", "Branches": ["main"],
            "TemplateClaims": [{"Name": "actor", "Values": ["octocat"]}]}]);
        refused(&place.create(named).await, "write `Actors`, which are compared by their ids");
        let open = json!([{"Repository": "acme/app", "Branches": ["main"]}]);
        refused(&place.create(open).await, "needs the claim `actor`, which the entry does not give: add `Actors`");
        assert_eq!(warning(&place.create(by(&["octocat"])).await), "");
        assert_eq!(place.subjects(), [immutable("acme/app", "ref:refs/heads/main:actor:octocat")]);
        pins(place, "actor_id", &ids("octocat").0.to_string());
        for actors in [&["777"][..], &["octocat", "777"]] {
            refused(&place.update(by(actors)).await, "write the name of the user 777 beside the id");
        }
    });
}

#[test]
fn a_user_s_name_that_a_template_says_is_refused_after_it_changed_hands() {
    at(async |place| {
        place.token();
        has_template(place, &["repo", "context", "actor"]);
        assert_eq!(warning(&place.create(by(&["octocat"])).await), "");
        place.github(|github| github.taken = [("octocat".to_owned(), 555)].into());
        refused(&place.update(by(&["octocat"])).await, "write 555 beside octocat under `Actors`");
        assert_eq!(warning(&place.update(by(&["octocat", "555"])).await), "");
        pins(place, "actor_id", "555");
        let body = json!({"login": "Hubot", "id": 5}).to_string();
        let hubot = Answer { status: 200, headers: Vec::new(), body };
        place.github(|github| drop(github.answers.insert("GET /users/hubot".into(), hubot)));
        refused(&place.update(by(&["hubot"])).await, "GitHub writes it Hubot");
    });
}

#[test]
fn a_user_in_a_whole_subject_stands_under_actors_too() {
    let subject = |issuer_has_ids: bool| {
        let context = "environment:prod:actor:octocat";
        if issuer_has_ids { immutable("acme/app", context) } else { format!("repo:acme/app:{context}") }
    };
    at(async |place| {
        for actors in [&[][..], &["hubot"]] {
            let entry = json!({"Subjects": [subject(true)], "Actors": actors});
            refused(&place.create(json!([entry])).await, "expected the user octocat also under `Actors`");
        }
        let entry = json!({"Subjects": [subject(true)], "Actors": ["octocat"]});
        assert_eq!(warning(&place.create(json!([entry])).await), "");
        pins(place, "actor_id", &ids("octocat").0.to_string());
        place.github(|github| github.taken = [("octocat".to_owned(), 555)].into());
        refused(&place.update(json!([entry])).await, "write 555 in place of octocat under `Actors`");
        let entry = json!({"Subjects": [subject(true)], "Actors": ["555"]});
        assert_eq!(warning(&place.update(json!([entry])).await), "");
        let entry = json!({"Subjects": [subject(true) + ":actor_id:555"]});
        assert_eq!(warning(&place.update(json!([entry])).await), "");
    });
    at_issuer(SERVER, async |place| {
        let outcome = place.create(json!([{"Subjects": [subject(false)]}])).await;
        let told =
            "narrowed by name alone: the user octocat. A person who takes over such a name fits, too: STS reads no id";
        assert!(warning(&outcome).contains(told), "{}", warning(&outcome));
        place.secret(&json!({"github.example.com": {"token": "three"}}));
        has_template(place, &["repo", "context", "actor"]);
        let named = json!([{"Repository": "acme/app", "Branches": ["main"],
            "TemplateClaims": [{"Name": "actor", "Values": ["octocat"]}]}]);
        let outcome = place.update(named).await;
        assert!(warning(&outcome).contains(told), "{}", warning(&outcome));
        refused(&place.update(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await, "`Name` actor");
        has_template(place, &["repo", "context", "actor_id"]);
        refused(
            &place.update(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await,
            "write whole `Subjects`",
        );
    });
}

#[test]
fn an_enterprise_s_name_without_its_id_is_a_warning() {
    at(async |place| {
        let whole = json!({"Subjects": [immutable("acme/app", "environment:prod:enterprise:octo-ent")]});
        let templated = json!({"Repository": "acme/app", "Branches": ["main"],
            "TemplateClaims": [{"Name": "enterprise", "Values": ["octo-ent"]}]});
        place.token();
        has_template(place, &["repo", "context", "enterprise"]);
        for entry in [whole, templated] {
            let outcome = place.create(json!([entry])).await;
            let told = "narrowed by name alone: the enterprise octo-ent. A person who takes over such a name fits, too: \
                        declare `EnterpriseId`";
            assert!(warning(&outcome).contains(told), "{}", warning(&outcome));
            let mut entry = entry;
            entry["EnterpriseId"] = json!("5");
            assert_eq!(warning(&place.create(json!([entry])).await), "");
        }
    });
}

#[test]
fn all_repositories_of_an_owner_in_whole_subjects_are_broad_and_pinned() {
    let subjects =
        ["environment:prod", WORKFLOW, "pull_request"].map(|rest| json!([format!("repository_owner:acme:{rest}")]));
    for subjects in subjects {
        at(async |place| {
            let trust = json!([{"Subjects": subjects}]);
            let outcome = place.create(trust.clone()).await;
            let broad = "it pins the owner only, so that every repository of the owner is let in";
            refused(&outcome, broad);
            refused(&outcome, "(guardrail `AllowBroadTrust`)");
            place.world.settings.guardrails = Guardrails::none();
            assert!(warning(&place.create(trust.clone()).await).contains(broad));
            pins(place, "repository_owner_id", &ids("acme").0.to_string());
            place.github(|github| github.taken = [("acme".to_owned(), 777)].into());
            refused(&place.update(trust).await, "write `OwnerId: 777`");
            let new = json!([{"Subjects": subjects, "OwnerId": "777"}]);
            assert!(warning(&place.update(new).await).contains(broad));
            pins(place, "repository_owner_id", "777");
        });
        at(async |place| {
            place.world.settings.guardrails = Guardrails::none();
            place.github(|github| github.down = true);
            let outcome = place.create(json!([{"Subjects": subjects}])).await;
            let told =
                "The role trusts by name alone: acme/*. A person who takes over such a name gets in: declare `OwnerId`";
            assert!(warning(&outcome).contains(told), "{}", warning(&outcome));
            assert!(!warning(&outcome).contains("`RepositoryId`"), "{}", warning(&outcome));
        });
    }
}

#[test]
fn a_repository_beside_whole_subjects_pins_what_they_leave_open() {
    let id = ids("acme/app").1.to_string();
    for subject in
        ["environment:prod", "repository_owner:acme:environment:prod", &format!("environment:prod:{WORKFLOW}")]
    {
        for scope in [json!({"Repository": "acme/app"}), json!({"RepositoryId": id})] {
            at(async |place| {
                let mut entry = scope.clone();
                entry["Subjects"] = json!([subject]);
                assert!(!warning(&place.create(json!([entry])).await).contains("owner only"));
                pins(place, "repository_id", &id);
            });
        }
        at(async |place| {
            let trust = json!([{"Repository": "acme/app", "Subjects": [subject]}]);
            assert!(place.create(trust.clone()).await.succeeded);
            let before = place.policy();
            place.github(|github| github.taken = [("acme/app".to_owned(), 999)].into());
            let outcome = place.request("Update", json!({"Trust": trust, "Description": "other"})).await;
            refused(&outcome, "the role trusts acme/app with id");
            assert_eq!(place.policy(), before);
            place.github(|github| github.down = true);
            let outcome = place.request("Update", json!({"Trust": trust, "Description": "more"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            assert_eq!(place.policy(), before);
        });
    }
    at(async |place| {
        for subject in ["repository_owner:acme", "runner_environment:github-hosted"] {
            let trust = json!([{"Repository": "acme/app", "Subjects": [subject]}]);
            refused(&place.create(trust).await, "every branch, tag, environment and pull request of the repository");
        }
    });
    at_issuer(SERVER, async |place| {
        let trust = json!([{"Repository": "acme/app", "Subjects": ["repository_owner:acme:environment:prod"]}]);
        refused(&place.create(trust).await, "names no repository, and there is no claim to pin it by");
    });
}

#[test]
fn a_name_that_nobody_has_is_refused_for_all_repositories_of_it() {
    for entry in [
        json!({"Repository": "ghost/*", "Branches": ["main"], "SubjectFormat": "Classic"}),
        json!({"Repository": "ghost/*", "Branches": ["main"]}),
        json!({"Subjects": ["repository_owner:ghost:environment:prod"]}),
        json!({"Repository": "ghost/*", "Subjects": ["repository_owner:ghost:environment:prod"]}),
    ] {
        at(async |place| {
            place.world.settings.guardrails = Guardrails::none();
            let nobody = || Answer { status: 404, headers: Vec::new(), body: "{}".into() };
            place.github(|github| drop(github.answers.insert("GET /users/ghost".into(), nobody())));
            let outcome = place.create(json!([entry])).await;
            refused(&outcome, "ghost: there is no user or organisation of that name");
            refused(&outcome, "a person who registers it would be let in. Correct the name, or declare `OwnerId`");
            let mut entry = entry.clone();
            entry["OwnerId"] = json!("5");
            let outcome = place.create(json!([entry])).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            pins(place, "repository_owner_id", "5");
            // An organisation that is deleted later takes no role along.
            entry.as_object_mut().unwrap().remove("OwnerId");
            let outcome = place.request("Update", json!({"Trust": [entry], "Description": "other"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            pins(place, "repository_owner_id", "5");
        });
    }
}
