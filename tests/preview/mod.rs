//! What `{"Plan": …}` answers: ten typical changes as people read them, mistakes, refusals, templates, and what an alias for
//! questions refuses.

mod leftovers;
mod limits;
mod moments;

use std::fmt::Write as _;
use std::ops::Deref;
use std::time::Duration;

use github_trust::guardrails::Guardrails;
use github_trust::handler::InvocationContext;
use github_trust::settings::Settings;
use serde_json::{Value, json};

use crate::simulation::account::Account;
use crate::simulation::calls::Call;
use crate::simulation::cloud::Cloud;
use crate::simulation::cloudformation::{SERVICE_TOKEN, Status, declared};
use crate::simulation::expected_state::{ENTRY, PROVIDER, ROLE};
use crate::simulation::function::{deliver, deliver_text, function};
use crate::simulation::plan::Setting;
use crate::simulation::world::{World, world};

const POLICY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
const VIEW: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";

/// A world with a stack of a provider, a role and an entry.
struct Place {
    world: World,
    stack: String,
}

impl Deref for Place {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

fn role() -> Value {
    json!({
        "RoleName": "deploy",
        "ProviderArn": {"Ref": "Provider"},
        "Trust": [{"Repository": "acme/app", "Branches": ["main"]}],
        "ManagedPolicyArns": [POLICY],
        "Policies": [{"PolicyName": "bucket", "PolicyDocument": {"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::releases/*"}}}],
    })
}

fn entry(scope: &Value) -> Value {
    json!({
        "ClusterName": "prod", "PrincipalArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "AccessPolicies": [{"PolicyArn": VIEW, "AccessScope": scope}],
    })
}

fn within<T>(story: impl AsyncFnOnce(&mut Place) -> T) -> T {
    let furnish = |account: &mut Account, now| Setting::default().apply(account, now);
    world(Settings::default(), furnish, async |world| {
        let mut stack = world.stack("team-a");
        let template = vec![
            declared("Provider", PROVIDER, json!({})),
            declared("Role", ROLE, role()),
            declared("Entry", ENTRY, entry(&json!({"Type": "namespace", "Namespaces": ["web"]}))),
        ];
        assert_eq!(stack.create(&template).await, Status::CreateComplete);
        story(&mut Place { world, stack: stack.id.clone() }).await
    })
}

impl Place {
    async fn plan(&self, question: &Value) -> Value {
        let own = |call: &&Call| call.invocation.is_none() && call.changing;
        let changes = |cloud: &Cloud| cloud.state().calls.iter().filter(own).count();
        let before = changes(&self.cloud);
        let answer = deliver(&self.cloud, self.settings.clone(), &json!({"Plan": question})).await;
        assert_eq!(changes(&self.cloud), before, "a plan changes nothing");
        answer
    }

    /// The plan for one resource of the stack with other properties.
    async fn change(&self, logical: &str, kind: &str, mut properties: Value) -> Value {
        for (name, value) in [("ProviderArn", "Provider"), ("PrincipalArn", "Role")] {
            if properties[name].is_object() {
                let arn = if value == "Provider" {
                    "oidc-provider/token.actions.githubusercontent.com"
                } else {
                    "role/deploy"
                };
                properties[name] = json!(format!("arn:aws:iam::111122223333:{arn}"));
            }
        }
        let properties = properties.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        let properties: serde_json::Map<String, Value> =
            properties.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.plan(&json!({
            "ResourceType": kind, "ResourceProperties": properties, "StackId": self.stack, "LogicalResourceId": logical,
        }))
        .await
    }
}

fn with(mut properties: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        properties[name] = value.clone();
    }
    properties
}

#[test]
fn ten_typical_changes_are_told_as_people_read_them() {
    let told = within(async |account| {
        let mut told = String::new();
        let mut tell = |title: &str, answer: &Value| {
            let _ = writeln!(told, "## {title}\n{}", answer["Text"].as_str().unwrap_or(&answer.to_string()));
        };
        let other = account.cloudformation.stack("team-b").id;
        let template = json!({"Resources": {
            "Provider": {"Type": PROVIDER},
            "Role": {"Type": ROLE, "Properties": with(role(), &json!({"RoleName": "release"}))},
            "Entry": {"Type": ENTRY, "Properties": entry(&json!({"Type": "cluster"}))},
        }});
        tell("A new role", &account.plan(&json!({"Template": template, "StackId": other})).await);
        let trust = |change: Value| with(role(), &json!({"Trust": [with(json!({"Repository": "acme/app"}), &change)]}));
        tell("Another branch", &account.change("Role", ROLE, trust(json!({"Branches": ["next"]}))).await);
        let wider = trust(json!({"Branches": ["main"], "Environments": ["live"], "PullRequests": "true"}));
        tell("A wider trust", &account.change("Role", ROLE, wider).await);
        let fewer = with(role(), &json!({"ManagedPolicyArns": null, "Policies": null}));
        tell("Removed policies", &account.change("Role", ROLE, fewer).await);
        tell("A replacement", &account.change("Role", ROLE, with(role(), &json!({"RoleName": "release"}))).await);
        let joined = json!({"ResourceType": PROVIDER, "ResourceProperties": {"ClientIdList": ["sts.amazonaws.com", "acme"]},
            "StackId": other, "LogicalResourceId": "Provider"});
        tell("A shared provider is joined", &account.plan(&joined).await);
        let template = vec![declared("Provider", PROVIDER, json!({}))];
        assert_eq!(account.cloudformation.stack("team-b").create(&template).await, Status::CreateComplete);
        let left = json!({"RequestType": "Delete", "ResourceType": PROVIDER, "StackId": account.stack,
            "LogicalResourceId": "Provider"});
        tell("A shared provider is left", &account.plan(&left).await);
        let scope = json!({"Type": "namespace", "Namespaces": ["web", "jobs"]});
        tell("The scope of an entry", &account.change("Entry", ENTRY, entry(&scope)).await);
        let wrong = with(
            role(),
            &json!({"MaxSessionDuration": "900", "Trust": [{"Repository": "acme/app", "Branchs": ["x"]}]}),
        );
        tell("A mistake", &account.change("Role", ROLE, wrong).await);
        account.world.settings.guardrails = Guardrails::read(|name| (name == "ROLE_PATH").then(|| "/".to_owned()));
        let broad = trust(json!({"AnyRef": "true"}));
        tell("A refusal", &account.change("Role", ROLE, broad).await);
        tell("Nothing", &account.change("Role", ROLE, role()).await);
        told
    });
    insta::assert_snapshot!(told);
}

#[test]
fn the_answer_has_each_part_for_programs() {
    within(async |account| {
        let answer = account.change("Role", ROLE, with(role(), &json!({"ManagedPolicyArns": null}))).await;
        let resource = &answer["Resources"][0];
        assert_eq!(resource["PhysicalResourceId"], "deploy");
        assert_eq!(resource["Replacement"], Value::Null);
        assert_eq!(resource["Actions"][0], format!("take away the permissions of {POLICY}"));
        assert_eq!(resource["Attributes"]["RoleName"], "deploy");
        account.world.settings.guardrails = Guardrails::read(|name| (name == "ROLE_PATH").then(|| "/".to_owned()));
        let refused = account
            .change(
                "Role",
                ROLE,
                with(
                    role(),
                    &json!({"ManagedPolicyArns":
            ["arn:aws:iam::aws:policy/AdministratorAccess"]}),
                ),
            )
            .await;
        let refusals = refused["Resources"][0]["Refusals"].as_array().unwrap();
        let guardrails: Vec<&str> = refusals.iter().map(|refusal| refusal["Guardrail"].as_str().unwrap()).collect();
        assert_eq!(guardrails, ["ForbiddenManagedPolicies", "AllowInlinePolicies"]);
    });
}

/// Guardrails with these variables.
fn deployed(set: &[(&str, &str)]) -> Guardrails {
    Guardrails::read(|name| set.iter().find(|(set, _)| *set == name).map(|(_, text)| (*text).to_owned()))
}

#[test]
fn a_plan_of_an_adoption_tells_what_the_role_would_keep() {
    within(async |account| {
        let trust = json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}]});
        account.someone("CreateRole", &json!({"RoleName": "theirs", "AssumeRolePolicyDocument": trust.to_string()}));
        let administrator = "arn:aws:iam::aws:policy/AdministratorAccess";
        account.someone("AttachRolePolicy", &json!({"RoleName": "theirs", "PolicyArn": administrator}));
        account.world.settings.guardrails = deployed(&[("ROLE_PATH", "/"), ("ALLOW_ROLE_ADOPTION", "true")]);
        let adopted = with(
            role(),
            &json!({"RoleName": "theirs", "OnExisting": "Adopt", "ManagedPolicyArns": null, "Policies": null}),
        );
        let answer = account.change("Other", ROLE, adopted).await;
        let resource = &answer["Resources"][0];
        assert_eq!(resource["Refusals"][0]["Guardrail"], "ForbiddenManagedPolicies", "{answer:#}");
        assert_eq!(resource["Actions"], json!([]), "{answer:#}");
    });
}

#[test]
fn a_plan_tells_the_exemption_that_allows_a_part() {
    within(async |account| {
        let properties = with(role(), &json!({"MaxSessionDuration": 43200}));
        for exemption in ["MaxSessionDuration:team-a:2999-12-31", "MaxSessionDuration:team-a/Role:2999-12-31"] {
            account.world.settings.guardrails = deployed(&[
                ("ROLE_PATH", "/"),
                ("ALLOW_INLINE_POLICIES", "Always"),
                ("ALLOWED_MANAGED_POLICIES", "arn:*:iam::aws:policy/*"),
                ("GUARDRAIL_EXEMPTIONS", exemption),
            ]);
            let answer = account.change("Role", ROLE, properties.clone()).await;
            let resource = &answer["Resources"][0];
            let told = resource["Exemptions"][0].as_str().unwrap_or_default();
            assert!(told.contains("(guardrail `MaxSessionDuration`)") && told.ends_with(exemption), "{answer:#}");
            assert_eq!(resource["Refusals"], json!([]), "{answer:#}");
            assert!(answer["Text"].as_str().unwrap().contains(&format!("  exempt: {told}\n")), "{answer:#}");
        }
        let sibling = account.change("Other", ROLE, properties).await;
        assert_eq!(sibling["Resources"][0]["Refusals"][0]["Guardrail"], "MaxSessionDuration", "{sibling:#}");
        assert_eq!(sibling["Resources"][0]["Exemptions"], json!([]), "{sibling:#}");
    });
}

#[test]
fn a_role_from_before_a_boundary_was_demanded_is_planned_unchanged() {
    within(async |account| {
        account.world.settings.guardrails = deployed(&[
            ("ROLE_PATH", "/"),
            ("ALLOWED_GITHUB_OWNERS", "octo-org"),
            ("ROLE_PERMISSIONS_BOUNDARY", "arn:aws:iam::111122223333:policy/ci-boundary"),
        ]);
        let answer = account.change("Role", ROLE, role()).await;
        let resource = &answer["Resources"][0];
        assert_eq!((&resource["Refusals"], &resource["Actions"]), (&json!([]), &json!([])), "{answer:#}");
        assert_eq!(resource["PhysicalResourceId"], "deploy", "{answer:#}");
    });
}

#[test]
fn a_parameter_that_is_given_counts_and_else_its_default() {
    within(async |account| {
        let mut properties = role();
        properties["Trust"] = json!([{"Repository": "acme/app", "Branches": [{"Ref": "Branch"}]}]);
        let template = json!({
            "Parameters": {"Branch": {"Type": "String", "Default": "main"}},
            "Resources": {"Provider": {"Type": PROVIDER}, "Role": {"Type": ROLE, "Properties": properties}},
        });
        for (parameters, branch) in [(json!({}), "main"), (json!({"Branch": "next"}), "next")] {
            let question = json!({"Plan": {"Template": template, "Parameters": parameters, "StackId": account.stack}});
            let answer = deliver(&account.cloud, account.world.settings.clone(), &question).await;
            let role = answer["Resources"].as_array().unwrap().iter().find(|one| one["LogicalResourceId"] == "Role");
            let subjects = role.unwrap()["Attributes"]["Subjects"].to_string();
            assert!(subjects.contains(&format!("ref:refs/heads/{branch}\"")), "{answer:#}");
        }
    });
}

#[test]
fn the_native_resources_are_what_the_function_has_made() {
    within(async |account| {
        let template = json!({"Resources": {
            "Provider": {"Type": PROVIDER},
            "Role": {"Type": ROLE, "Properties": role()},
            "Entry": {"Type": ENTRY, "Properties": entry(&json!({"Type": "namespace", "Namespaces": ["web"]}))},
            "Variable": {"Type": "Custom::GitHubVariable", "Properties": {"Repository": "acme/app", "Name": "X", "Value": "y"}},
        }});
        let question = json!({"Render": {"Template": template, "StackId": account.stack}});
        let changes = account.cloud.state().calls.iter().filter(|call| call.changing).count();
        let answer = deliver(&account.cloud, account.world.settings.clone(), &question).await;
        assert_eq!(account.cloud.state().calls.iter().filter(|call| call.changing).count(), changes);
        let resources = &answer["Template"]["Resources"];
        assert_eq!(answer["NotRendered"].as_object().unwrap().keys().collect::<Vec<_>>(), ["Variable"]);
        let role = &resources["Role"]["Properties"];
        let state = account.cloud.state();
        let made = state.account.iam.roles.all().next().expect("a role").1.clone();
        let trust: Value = serde_json::from_str(&made.trust).unwrap();
        assert_eq!(role["AssumeRolePolicyDocument"], trust);
        assert_eq!(role["ManagedPolicyArns"], json!([POLICY]));
        assert_eq!(
            (&resources["Role"]["DependsOn"], &resources["Entry"]["DependsOn"]),
            (&json!(["Provider"]), &json!(["Role"]))
        );
        drop(state);
        insta::assert_snapshot!(format!("{answer:#}"));
    });
}

#[test]
fn a_value_that_is_not_known_yet_is_no_mistake() {
    within(async |account| {
        let template = json!({"Resources": {
            "Role": {"Type": ROLE, "Properties": with(role(), &json!({"Path": {"Fn::ImportValue": "path"}, "Pth": "/x/"}))},
            "Gone": {"Type": ROLE, "Condition": "Never"},
            "Cluster": {"Type": "AWS::EKS::Cluster"},
        }, "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}}});
        let answer = account.plan(&json!({"Template": template.to_string()})).await;
        let [role] = answer["Resources"].as_array().unwrap().as_slice() else { panic!("{answer:#}") };
        let [mistake] = role["Mistakes"].as_array().unwrap().as_slice() else { panic!("{answer:#}") };
        assert!(mistake.as_str().unwrap().contains("unknown property `Pth`"), "{mistake}");
        let unknown = role["NotKnownYet"].to_string();
        assert!(unknown.contains("`Path`") && unknown.contains("`ProviderArn`: the value of Provider"), "{unknown}");
    });
}

#[test]
fn questions_that_cannot_be_read_are_told() {
    within(async |account| {
        for (question, why) in [
            (json!({}), "expected {\"Plan\""),
            (json!({"ResourceType": ROLE, "Template": {}}), "not both"),
            (json!({"ResourceTyp": ROLE}), "unknown field `ResourceTyp`"),
            (json!({"ResourceType": ROLE, "StackId": "team-a"}), "`StackId` is not the ARN of a stack"),
            (json!({"Template": "Resources:\n  Role:"}), "expected a template in JSON"),
            (json!({"Template": {}}), "`Resources`"),
            (
                json!({"Template": r#"{"Resources": {"Role": {"Type": "A", "Type": "B"}}}"#}),
                "`Resources.Role.Type` twice",
            ),
        ] {
            let answer = account.plan(&question).await;
            assert!(answer["Error"].as_str().is_some_and(|error| error.contains(why)), "{why}: {answer}");
        }
        for question in ["Plan", "Render"] {
            let resource =
                r#"{"ResourceType": "Custom::GitHubRole", "ResourceProperties": {"Path": "/a/", "Path": "/"}}"#;
            let twice = format!("{{\"{question}\": {resource}}}");
            let answer = deliver_text(&account.cloud, account.world.settings.clone(), &twice).await;
            let why = format!("`{question}.ResourceProperties.Path` twice");
            assert!(answer["Error"].as_str().is_some_and(|error| error.ends_with(&why)), "{answer}");
        }
        let answer = account.plan(&json!({"ResourceType": "Custom::GithubRole"})).await;
        let mistakes = answer["Resources"][0]["Mistakes"].to_string();
        assert!(mistakes.contains("did you mean `Custom::GitHubRole`?"), "{mistakes}");
        account.world.settings.guardrails =
            Guardrails::read(|name| (name == "ALLOW_EXPLAIN").then(|| "false".to_owned()));
        let answer = account.change("Role", ROLE, role()).await;
        assert!(answer["Error"].as_str().is_some_and(|error| error.contains("`AllowExplain`")), "{answer}");
    });
}

#[test]
fn github_that_does_not_answer_leaves_the_trust_not_known_yet() {
    within(async |account| {
        account.cloud.state().account.github.down = true;
        let began = account.cloud.now();
        let trust = json!([{"Repository": "acme/new", "Branches": ["main"]}]);
        let answer = account.change("Role", ROLE, with(role(), &json!({"Trust": trust}))).await;
        let resource = &answer["Resources"][0];
        assert_eq!((&resource["Refusals"], &resource["Mistakes"]), (&json!([]), &json!([])), "{answer:#}");
        assert!(resource["NotKnownYet"].to_string().contains("`Trust[0]`"), "{answer:#}");
        assert!(account.cloud.now().duration_since(began).unwrap() < Duration::from_secs(30));
    });
}

#[test]
fn the_alias_for_questions_takes_no_requests_and_no_schedule() {
    within(async |account| {
        let app = function(&account.cloud, Settings::default());
        let event = account.cloudformation.events().pop().unwrap();
        let schedule = r#"{"source": "aws.events", "detail-type": "Scheduled Event"}"#;
        let calls = account.cloud.state().calls.len();
        let context = |suffix: &str| InvocationContext {
            deadline: account.cloud.now() + Duration::from_mins(1),
            function_arn: format!("{SERVICE_TOKEN}{suffix}"),
        };
        for event in [event.as_str(), schedule, "{}"] {
            let answer = app.handle(event, &context(":plan")).await.unwrap();
            assert!(answer["Error"].as_str().is_some_and(|error| error.contains("questions only")), "{answer}");
        }
        assert_eq!(account.cloud.state().calls.len(), calls);
        let named_plan =
            InvocationContext { function_arn: SERVICE_TOKEN.replace(":github-trust", ":plan"), ..context("") };
        let answer = app.handle("{}", &named_plan).await.unwrap();
        assert!(
            answer.to_string().contains("expected a request of CloudFormation"),
            "such a name is no alias: {answer}"
        );
        let question = json!({"Plan": {"ResourceType": ROLE, "ResourceProperties": {}}}).to_string();
        let answer = app.handle(&question, &context(":plan")).await.unwrap();
        assert!(answer["Text"].is_string(), "{answer}");
    });
}
