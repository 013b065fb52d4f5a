//! The recorded events of `events/`, each as Lambda would deliver it, through the handler, the real SDK and a simulated
//! AWS: what is answered, and what is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use github_trust::handler::RESOURCES;
use github_trust::settings::Settings;
use serde_json::Value;

use crate::simulation::account::{ACCOUNT, PARTITION, REGION};
use crate::simulation::calls::Call;
use crate::simulation::clock::{BEGINNING, iso};
use crate::simulation::cloud::Cloud;
use crate::simulation::eks::Status;
use crate::simulation::function::github_trust_with;
use crate::simulation::github::SECRET;
use crate::simulation::sdk::in_virtual_time;

fn event(name: &str) -> String {
    let path = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The one region that is not the stack's is kept another one.
    let text = text.replace("eu-west-1", "us-east-2").replace("euwest1", "useast2");
    // The simulated account and region, the name of the response bucket, and the name that is generated in that region.
    text.replace("123456789012", ACCOUNT)
        .replace("us-east-1", REGION)
        .replace("useast1", &REGION.replace('-', ""))
        .replace("quickstart-Role-lbtijc6toaud6", "quickstart-Role-ywlhaydn2eucm")
        // When the first request of a history is made.
        .replace("2026-11-21T00:00:00Z", &iso(UNIX_EPOCH + BEGINNING))
}

fn names() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The same event with a URL that the simulated bucket takes, if it came with one that CloudFormation could have signed.
fn signed(cloud: &Cloud, event: &str) -> String {
    const BUCKET: &str = "https://cloudformation-custom-resource-response-euwest1.s3.";
    let Some(start) = event.find(BUCKET) else { return event.to_owned() };
    let end = start + event[start..].find(['"', '\\']).unwrap();
    let now = cloud.now();
    let url = cloud.state().account.s3.presign(REGION, PARTITION, "recorded", now, Duration::from_hours(2));
    format!("{}{url}{}", &event[..start], &event[end..])
}

/// Delivers events one after the other; tells of the last one what was answered and changed.
fn delivered(events: &[&str]) -> String {
    in_virtual_time(async {
        let cloud = Cloud::new(1);
        cloud.change_now(|account, now| {
            account.eks.add_cluster("demo", "API", Status::Active, now);
            account.iam.policies.insert(format!("arn:{PARTITION}:iam::{ACCOUNT}:policy/ci-boundary"));
            account.github.secret = Some(r#"{"token": "ghp_0123456789"}"#.to_owned());
            let production = "/repos/octo-org/octo-repo/environments/production";
            account.github.settings.environment(production, false, now);
            account.github.classic.push("octo-org/classic".to_owned());
        });
        // Only variables are told with a credential: without one, what is public is enough for the others.
        let github_secret = events.iter().any(|name| name.starts_with("github-")).then(|| SECRET.to_owned());
        let function = github_trust_with(&cloud, Settings { github_secret, ..Settings::default() });
        let mut told = String::new();
        let mut written: BTreeMap<&str, String> = BTreeMap::new();
        for name in events {
            told.clear();
            let (calls, uploads) = (cloud.call_count(), cloud.state().account.s3.uploads.len());
            // An event that comes again is the same, its URL and the date in it included.
            let event = written.entry(*name).or_insert_with(|| {
                let event = event(name);
                if name.contains("response-url") { event } else { signed(&cloud, &event) }
            });
            let event = event.clone();
            let deadline = cloud.now() + Duration::from_mins(15);
            let ended = function(&cloud, event, deadline).await;
            let state = cloud.state();
            match &state.account.s3.uploads[uploads..] {
                [] => writeln!(told, "  no answer"),
                [upload] => {
                    let answer: Value = serde_json::from_slice(&upload.body).unwrap();
                    let mut line = format!("{} {}", answer["Status"], answer["PhysicalResourceId"]).replace('"', "");
                    if let Some(reason) = answer.get("Reason") {
                        write!(line, "\n  {}", reason.as_str().unwrap()).unwrap();
                    }
                    for (attribute, value) in answer.get("Data").and_then(Value::as_object).into_iter().flatten() {
                        write!(line, "\n  {attribute} = {}", value.as_str().unwrap()).unwrap();
                    }
                    writeln!(told, "  {line}")
                }
                several => panic!("{} answers", several.len()),
            }
            .unwrap();
            let changing = |call: &&Call| {
                let writes = call.service == "github" && !call.action.starts_with("GET ");
                (call.changed || writes) && call.service != "s3"
            };
            for call in state.calls[calls..].iter().filter(changing) {
                writeln!(told, "  * {}:{}", call.service, call.action).unwrap();
            }
            if let Err(error) = ended {
                writeln!(told, "  the invocation fails: {error}").unwrap();
            }
        }
        told
    })
}

/// The number in them depends on the pauses between attempts, which have jitter.
fn without_request_ids(text: &str) -> String {
    const BEFORE: &str = "(request id ";
    let mut parts = text.split(BEFORE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| told + BEFORE + "…" + part.split_once(')').map_or("", |(_, rest)| rest))
}

#[test]
fn every_recorded_event_leads_to_what_its_table_says() {
    let mut table = String::new();
    for name in names() {
        let before: &[&str] = match name.as_str() {
            "oidc-provider-update" | "oidc-provider-delete" | "role-create" | "sns-role-create" => {
                &["oidc-provider-create"]
            }
            "github-repository-oidc-delete" => &["github-repository-oidc-create"],
            "github-variable-update" => &["github-variable-create"],
            "github-variable-delete" => &["github-variable-create", "github-variable-update"],
            "github-environment-update" | "github-environment-delete" => &["github-environment-create"],
            "role-update" | "role-delete" | "access-entry-create" => &["oidc-provider-create", "role-create"],
            "access-entry-update" | "access-entry-delete" => {
                &["oidc-provider-create", "role-create", "access-entry-create"]
            }
            _ => &[],
        };
        let events: Vec<&str> = before.iter().copied().chain([name.as_str()]).collect();
        writeln!(table, "{name}\n{}", delivered(&events)).unwrap();
    }
    insta::assert_snapshot!(without_request_ids(&table));
}

#[test]
fn the_same_event_again_is_answered_alike_and_changes_nothing() {
    let events = ["oidc-provider-create", "role-create", "access-entry-create", "github-environment-create"];
    for count in 1..=events.len() {
        let once = delivered(&events[..count]);
        let twice = delivered(&[&events[..count], &events[count - 1..count]].concat());
        let answer = |told: &str| told.lines().filter(|line| !line.starts_with("  *")).collect::<Vec<_>>().join("\n");
        assert_eq!(answer(&once), answer(&twice));
        assert!(once.contains("  * ") && !twice.contains("  * "), "{twice}");
    }
}

/// The reference and the linters go by the description.
#[test]
fn a_resource_gives_the_attributes_that_it_describes_and_no_others() {
    let together = ["oidc-provider-create", "role-create", "access-entry-create"];
    for resource in RESOURCES {
        let own = format!("{}-create", if resource.guide == "github-role" { "role" } else { resource.guide });
        let until = match together.iter().position(|event| *event == own) {
            Some(at) => together[..=at].to_vec(),
            None => vec![own.as_str()],
        };
        let told = delivered(&until);
        let given: BTreeSet<&str> =
            told.lines().filter_map(|line| line.trim_start().split_once(" = ")).map(|(name, _)| name).collect();
        let described: BTreeSet<&str> = resource.attributes.iter().map(|(name, _)| *name).collect();
        assert_eq!(given, described, "{}", resource.name);
    }
}
