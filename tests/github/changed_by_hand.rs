//! A trust policy that somebody else wrote, or changed: the ids in it are a memory of the names, too.

use serde_json::{Value, json};

use super::changed_names::refuses;
use super::{Place, at, immutable};
use crate::simulation::author::Author;
use crate::simulation::github::ids;

const MAIN: &str = "ref:refs/heads/main";
const ISSUER: &str = "token.actions.githubusercontent.com";

fn app() -> Value {
    json!([{"Repository": "acme/app", "Branches": ["main"]}])
}

/// Somebody writes another policy, made from the one that is there.
fn rewrite(place: &Place, change: impl FnOnce(&mut Value)) {
    let mut policy = place.policy();
    change(&mut policy);
    place.someone("UpdateAssumeRolePolicy", &json!({"RoleName": "deploy", "PolicyDocument": policy.to_string()}));
}

fn add_sid(policy: &mut Value) {
    policy["Statement"][0]["Sid"] = json!("GitHub");
}

fn add_statement(policy: &mut Value) {
    let human =
        json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole"});
    policy["Statement"].as_array_mut().unwrap().push(human);
}

fn like_any(policy: &mut Value) {
    let condition = json!({"StringEquals": {format!("{ISSUER}:aud"): "sts.amazonaws.com"},
        "ForAnyValue:StringLike": {format!("{ISSUER}:sub"): [format!("repo:{}:*", crate::simulation::github::immutable("acme/app"))]}});
    policy["Statement"][0]["Condition"] = condition;
}

fn by_claims(policy: &mut Value) {
    let (owner, id) = ids("acme/app");
    let condition = json!({"StringEquals": {format!("{ISSUER}:aud"): "sts.amazonaws.com", format!("{ISSUER}:sub"): "pull_request",
        format!("{ISSUER}:repository"): "acme/app", format!("{ISSUER}:repository_owner_id"): owner.to_string(),
        format!("{ISSUER}:repository_id"): [id.to_string()]}});
    policy["Statement"][0]["Condition"] = condition;
}

const CHANGES: [fn(&mut Value); 4] = [add_sid, add_statement, like_any, by_claims];

fn taken(place: &Place) {
    place.github(|github| github.taken = [("acme".to_owned(), 777), ("acme/app".to_owned(), 999)].into());
}

#[test]
fn ids_count_whatever_somebody_wrote_beside_them() {
    for change in CHANGES {
        at(async |place| {
            assert!(place.create(app()).await.succeeded);
            rewrite(place, change);
            taken(place);
            let told = format!("the role trusts acme/app with id {}", ids("acme/app").1);
            refuses(place, &app(), &[&told, "write `RepositoryId: 999` and `OwnerId: 777`"]).await;
            place.rolls_back = true;
            let outcome = place.request("Update", json!({"Trust": app(), "Description": "more"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            assert!(place.subjects().contains(&immutable("acme/app", MAIN)), "{}", place.policy());
            assert!(!place.policy().to_string().contains("999"), "{}", place.policy());
        });
    }
}

/// A statement about GitHub's jobs, with these conditions on their claims.
fn statement(place: &Place, effect: &str, conditions: &Value) -> Value {
    let mut named = json!({});
    for (operator, keys) in conditions.as_object().unwrap() {
        for (key, values) in keys.as_object().unwrap() {
            named[operator][format!("{ISSUER}:{key}")] = values.clone();
        }
    }
    let provider = place.provider_arn();
    json!({"Effect": effect, "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": named})
}

/// Policies that hold the id of acme, of acme/app or of octocat in a pattern, in a denial or as a number.
fn with_ids(place: &Place) -> Vec<Value> {
    let (owner, id) = ids("acme/app");
    let user = ids("octocat").0;
    let allow = |conditions: &Value| {
        let mut conditions = conditions.clone();
        conditions["StringEquals"]["aud"] = json!("sts.amazonaws.com");
        statement(place, "Allow", &conditions)
    };
    let like = |subject: String| json!([allow(&json!({"StringLike": {"sub": subject}}))]);
    let denied = |subject: &str, claim: &str, id: u64| {
        json!([
            allow(&json!({"StringLike": {"sub": subject}})),
            statement(place, "Deny", &json!({"StringNotEquals": {claim: id.to_string()}})),
        ])
    };
    let named = json!(format!("repo:acme/app:{MAIN}"));
    let anybody = |mut statement: Value| {
        statement["Principal"] = json!("*");
        statement
    };
    vec![
        like(format!("repo:acme@{owner}/app@*:{MAIN}")),
        like(format!("repo:acme@{owner}/app-*:{MAIN}")),
        like(format!("repo:acme@{owner}/*@*:*")),
        like(format!("repo:*@{owner}/*@{id}:*")),
        like(format!("repo:acme@{owner}/app@{id}*")),
        like(format!("repo:acme@{owner}*")),
        like(format!("rep?:acme@{owner}/app@{id}:*")),
        like(format!("*@{owner}/app@{id}:*")),
        like(format!("repo:*/app@{id}:*")),
        json!([allow(
            &json!({"StringLike": {"sub": "repo:acme/app*"}, "StringEquals": {"repository_id": id.to_string()}})
        )]),
        json!([allow(
            &json!({"StringLike": {"sub": "repo:acme/*"}, "StringEquals": {"repository_id": id.to_string()}})
        )]),
        json!([
            allow(&json!({"StringEquals": {"sub": named, "repository_id": id.to_string()}})),
            statement(place, "Deny", &json!({"StringNotEquals": {"repository_id": [id.to_string(), "999"]}})),
        ]),
        json!([anybody(allow(&json!({"StringEquals": {"sub": named, "repository_id": id.to_string()}})))]),
        denied("repo:acme/app:*", "repository_id", id),
        denied("repo:acme/*", "repository_owner_id", owner),
        denied("repo:*", "repository_owner_id", owner),
        denied(&format!("repo:{}:{MAIN}", crate::simulation::github::immutable("acme/app")), "actor_id", user),
        json!([allow(&json!({"StringEquals": {"sub": named, "repository_id": id}}))]),
        json!([allow(&json!({"StringEquals": {"sub": named}, "NumericEquals": {"repository_id": id.to_string()}}))]),
        json!([allow(
            &json!({"StringLike": {"sub": "repo:*"}, "StringEquals": {"repository_owner_id": owner.to_string()}})
        )]),
        json!([
            allow(&json!({"StringLike": {"sub": "repo:acme*"}})),
            statement(place, "Deny", &json!({"StringNotLike": {"sub": format!("repo:acme@{owner}/app@{id}:*")}})),
        ]),
        json!([allow(
            &json!({"StringLike": {"sub": ["repo:corp/web:*", MAIN]}, "StringEquals": {"repository_id": id.to_string()}})
        )]),
        json!([
            allow(&json!({"StringLike": {"sub": "repo:*"}, "StringEquals": {"repository_id": id.to_string()}})),
            statement(
                place,
                "Deny",
                &json!({"StringNotLike": {"sub": [format!("repo:acme@{owner}/app@*"), "repo:acme/app:*"]}})
            ),
        ]),
    ]
}

#[test]
fn an_id_in_a_pattern_a_denial_or_a_number_is_a_memory() {
    let trust = || json!([{"Repository": "acme/app", "Branches": ["main"], "Actors": ["octocat"]}]);
    for (index, existing) in (0..23).flat_map(|index| [(index, None), (index, Some("Adopt"))]) {
        at(async |place| {
            assert!(place.create(trust()).await.succeeded);
            let policy = with_ids(place).remove(index);
            rewrite(place, |document| document["Statement"] = policy.clone());
            if existing.is_some() {
                let tags: Vec<String> =
                    place.cloud.state().account.iam.roles.all().next().unwrap().1.tags.keys().cloned().collect();
                place.someone("UntagRole", &json!({"RoleName": "deploy", "TagKeys": tags}));
            }
            place.github(|github| {
                let names = [("acme", 777), ("acme/app", 999), ("octocat", 888)];
                github.taken = names.map(|(name, id)| (name.to_owned(), id)).into();
            });
            let before = place.policy();
            let request = if existing.is_some() { "Create" } else { "Update" };
            let mut properties = json!({"Trust": trust(), "Description": "other"});
            if let Some(existing) = existing {
                properties["OnExisting"] = json!(existing);
            }
            let outcome = place.request(request, properties.clone()).await;
            assert!(!outcome.succeeded, "{policy}: {}", place.policy());
            let told = ["the role trusts", "a statement of the role's policy has the ids"];
            assert!(told.iter().any(|told| outcome.reason.contains(told)), "{policy}: {}", outcome.reason);
            assert_eq!(place.policy(), before);
            if existing.is_none() {
                place.rolls_back = true;
                let outcome = place.request(request, properties).await;
                assert!(outcome.succeeded, "{policy}: {}", outcome.reason);
                let text = place.policy().to_string();
                assert!(!text.contains("999") && !text.contains("777") && !text.contains("888"), "{policy}: {text}");
            }
        });
    }
}

#[test]
fn an_id_without_a_name_that_somebody_wrote_is_a_memory_of_a_role_of_ours() {
    for members in [
        json!({"sub": format!("{MAIN}:repository_id:{}", ids("acme/app").1)}),
        json!({"sub": MAIN, "repository_id": ids("acme/app").1.to_string()}),
    ] {
        at(async |place| {
            assert!(place.create(app()).await.succeeded);
            let mut conditions = json!({"StringEquals": members});
            conditions["StringEquals"]["aud"] = json!("sts.amazonaws.com");
            let by_hand = statement(place, "Allow", &conditions);
            rewrite(place, |policy| policy["Statement"] = json!([by_hand]));
            taken(place);
            refuses(place, &app(), &["a statement of the role's policy has the ids"]).await;
        });
    }
}

#[test]
fn ids_without_names_in_a_role_to_adopt_are_those_of_its_repository() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        let subject = format!("repository_id:{}:environment:prod", ids("acme/app").1);
        rewrite(place, |policy| {
            policy["Statement"][0]["Condition"]["StringEquals"][format!("{ISSUER}:sub")] = json!(subject);
        });
        let keys = ["github-trust:stack-id", "github-trust:logical-id", "github-trust:settings"];
        place.someone("UntagRole", &json!({"RoleName": "deploy", "TagKeys": keys}));
        taken(place);
        let adopt = json!({"Trust": app(), "OnExisting": "Adopt"});
        let outcome = place.request("Create", adopt.clone()).await;
        let told = "and no name, and GitHub shows id 999 for acme/app";
        assert!(!outcome.succeeded && outcome.reason.contains(told), "{}", outcome.reason);
        place.github(|github| github.taken.clear());
        let outcome = place.request("Create", adopt).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
    });
}

#[test]
fn names_that_leave_a_changed_policy_are_remembered() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        rewrite(place, add_sid);
        assert!(place.update(json!([{"Repository": "corp/web", "Branches": ["main"]}])).await.succeeded);
        taken(place);
        refuses(place, &app(), &["write `RepositoryId: 999` and `OwnerId: 777`"]).await;
    });
}

#[test]
fn a_role_of_others_is_a_memory_in_whatever_form() {
    for change in CHANGES {
        for existing in ["Adopt", "TakeOver"] {
            at(async |place| {
                assert!(place.create(app()).await.succeeded);
                rewrite(place, change);
                place.cloud.change_now(|account, now| {
                    let keys = ["github-trust:stack-id", "github-trust:logical-id"];
                    account
                        .iam_as(&Author::Someone, now, "UntagRole", &json!({"RoleName": "deploy", "TagKeys": keys}))
                        .unwrap();
                });
                taken(place);
                let before = place.policy();
                let outcome = place.request("Create", json!({"Trust": app(), "OnExisting": existing})).await;
                assert!(!outcome.succeeded, "{existing}: {}", place.policy());
                assert!(outcome.reason.contains("write `RepositoryId: 999` and `OwnerId: 777`"), "{}", outcome.reason);
                assert_eq!(place.policy(), before);
            });
        }
    }
}

/// Two repositories without ids in their subjects, which are let in for the same jobs and share a statement.
fn two(place: &mut Place) -> Value {
    place.token();
    place.github(|github| github.classic.extend(["acme/app", "corp/web"].map(str::to_owned)));
    json!([{"Repository": "acme/app", "Branches": ["main"]}, {"Repository": "corp/web", "Branches": ["main"]}])
}

/// The one has the name of the other.
fn swap(place: &Place) {
    place.github(|github| github.taken = [("acme/app".to_owned(), ids("corp/web").1)].into());
}

fn more() -> Value {
    json!([{"Repository": "acme/app", "Environments": ["prod"]}])
}

fn drop_sid(policy: &mut Value) {
    policy["Statement"][0].as_object_mut().unwrap().remove("Sid");
}

#[test]
fn a_sid_that_stays_tells_whose_each_id_is() {
    at(async |place| {
        let trust = two(place);
        assert!(place.create(trust).await.succeeded);
        rewrite(place, add_statement);
        swap(place);
        let told = format!("the role trusts acme/app with id {}, and GitHub shows id", ids("acme/app").1);
        refuses(place, &more(), &[&told]).await;
        place.github(|github| github.taken.clear());
        assert!(place.update(more()).await.succeeded);
    });
}

#[test]
fn an_id_of_several_names_excuses_none_of_them() {
    let both = |policy: &mut Value| {
        drop_sid(policy);
        add_statement(policy);
    };
    for change in [drop_sid as fn(&mut Value), both] {
        at(async |place| {
            let trust = two(place);
            assert!(place.create(trust.clone()).await.succeeded);
            rewrite(place, change);
            let before = place.policy();
            let (app, web) = (ids("acme/app").1, ids("corp/web").1);
            for (now, swapped) in [(web, true), (app, false)] {
                place.github(|github| github.taken.clear());
                if swapped {
                    swap(place);
                }
                let told = [
                    format!(
                        "has the ids {} or {} for several names, and does not tell which of them",
                        app.min(web),
                        app.max(web)
                    ),
                    format!("is acme/app; {now} has the name now"),
                    format!(
                        "If the repository, owner or user is meant that has the name now, write `RepositoryId: {now}`"
                    ),
                ];
                refuses(place, &more(), &told.each_ref().map(String::as_str)).await;
            }
            // Without an answer, the name is not let in by itself.
            place.github(|github| github.down = true);
            let classic = json!([{"Repository": "acme/app", "Environments": ["prod"], "SubjectFormat": "Classic"}]);
            for trust in [classic, json!([{"Subjects": ["repo:acme/app:environment:prod"]}])] {
                let outcome = place.update(trust).await;
                assert!(!outcome.succeeded, "{}", place.policy());
                assert_eq!(place.policy(), before);
            }
            place.github(|github| github.down = false);
            place.rolls_back = true;
            let outcome = place.request("Update", json!({"Trust": trust, "Description": "former"})).await;
            assert!(outcome.succeeded, "{}", outcome.reason);
            place.rolls_back = false;
            let other = json!([{"Repository": "corp/other", "Branches": ["main"]}]);
            assert!(place.update(other).await.succeeded);
            swap(place);
            refuses(place, &more(), &["the role trusts acme/app with id"]).await;
        });
    }
}

#[test]
fn names_whose_ids_nothing_tells_need_declared_ones_when_they_come_back() {
    at(async |place| {
        let trust = two(place);
        assert!(place.create(trust).await.succeeded);
        rewrite(place, drop_sid);
        assert!(place.update(json!([{"Subjects": [immutable("corp/other", MAIN)]}])).await.succeeded);
        swap(place);
        refuses(place, &more(), &["no longer hold all names that it has trusted, of which acme/app may be one"]).await;
        let mut declared = more();
        declared[0]["RepositoryId"] = json!(ids("corp/web").1.to_string());
        declared[0]["OwnerId"] = json!(ids("acme").0.to_string());
        let outcome = place.update(declared).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
    });
}

#[test]
fn ids_in_a_subject_are_its_own_whatever_the_statement_lists() {
    at(async |place| {
        let repositories = ["acme/app", "corp/web"];
        let entries = repositories.map(|name| json!({"Repository": name, "Branches": ["main"]}));
        assert!(place.create(json!(entries)).await.succeeded);
        rewrite(place, |policy| {
            let (owners, ids): (Vec<String>, Vec<String>) =
                repositories.map(ids).into_iter().map(|(owner, id)| (owner.to_string(), id.to_string())).unzip();
            policy["Statement"][0]["Condition"]["StringEquals"][format!("{ISSUER}:repository_owner_id")] =
                json!(owners);
            policy["Statement"][0]["Condition"]["StringEquals"][format!("{ISSUER}:repository_id")] = json!(ids);
        });
        swap(place);
        let told = format!("the role trusts acme/app with id {}, and GitHub shows id", ids("acme/app").1);
        refuses(place, &more(), &[&told]).await;
        place.github(|github| github.taken = [("acme".to_owned(), ids("corp").0)].into());
        refuses(place, &more(), &[&format!("the role trusts acme with id {}, and", ids("acme").0)]).await;
    });
}

#[test]
fn an_id_that_one_name_has_in_its_subject_is_no_other_name_s() {
    at(async |place| {
        let web = |member: &str, value: &str| json!({"Repository": "corp/web", member: [value]});
        place.token();
        place.github(|github| github.classic.push("corp/web".into()));
        assert!(place.create(json!([app()[0], web("Branches", "main")])).await.succeeded);
        rewrite(place, |policy| {
            let mut statement = policy["Statement"][0].clone();
            let equals = &mut statement["Condition"]["StringEquals"];
            equals[format!("{ISSUER}:sub")] = json!([immutable("acme/app", MAIN), format!("repo:corp/web:{MAIN}")]);
            equals[format!("{ISSUER}:repository_id")] =
                json!(["acme/app", "corp/web"].map(|name| ids(name).1.to_string()));
            policy["Statement"] = json!([statement]);
        });
        place.github(|github| github.taken = [("corp/web".to_owned(), ids("acme/app").1)].into());
        let told = format!("the role trusts corp/web with id {}, and GitHub shows id", ids("corp/web").1);
        refuses(place, &json!([web("Environments", "prod")]), &[&told]).await;
    });
}

#[test]
fn owners_that_share_a_statement_are_told_apart_or_declared() {
    at(async |place| {
        place.github(|github| github.private.extend(["acme/none", "corp/none"].map(str::to_owned)));
        let trust = json!([{"Repository": "acme/none", "Branches": ["main"], "SubjectFormat": "Classic"},
                           {"Repository": "corp/none", "Branches": ["main"], "SubjectFormat": "Classic"}]);
        let outcome = place.create(trust).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        rewrite(place, |policy| {
            let mut statement = policy["Statement"][0].clone();
            let equals = &mut statement["Condition"]["StringEquals"];
            equals[format!("{ISSUER}:sub")] =
                json!([format!("repo:acme/none:{MAIN}"), format!("repo:corp/none:{MAIN}")]);
            equals[format!("{ISSUER}:repository_owner_id")] =
                json!(["acme", "corp"].map(|name| ids(name).0.to_string()));
            policy["Statement"] = json!([statement]);
        });
        place.github(|github| github.taken = [("acme".to_owned(), ids("corp").0)].into());
        let new = json!([{"Repository": "acme/new", "Branches": ["main"]}]);
        refuses(place, &new, &["does not tell which of them is acme;", "write `OwnerId: "]).await;
    });
}

#[test]
fn an_id_in_a_subject_is_that_of_the_name_beside_it() {
    at(async |place| {
        place.token();
        let template = ["repository_id", "context"].map(str::to_owned).to_vec();
        place.github(|github| drop(github.templates.insert("acme/app".into(), template)));
        let outcome = place.create(app()).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        rewrite(place, add_sid);
        swap(place);
        let told = format!("the role trusts acme/app with id {}, and GitHub shows id", ids("acme/app").1);
        refuses(place, &app(), &[&told]).await;
    });
}

#[test]
fn a_rollback_learns_no_new_owner_of_a_trusted_repository() {
    at(async |place| {
        place.token();
        place.github(|github| github.classic.push("acme/app".into()));
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "Actors": ["acme"]}]);
        assert!(place.create(trust.clone()).await.succeeded);
        let before = place.policy();
        place.github(|github| github.taken = [("acme".to_owned(), 777)].into());
        refuses(place, &trust, &["777"]).await;
        place.rolls_back = true;
        assert!(place.update(trust.clone()).await.succeeded);
        place.rolls_back = false;
        refuses(place, &trust, &["777"]).await;
        assert_eq!(place.policy(), before);
    });
}

#[test]
fn ids_without_names_are_given_to_no_new_name() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        rewrite(place, |policy| {
            let mut other = policy["Statement"][0].clone();
            other["Condition"]["StringEquals"] = json!({format!("{ISSUER}:repository_id"): "123"});
            other["Condition"]["StringLike"] = json!({format!("{ISSUER}:sub"): "repo:*"});
            policy["Statement"].as_array_mut().unwrap().push(other);
        });
        place.github(|github| github.private.push("zeta/web".into()));
        let outcome = place.update(json!([app()[0], {"Repository": "zeta/web", "Branches": ["main"]}])).await;
        assert!(!outcome.succeeded, "{}", place.policy());
        assert!(outcome.reason.contains("GitHub shows no such repository"), "{}", outcome.reason);
    });
}

#[test]
fn a_rollback_of_a_changed_policy_needs_no_room_for_another_form() {
    at(async |place| {
        let branches: Vec<String> = (0..14).map(|index| format!("release-{index:02}-{}", "x".repeat(40))).collect();
        let trust = json!([{"Repository": "acme/app", "Branches": branches}]);
        assert!(place.create(trust.clone()).await.succeeded);
        let before = place.subjects();
        rewrite(place, |policy| {
            policy["Statement"][0]["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
        });
        place.github(|github| github.down = true);
        place.rolls_back = true;
        let outcome = place.request("Update", json!({"Trust": trust, "Description": "before"})).await;
        assert!(outcome.succeeded, "{}", outcome.reason);
        assert_eq!(place.subjects(), before);
    });
}

#[test]
fn an_id_of_an_entry_counts_also_if_its_own_subjects_have_no_name() {
    let subjects = |id: u64| {
        [
            format!("ref:refs/heads/main:repository_id:{id}"),
            format!("repository_id:{id}:environment:prod"),
            format!("repository_owner_id:{}:repository_id:{id}:pull_request", ids("acme/app").0),
        ]
    };
    for subject in subjects(ids("acme/app").1) {
        at(async |place| {
            let (owner, id) = ids("acme/app");
            let mut whole = json!([{"Repository": "acme/app", "Subjects": [subject]}]);
            whole[0]["OwnerId"] = json!(owner.to_string());
            whole[0]["RepositoryId"] = json!(id.to_string());
            let outcome = place.create(whole).await;
            assert!(outcome.succeeded, "{subject}: {}", outcome.reason);
            taken(place);
            refuses(place, &app(), &[&format!("the role trusts acme/app with id {id}"), "999"]).await;
        });
    }
}

#[test]
fn an_id_in_a_denial_of_names_or_behind_a_wildcard_is_the_repository_s() {
    let (owner, id) = ids("acme/app");
    let policies =
        [("repo:*", Some(format!("repo:acme@{owner}/app@*"))), ("repo:acme/*", Some("repo:acme/app:*".to_owned()))];
    let wildcards = [format!("repo:acme@*@{id}:*"), format!("repo:*@{id}:*"), format!("*@{id}:*")];
    let wildcards: Vec<(&str, Option<String>)> = wildcards.iter().map(|subject| (subject.as_str(), None)).collect();
    for (subject, denied) in policies.into_iter().chain(wildcards.clone()) {
        at(async |place| {
            assert!(place.create(app()).await.succeeded);
            let mut allowed = json!({"StringEquals": {"aud": "sts.amazonaws.com"}, "StringLike": {"sub": subject}});
            let mut statements = Vec::new();
            if let Some(denied) = &denied {
                allowed["StringEquals"]["repository_id"] = json!(id.to_string());
                let spared = json!({"StringNotLike": {"sub": [denied, "repo:acme/app:*"]}});
                statements.push(statement(place, "Deny", &spared));
            }
            statements.push(statement(place, "Allow", &allowed));
            rewrite(place, |policy| policy["Statement"] = json!(statements));
            place.github(|github| github.taken = [("acme/app".to_owned(), 999)].into());
            let told = "a statement of the role's policy has the ids";
            refuses(place, &app(), &[told, "999"]).await;
        });
    }
}

#[test]
fn a_denial_that_spares_another_id_gives_it_to_no_name() {
    let other = ids("acme/web").1;
    for template in ["repository_id context", "context repository_id", "context"] {
        at(async |place| {
            place.token();
            let keys: Vec<String> = template.split(' ').map(str::to_owned).collect();
            place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
            assert!(place.create(app()).await.succeeded);
            let spared =
                json!({"StringNotEquals": {"repository_id": [ids("acme/app").1.to_string(), other.to_string()]}});
            let denial = statement(place, "Deny", &spared);
            rewrite(place, |policy| policy["Statement"].as_array_mut().unwrap().push(denial));
            place.github(|github| github.taken = [("acme/app".to_owned(), other)].into());
            let told = format!("the role trusts acme/app with id {}", ids("acme/app").1);
            refuses(place, &app(), &[&told]).await;
        });
    }
}

#[test]
fn a_harmless_change_by_hand_keeps_no_new_repository_out() {
    for template in ["repository_id context", "context repository_id", "repository_owner_id context"] {
        for change in [add_sid, add_statement] {
            at(async |place| {
                place.token();
                let keys: Vec<String> = template.split(' ').map(str::to_owned).collect();
                place.github(|github| drop(github.templates.insert("acme/app".into(), keys)));
                assert!(place.create(app()).await.succeeded);
                rewrite(place, change);
                for added in ["acme/new", "zeta/new"] {
                    let both = json!([app()[0], {"Repository": added, "Branches": ["main"]}]);
                    let outcome = place.update(both).await;
                    assert!(outcome.succeeded, "{template}, {added}: {}", outcome.reason);
                }
            });
        }
    }
}

#[test]
fn an_id_without_a_name_is_a_memory_also_if_the_digests_are_gone() {
    at(async |place| {
        assert!(place.create(app()).await.succeeded);
        let subject = format!("{MAIN}:repository_id:{}", ids("acme/app").1);
        let by_hand = statement(place, "Allow", &json!({"StringEquals": {"aud": "sts.amazonaws.com", "sub": subject}}));
        rewrite(place, |policy| policy["Statement"] = json!([by_hand]));
        place.someone("UntagRole", &json!({"RoleName": "deploy", "TagKeys": ["github-trust:settings"]}));
        taken(place);
        refuses(place, &app(), &["a statement of the role's policy has the ids"]).await;
    });
}
