//! The scheduled run says which roles trust subjects that GitHub no longer issues, and which somebody changed by hand. It
//! changes none of them by itself.

use github_trust::guardrails::Guardrails;
use serde_json::{Value, json};

use super::{at, at_issuer};
use crate::simulation::wire::Answer;

pub(super) async fn scheduled(place: &super::Place) -> String {
    place.log.clear();
    place.invoke(&json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})).await;
    place.log.text()
}

#[test]
fn a_role_whose_subjects_have_changed_is_reported_and_left_alone() {
    at(async |place| {
        place.token();
        place.github(|github| github.classic.push("acme/app".into()));
        let trust =
            json!([{"Repository": "acme/app", "Branches": ["main"]}, {"Repository": "acme/infra", "Tags": ["v1"]}]);
        assert!(place.create(trust).await.succeeded);
        let log = scheduled(place).await;
        assert!(log.contains("\"roles\":1,\"drifted\":0,\"unknown\":0"), "{log}");
        let before = place.policy();
        place.github(|github| github.classic.clear());
        let log = scheduled(place).await;
        let line = log.lines().find(|line| line.contains("no longer fits what GitHub says")).expect(&log);
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((line["role"].as_str(), line["name"].as_str()), (Some("deploy"), Some("acme/app")));
        assert!(line["what"].as_str().unwrap().contains("its subjects begin repo:acme@"), "{line}");
        assert!(log.contains("\"drifted\":1"), "{log}");
        assert_eq!(place.policy(), before);
    });
}

#[test]
fn a_renamed_repository_is_reported_and_a_hidden_one_is_counted() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        let moved = Answer {
            status: 301,
            headers: vec![("location", "https://api.github.com/repos/acme/new".to_owned())],
            body: "{}".into(),
        };
        place.github(|github| {
            github.answers.insert("GET /repos/acme/app".into(), moved);
        });
        let log = scheduled(place).await;
        assert!(log.contains("the name leads to acme/new with id") && log.contains("somebody else may have"), "{log}");
        place.github(|github| {
            github.taken.insert("acme/new".into(), crate::simulation::github::ids("acme/app").1);
        });
        let log = scheduled(place).await;
        assert!(log.contains("it is acme/new now") && log.contains("update its stack"), "{log}");
        place.github(|github| {
            github.answers.clear();
            github.private.push("acme/app".into());
        });
        let log = scheduled(place).await;
        assert!(log.contains("\"drifted\":0,\"unknown\":1"), "{log}");
    });
}

#[test]
fn a_changed_name_without_an_id_is_reported_with_a_question() {
    at_issuer("github.example.com/_services/token", async |place| {
        place.secret(&json!({"github.example.com": {"token": "three"}}));
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        let template = vec!["repo".to_owned(), "context".to_owned(), "actor".to_owned()];
        place.github(|github| drop(github.templates.insert("acme/app".into(), template)));
        let log = scheduled(place).await;
        assert!(log.contains("find out who has the name now") && !log.contains("update its stack"), "{log}");
    });
}

#[test]
fn a_role_whose_repository_got_another_template_is_reported() {
    at(async |place| {
        place.token();
        let shared = "acme/shared/.github/workflows/deploy.yml@refs/heads/main";
        let trust = json!([{"Repository": "acme/app", "Branches": ["main"], "Workflows": [shared]}]);
        assert!(place.create(trust.clone()).await.succeeded);
        assert!(scheduled(place).await.contains("\"drifted\":0"), "nothing has changed");
        place.github(|github| {
            let template = ["repo", "context", "job_workflow_ref"].map(str::to_owned).to_vec();
            github.templates.insert("acme/app".into(), template);
        });
        let log = scheduled(place).await;
        let expected = "its subjects are made of repo, context, job_workflow_ref, and none that the role trusts is";
        assert!(log.contains(expected), "{log}");
        // The stack's update follows, and all is well again.
        assert!(place.update(trust).await.succeeded);
        assert!(scheduled(place).await.contains("\"drifted\":0"));
    });
}

#[test]
fn a_role_whose_provider_is_gone_or_lacks_its_audience_is_reported() {
    at(async |place| {
        assert!(place.create(json!([{"Repository": "acme/app", "Branches": ["main"]}])).await.succeeded);
        assert!(!scheduled(place).await.contains("nobody can assume a role"));
        let arn = place.provider_arn();
        let client_id = json!({"OpenIDConnectProviderArn": arn, "ClientID": "sts.amazonaws.com"});
        place.someone("RemoveClientIDFromOpenIDConnectProvider", &client_id);
        let log = scheduled(place).await;
        assert!(log.contains("its provider does not take its audience") && log.contains("UnusableRoles"), "{log}");
        place.someone("DeleteOpenIDConnectProvider", &json!({"OpenIDConnectProviderArn": arn}));
        let log = scheduled(place).await;
        assert!(log.contains("its provider is gone") && log.contains("UnusableRoles"), "{log}");
    });
}

pub(super) const OWN: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
pub(super) const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

pub(super) fn inline(name: &str, action: &str) -> Value {
    let document =
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}});
    json!({"PolicyName": name, "PolicyDocument": document.to_string()})
}

/// Those that allow the role, with a path of its own: a role elsewhere is looked at only while it trusts a provider.
pub(super) fn guardrails() -> Guardrails {
    let set = [
        ("ROLE_PATH", "/github/"),
        ("ALLOWED_ISSUERS", "*"),
        ("ALLOWED_MANAGED_POLICIES", "arn:*:*:*:*:*"),
        ("ALLOW_INLINE_POLICIES", "Always"),
    ];
    Guardrails::read(|name| set.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned()))
}

/// A role with every part that somebody can change by hand.
pub(super) fn whole_role() -> Value {
    json!({
        "Trust": [{"Repository": "acme/app", "Branches": ["main"]}],
        "PermissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess",
        "ManagedPolicyArns": [OWN],
        "Policies": [inline("own", "s3:GetObject"), inline("queue", "sqs:SendMessage")],
        "Description": "deploys",
        "MaxSessionDuration": "7200",
    })
}

/// A call of IAM, and the words in which the run tells it.
pub(super) type ByHand = (&'static str, Value, &'static str);

pub(super) fn changes_by_hand(trust: &Value) -> Vec<ByHand> {
    let wider = trust.to_string().replace("refs/heads/main", "refs/heads/dev");
    let open = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"},
    }});
    vec![
        (
            "UpdateAssumeRolePolicy",
            json!({"PolicyDocument": wider}),
            "its trust policy was changed and admits repo:acme@",
        ),
        ("UpdateAssumeRolePolicy", json!({"PolicyDocument": open.to_string()}), "has a form that no stack writes"),
        ("DeleteRolePermissionsBoundary", json!({}), "its permissions boundary is gone"),
        (
            "PutRolePermissionsBoundary",
            json!({"PermissionsBoundary": ADMIN}),
            "its permissions boundary is arn:aws:iam::aws:policy/A",
        ),
        ("DetachRolePolicy", json!({"PolicyArn": OWN}), "1 of its 1 managed policies are detached"),
        ("DeleteRolePolicy", json!({"PolicyName": "queue"}), "1 of its inline policies are gone"),
        ("PutRolePolicy", inline("own", "s3:*"), "its inline policies have another content"),
        ("UpdateRole", json!({"Description": "mine", "MaxSessionDuration": 7200}), "its description is another one"),
        (
            "UpdateRole",
            json!({"Description": "deploys", "MaxSessionDuration": 43200}),
            "its longest session is 43200 seconds",
        ),
    ]
}

pub(super) fn change(place: &super::Place, action: &str, input: &Value) {
    let mut input = input.clone();
    input["RoleName"] = json!("deploy");
    place.someone(action, &input);
}

fn at_rest(place: &super::Place) {
    place.cloud.state().account.stacks.show_all("UPDATE_COMPLETE");
}

#[test]
fn each_change_of_a_role_by_hand_is_told_until_an_update_repairs_it() {
    at(async |place| {
        place.world.settings.guardrails = guardrails();
        let created = place.request("Create", whole_role()).await;
        assert!(created.succeeded, "{}", created.reason);
        let changes = changes_by_hand(&place.policy());
        at_rest(place);
        let log = scheduled(place).await;
        assert!(log.contains("\"changed\":0") && !log.contains("DriftedRoles"), "{log}");
        for (action, input, told) in changes {
            change(place, action, &input);
            let log = scheduled(place).await;
            let line = log.lines().find(|line| line.contains("somebody changed it by hand")).expect(&log);
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line["changes"].as_str().unwrap().contains(told), "{action}: {line}");
            assert_eq!(line["role"], "deploy");
            assert!(log.contains("DriftedRoles") && log.contains("\"changed\":1"), "{log}");
            // A stack that is at work is about to change it.
            place.cloud.state().account.stacks.show_all("UPDATE_IN_PROGRESS");
            assert!(scheduled(place).await.contains("\"changed\":0"), "{action}");
            assert!(place.request("Update", whole_role()).await.succeeded);
            at_rest(place);
            assert!(scheduled(place).await.contains("\"changed\":0"), "{action}");
        }
    });
}

#[test]
fn policies_and_tags_that_others_add_to_a_role_are_not_told() {
    at(async |place| {
        place.world.settings.guardrails = guardrails();
        let created = place.request("Create", whole_role()).await;
        assert!(created.succeeded, "{}", created.reason);
        at_rest(place);
        change(place, "AttachRolePolicy", &json!({"PolicyArn": ADMIN}));
        change(place, "PutRolePolicy", &inline("audit", "s3:ListBucket"));
        change(place, "TagRole", &json!({"Tags": [{"Key": "cost", "Value": "1"}]}));
        assert!(scheduled(place).await.contains("\"changed\":0"));
    });
}

#[test]
fn a_declaration_that_changes_is_no_change_by_hand() {
    at(async |place| {
        place.world.settings.guardrails = guardrails();
        let created = place.request("Create", whole_role()).await;
        assert!(created.succeeded, "{}", created.reason);
        for trust in ["main", "dev"] {
            let mut role = whole_role();
            role["Trust"][0]["Branches"] = json!([trust]);
            role["Policies"] = json!([inline("own", "s3:PutObject")]);
            role.as_object_mut().unwrap().remove("Description");
            assert!(place.request("Update", role).await.succeeded);
            at_rest(place);
            assert!(scheduled(place).await.contains("\"changed\":0"), "{trust}");
        }
    });
}
