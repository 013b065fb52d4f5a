//! Declarations of members: the policy of each, and the reason of those that are broad.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::{Place, at, immutable};
use crate::simulation::wire::Answer;

/// An entry for `acme/app` with these members.
fn entry(members: &Value) -> Value {
    let mut entry = members.clone();
    if entry["Repository"].is_null() {
        entry["Repository"] = json!("acme/app");
    }
    entry
}

fn has_template(place: &mut Place, keys: &[&str]) {
    place.token();
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    place.github(|github| {
        github.templates.insert("acme/app".into(), keys);
    });
}

#[test]
fn what_is_broad_is_named_and_written_where_it_is_allowed() {
    at(async |place| {
        let owner = crate::simulation::github::ids("acme").0;
        for (members, reason, subject) in [
            (
                json!({"AllJobs": true}),
                "`AllJobs` is every branch, tag, environment and pull request of acme/app",
                immutable("acme/app", "*"),
            ),
            (
                json!({"Branches": ["*"]}),
                "`Branches: *` is every branch, also one that",
                immutable("acme/app", "ref:refs/heads/*"),
            ),
            (
                json!({"Branches": ["release-*"]}),
                "`Branches: release-*` is every branch whose name begins with `release-`, also one that nobody has reviewed",
                immutable("acme/app", "ref:refs/heads/release-*"),
            ),
            (json!({"Tags": ["*"]}), "`Tags: *` is every tag, also one that", immutable("acme/app", "ref:refs/tags/*")),
            (
                json!({"Environments": ["*"]}),
                "`Environments: *` is every environment, also one that a workflow makes without protection",
                immutable("acme/app", "environment:*"),
            ),
            (
                json!({"Environments": ["prod*"]}),
                "`Environments: prod*` is every environment whose name begins with `prod`",
                immutable("acme/app", "environment:prod*"),
            ),
            (
                json!({"Repository": "acme/*", "AllJobs": true}),
                "`AllJobs` is every branch, tag, environment and pull request of acme/*",
                format!("repo:acme@{owner}/*:*"),
            ),
        ] {
            place.world.settings.guardrails = super::broad_trust_is_forbidden();
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(!outcome.succeeded && outcome.reason.contains(reason), "{members}: {}", outcome.reason);
            assert!(outcome.reason.contains("(guardrail `AllowBroadTrust`)"), "{}", outcome.reason);
            place.world.settings.guardrails = Guardrails::none();
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(outcome.succeeded, "{members}: {}", outcome.reason);
            let warning = outcome.attributes["Warning"].as_str().unwrap_or_default();
            assert!(warning.contains(reason), "{members}: {warning}");
            assert!(place.subjects().contains(&subject), "{:?}", place.subjects());
        }
    });
}

#[test]
fn what_narrows_an_entry_needs_nobody_s_leave() {
    at(async |place| {
        let plan = "acme/app/.github/workflows/plan.yml@refs/pull/*/merge";
        let spaced = "acme/app/.github/workflows/deploy to prod.yml@refs/heads/main";
        for (members, subject, claims) in [
            (
                json!({"Environments": ["prod"], "Refs": ["refs/heads/main"]}),
                "environment:prod",
                r#"ref":"refs/heads/main""#.to_owned(),
            ),
            (
                json!({"PullRequests": true, "Workflows": [plan]}),
                "pull_request",
                format!(r#"job_workflow_ref":"{plan}""#),
            ),
            (
                json!({"Branches": ["main"], "Workflows": [spaced]}),
                "ref:refs/heads/main",
                format!(r#"job_workflow_ref":"{spaced}""#),
            ),
            (
                json!({"Branches": ["main"], "Workflows": ["acme/ci/.github/workflows/deploy.yml@*"]}),
                "ref:refs/heads/main",
                r#"job_workflow_ref":"acme/ci/.github/workflows/deploy.yml@*""#.to_owned(),
            ),
            (
                json!({"Branches": ["main"], "TemplateClaims": [{"Name": "workflow", "Values": ["CI: deploy 100%"]}]}),
                "ref:refs/heads/main",
                r#"workflow":"CI: deploy 100%""#.to_owned(),
            ),
            (
                json!({"Branches": ["release/*"], "Refs": ["refs/heads/release/1"]}),
                "ref:refs/heads/release/1",
                String::new(),
            ),
        ] {
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(outcome.succeeded, "{members}: {}", outcome.reason);
            assert_eq!(place.subjects(), [immutable("acme/app", subject)]);
            assert!(place.policy().to_string().contains(&claims), "{}", place.policy());
        }
        let outcome = place.create(json!([entry(&json!({"Branches": ["next"], "Refs": ["refs/heads/main"]}))])).await;
        assert!(outcome.reason.contains("no job is on refs/heads/next and on refs/heads/main"), "{}", outcome.reason);
    });
}

#[test]
fn a_template_takes_its_claims_from_the_members() {
    at(async |place| {
        let prod = json!({"Environments": ["prod"]});
        let tier =
            json!({"Environments": ["prod"], "TemplateClaims": [{"Name": "repo_property_tier", "Values": ["gold"]}]});
        let on_main = json!({"Environments": ["prod"], "Refs": ["refs/heads/main"]});
        let titled =
            json!({"Environments": ["prod"], "TemplateClaims": [{"Name": "workflow", "Values": ["CI: deploy"]}]});
        for (keys, members, subject) in [
            (&["repo", "context", "ref"][..], &prod, "environment:prod:ref:*"),
            (&["repo", "context", "ref"], &on_main, "environment:prod:ref:refs/heads/main"),
            (&["repo", "ref"], &on_main, "ref:refs/heads/main"),
            (&["repo", "context", "repo_property_tier"], &tier, "environment:prod:repo_property_tier:gold"),
            (&["repo", "context", "workflow"], &titled, "environment:prod:workflow:CI%3A deploy"),
        ] {
            has_template(place, keys);
            let outcome = place.create(json!([entry(members)])).await;
            assert!(outcome.succeeded, "{keys:?}: {}", outcome.reason);
            assert_eq!(place.subjects(), [immutable("acme/app", subject)]);
        }
        // The workflow `CI%3A deploy` has the same subject.
        assert!(place.policy().to_string().contains(r#":workflow":"CI: deploy""#), "{}", place.policy());
        has_template(place, &["repo", "context", "repo_property_tier"]);
        let outcome = place.create(json!([entry(&prod)])).await;
        let lack = "add `TemplateClaims` with the `Name` repo_property_tier";
        assert!(outcome.reason.contains(lack), "{}", outcome.reason);
        has_template(place, &["repo", "context"]);
        let outcome = place.create(json!([entry(&tier)])).await;
        assert!(outcome.reason.contains("as far as it is known, has no `repo_property_tier`"), "{}", outcome.reason);
        for (name, value, why) in [
            ("job_workflow_ref", "x", "write `Workflows`"),
            ("tier", "x", "claims that GitHub's tokens have"),
            ("triggering_actor", "octocat", "claims that GitHub's tokens have"),
            ("runner_environment", "a:b", "without `:`"),
            (
                "repo_property_tier",
                "a%3Ab",
                "so that two values can have one subject; whole `Subjects` say such a value",
            ),
            ("actor", "octocat", "write `Actors`, which are compared by their ids"),
        ] {
            let claims = json!({"Branches": ["main"], "TemplateClaims": [{"Name": name, "Values": [value]}]});
            let outcome = place.create(json!([entry(&claims)])).await;
            assert!(!outcome.succeeded && outcome.reason.contains(why), "{name}: {}", outcome.reason);
        }
    });
}

#[test]
fn any_ref_is_no_pull_request_where_the_template_has_no_context() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let workflow = "acme/app/.github/workflows/d.yml@refs/heads/main";
        for keys in [&["repo", "ref"][..], &["repo", "job_workflow_ref"], &["repo", "context"]] {
            has_template(place, keys);
            let outcome = place.create(json!([entry(&json!({"AnyRef": true, "Workflows": [workflow]}))])).await;
            assert!(outcome.succeeded, "{keys:?}: {}", outcome.reason);
            let policy = place.policy().to_string();
            let is_exact = policy.contains("refs/heads/*") && policy.contains("refs/tags/*");
            assert!(is_exact && !policy.contains("refs/*"), "{keys:?}: {policy}");
        }
        let never = json!({"AnyRef": true, "Refs": ["refs/pull/*/merge"]});
        let outcome = place.create(json!([entry(&never)])).await;
        assert!(outcome.reason.contains("no job is on refs/heads/* or refs/tags/* and on"), "{}", outcome.reason);
    });
}

#[test]
fn what_is_declared_is_held_against_github_where_it_answers() {
    at(async |place| {
        let wrong = json!({"Branches": ["main"], "SubjectFormat": "Immutable", "OwnerId": "1", "RepositoryId": "2"});
        let outcome = place.create(json!([entry(&wrong)])).await;
        assert!(outcome.reason.contains("`OwnerId`: GitHub says"), "{}", outcome.reason);
        let (owner, id) = crate::simulation::github::ids("acme/app");
        let mut other_case = wrong;
        (other_case["OwnerId"], other_case["RepositoryId"]) = (json!(owner.to_string()), json!(id.to_string()));
        other_case["Repository"] = json!("acme/App");
        place.github(|github| {
            let body = json!({"full_name": "acme/app", "id": id, "owner": {"login": "acme", "id": owner}}).to_string();
            github.answers.insert("GET /repos/acme/App".into(), Answer { status: 200, headers: Vec::new(), body });
        });
        let outcome = place.create(json!([other_case])).await;
        assert!(outcome.reason.contains("GitHub writes it acme/app"), "{}", outcome.reason);
        let of_owner = json!([{"Repository": "acme/*", "Branches": ["main"], "OwnerId": "5"}]);
        let guardrails = std::mem::replace(&mut place.world.settings.guardrails, Guardrails::none());
        let outcome = place.create(of_owner).await;
        let why = format!("(acme/*): `OwnerId`: GitHub says {owner}, the template 5");
        assert!(outcome.reason.contains(&why), "{}", outcome.reason);
        place.world.settings.guardrails = guardrails;
        let right = json!({"Branches": ["main"], "SubjectFormat": "Immutable", "OwnerId": owner.to_string(), "RepositoryId": id.to_string()});
        has_template(place, &["repo", "ref"]);
        assert!(place.create(json!([entry(&right)])).await.succeeded);
        let keys = ["repo", "context", "job_workflow_ref"];
        has_template(place, &keys);
        let outcome = place.create(json!([entry(&right)])).await;
        assert!(outcome.reason.contains("add `Workflows`"), "{}", outcome.reason);
    });
}

#[test]
fn a_number_of_no_user_is_a_warning() {
    at(async |place| {
        let trust = json!([entry(&json!({"Branches": ["main"], "Actors": ["5", "7", "8"]}))]);
        let warned = async |place: &mut Place| {
            let outcome = place.create(trust.clone()).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            outcome.attributes["Warning"].as_str().unwrap_or_default().to_owned()
        };
        place.github(|github| {
            for number in ["5", "8"] {
                let nobody = Answer { status: 404, headers: Vec::new(), body: "{}".to_owned() };
                github.answers.insert(format!("GET /user/{number}"), nobody);
            }
        });
        assert_eq!(warned(place).await, "", "the public does not see the users of an enterprise");
        place.token();
        insta::assert_snapshot!(warned(place).await, @"Under `Actors` there are numbers of which GitHub shows no user to the function's credential, so that no job may fit them: 5 and 8");
        place.github(|github| github.answers.clear());
        assert_eq!(warned(place).await, "");
    });
}

#[test]
fn a_number_of_an_organisation_is_refused_and_stops_no_rollback() {
    for has_credential in [false, true] {
        at(async |place| {
            if has_credential {
                place.token();
            }
            let trust = json!([entry(&json!({"Branches": ["main"], "Actors": ["6"]}))]);
            assert!(place.create(trust.clone()).await.succeeded);
            let body = json!({"login": "acme", "id": 6, "type": "Organization"}).to_string();
            let organisation = Answer { status: 200, headers: Vec::new(), body };
            place.github(|github| drop(github.answers.insert("GET /user/6".into(), organisation)));
            let outcome = place.update(trust.clone()).await;
            let told = "`Actors`: 6: that is the organisation acme, and no user, so that no job is triggered by it";
            assert!(!outcome.succeeded && outcome.reason.contains(told), "{}", outcome.reason);
            let with_user = json!([entry(&json!({"Branches": ["main"], "Actors": ["6", "7"]}))]);
            let outcome = place.update(with_user).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            let warning = outcome.attributes["Warning"].as_str().unwrap_or_default();
            assert!(warning.contains("numbers of organisations, which trigger no job: 6"), "{warning}");
            place.rolls_back = true;
            let outcome = place.request("Update", json!({"Trust": trust, "Description": "former"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
        });
    }
}

#[test]
fn what_no_job_fits_today_is_a_warning() {
    at(async |place| {
        let workflow = "acme/app/.github/workflows/plan.yml@refs/heads/main";
        for (members, warning) in [
            (json!({"Branches": ["main"], "SubjectFormat": "Classic"}), "which `SubjectFormat` does not admit"),
            (
                json!({"Subjects": ["repo:acme/app:pull_request"]}),
                "GitHub sends subjects with ids, which `repo:acme/app:pull_request` does not admit",
            ),
            (json!({"PullRequests": true, "Workflows": [workflow]}), "fits only if it is called by that name"),
        ] {
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            let warned = outcome.attributes["Warning"].as_str().unwrap();
            assert!(warned.contains(warning), "{members}: {warned}");
        }
    });
}

#[test]
fn a_template_that_says_the_environment_has_those_of_the_entry() {
    at(async |place| {
        has_template(place, &["repo", "environment"]);
        let outcome = place.create(json!([entry(&json!({"Environments": ["prod"]}))])).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects(), [immutable("acme/app", "environment:prod")]);
        let outcome = place.update(json!([entry(&json!({"Branches": ["main"]}))])).await;
        let way =
            "needs the claim `environment`, which the entry does not give: write `Environments` in place of the others";
        assert!(!outcome.succeeded && outcome.reason.contains(way), "{}", outcome.reason);
    });
}

#[test]
fn subjects_of_another_repository_than_the_entry_s_are_refused() {
    at(async |place| {
        for (members, member) in [
            (json!({"Subjects": ["repo:acme/other:pull_request"]}), "`Repository`, acme/app"),
            (json!({"Subjects": ["repository:acme/other:environment:prod"]}), "`Repository`, acme/app"),
            (json!({"Subjects": ["repository_owner:them:repository_id:5:environment:prod"]}), "`Repository`, acme/app"),
            (json!({"Subjects": ["repo:acme@1/app@2:pull_request"], "RepositoryId": "3"}), "`RepositoryId`"),
            (json!({"Subjects": ["repo:acme@1/app@2:pull_request"], "OwnerId": "3"}), "`OwnerId`"),
        ] {
            let outcome = place.create(json!([entry(&members)])).await;
            let why = format!("subjects of this entry's {member}");
            assert!(!outcome.succeeded && outcome.reason.contains(&why), "{members}: {}", outcome.reason);
        }
    });
}

#[test]
fn whole_subjects_that_their_members_contradict_are_refused() {
    at(async |place| {
        let file = |name: &str| format!("acme/app/.github/workflows/{name}.yml@refs/heads/main");
        let on = |rest: &str| immutable("acme/app", rest);
        for (subject, member, value) in [
            (on("ref:refs/heads/main"), "Refs", json!(["refs/heads/dev"])),
            (on("ref:refs/heads/release/*"), "Refs", json!(["refs/heads/dev", "refs/tags/*"])),
            (on("pull_request"), "Refs", json!(["refs/tags/v1"])),
            (format!("{}:{}", on("environment:prod:job_workflow_ref"), file("x")), "Workflows", json!([file("y")])),
            (on("environment:prod:actor_id:5"), "Actors", json!(["6"])),
            (on("environment:prod:enterprise_id:5"), "EnterpriseId", json!("6")),
        ] {
            let mut members = json!({"Subjects": [subject]});
            members[member] = value;
            let outcome = place.create(json!([entry(&members)])).await;
            let why = format!("`Subjects`: no job with the subject `{subject}` fits `{member}`");
            assert!(!outcome.succeeded && outcome.reason.contains(&why), "{members}: {}", outcome.reason);
        }
        for (subject, member, value) in [
            (on("ref:refs/heads/main"), "Refs", json!(["refs/heads/dev", "refs/heads/main"])),
            (on("ref:refs/heads/release/*"), "Refs", json!(["refs/heads/*/1"])),
            // The ref of a pull request that was merged is its base.
            (on("pull_request"), "Refs", json!(["refs/heads/main"])),
            (on("environment:prod"), "Refs", json!(["refs/tags/v1"])),
            (on("environment:prod:actor_id:5"), "Actors", json!(["5", "6"])),
        ] {
            let mut members = json!({"Subjects": [subject]});
            members[member] = value;
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(outcome.succeeded, "{members}: {}", outcome.reason);
        }
        let tagged = entry(&json!({"PullRequests": true, "Refs": ["refs/tags/v1"]}));
        let outcome = place.create(json!([tagged])).await;
        assert!(outcome.reason.contains("`Refs`: no job is on"), "{}", outcome.reason);
    });
}

#[test]
fn own_workflows_are_written_as_the_repository_is() {
    at(async |place| {
        place.world.settings.guardrails = Guardrails::none();
        let file = |repository: &str| format!("{repository}/.github/workflows/x.yml@refs/heads/main");
        for (members, written) in [
            (json!({"Branches": ["main"], "Workflows": [file("Acme/App")]}), "acme/app"),
            (json!({"Repository": "acme/*", "Branches": ["main"], "Workflows": [file("ACME/ci")]}), "acme"),
            (
                json!({"Subjects": [format!("{}:job_workflow_ref:{}", immutable("acme/app", "environment:prod"), file("acme/App"))]}),
                "acme/app",
            ),
        ] {
            let outcome = place.create(json!([entry(&members)])).await;
            let why = format!("{written} in the case that the entry writes it in, because the claim is case-sensitive");
            assert!(!outcome.succeeded && outcome.reason.contains(&why), "{members}: {}", outcome.reason);
        }
        for members in [
            json!({"Branches": ["main"], "Workflows": [file("acme/app"), file("Them/x")]}),
            json!({"Repository": "acme/*", "Branches": ["main"], "Workflows": [file("acme/Ci")]}),
        ] {
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(outcome.succeeded, "{members}: {}", outcome.reason);
        }
    });
}

#[test]
fn a_context_on_no_ref_of_the_entry_is_told_and_the_others_are_written() {
    at(async |place| {
        let main = json!(["refs/heads/main"]);
        for (members, context, void) in [
            (json!({"Branches": ["main", "dev"], "Refs": main}), "ref:refs/heads/main", "`Branches: dev`"),
            (
                json!({"Environments": ["prod"], "Branches": ["dev"], "Refs": main}),
                "environment:prod",
                "`Branches: dev`",
            ),
            (json!({"Environments": ["prod"], "Tags": ["v1"], "Refs": main}), "environment:prod", "`Tags: v1`"),
        ] {
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(outcome.succeeded, "{members}: {}", outcome.reason);
            assert_eq!(place.subjects(), [immutable("acme/app", context)]);
            let warned = outcome.attributes["Warning"].as_str().unwrap();
            let told =
                warned.contains("`Refs`: no job is on refs/") && warned.contains(" and on refs/heads/main, so that ");
            assert!(told && warned.ends_with(&format!("{void} lets nobody in")), "{members}: {warned}");
        }
        let void = json!({"Branches": ["dev"], "PullRequests": true, "Refs": ["refs/tags/v1"]});
        let outcome = place.create(json!([entry(&void)])).await;
        assert!(outcome.reason.contains(", so that nobody could assume the role"), "{}", outcome.reason);
    });
}

#[test]
fn refs_that_overlap_a_branch_in_part_are_compared_beside_the_subject() {
    at(async |place| {
        let workflow = "acme/app/.github/workflows/d.yml@*";
        let members = json!({"Branches": ["release/*"], "Refs": ["refs/heads/*/1"], "Workflows": [workflow]});
        for keys in [&["repo", "context"][..], &["repo", "ref"]] {
            has_template(place, keys);
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(outcome.succeeded, "{keys:?}: {}", outcome.reason);
            assert_eq!(place.subjects(), [immutable("acme/app", "ref:refs/heads/release/*")]);
            assert!(place.policy().to_string().contains(r#":ref":"refs/heads/*/1""#), "{}", place.policy());
        }
        has_template(place, &["repo", "job_workflow_ref"]);
        let outcome = place.create(json!([entry(&members)])).await;
        let why = "`Refs`: refs/heads/*/1 and refs/heads/release/* overlap in part";
        assert!(!outcome.succeeded && outcome.reason.contains(why), "{}", outcome.reason);
    });
}

#[test]
fn a_visibility_that_the_repository_does_not_have_is_a_warning() {
    at(async |place| {
        has_template(place, &["repo", "context", "repository_visibility"]);
        let of = |values: &[&str]| json!({"Branches": ["main"], "TemplateClaims": [{"Name": "repository_visibility", "Values": values}]});
        let whole = |value: &str| immutable("acme/app", &format!("environment:prod:repository_visibility:{value}"));
        let private = whole("private");
        for (members, warning) in [
            (of(&["private"]), "GitHub says that acme/app is public, which `TemplateClaims` does not admit".to_owned()),
            (of(&["private", "public"]), String::new()),
            (of(&["pub*"]), String::new()),
            (
                json!({"Subjects": [private]}),
                format!("GitHub says that acme/app is public, which `{private}` does not admit"),
            ),
            (json!({"Subjects": [whole("public")]}), String::new()),
        ] {
            let outcome = place.create(json!([entry(&members)])).await;
            assert!(outcome.succeeded, "{members}: {}", outcome.reason);
            let warned = outcome.attributes["Warning"].as_str().unwrap();
            assert!(warned.contains(&warning) && warning.is_empty() == warned.is_empty(), "{members}: {warned}");
        }
    });
}
