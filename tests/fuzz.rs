//! Reading an event never panics, and an answer always fits, for every event and all properties.
//!
//! Events out of `events/` are changed at random, from a seed: `FUZZ_EXECUTIONS` and `FUZZ_SEED` in the environment choose
//! how often and from where (`make fuzz` runs a million). Not proptest: it makes values out of strategies and changes no
//! recorded one, and an event that fails is small enough to be printed whole.

use std::io::Write;

use github_trust::cloudformation::{Fields, Invocation, Outcome, Request, Response};
use github_trust::deployment::Deployment;
use github_trust::ownership::Owner;
use github_trust::reconcile::Resource;
use github_trust::resources::eks_access_entry::AccessEntries;
use github_trust::resources::github_environment::GitHubEnvironments;
use github_trust::resources::github_repository_oidc::GitHubRepositoryOidcs;
use github_trust::resources::github_role::GitHubRoles;
use github_trust::resources::github_variable::GitHubVariables;
use github_trust::resources::oidc_provider::OidcProviders;
use serde_json::{Value, json};

pub(crate) fn corpus() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Reads an event as the handler does, up to the first call. Tells how far it came.
fn read(event: &str, seen: &mut Seen) {
    let Ok(Invocation::CloudFormation(request)) = Invocation::classify(event, None) else {
        seen.unanswerable += 1;
        return;
    };
    let _ = (
        request.request_type(),
        request.service_timeout(),
        request.response_url.as_ref().and_then(github_trust::cloudformation::ResponseUrl::expires_at),
    );
    let home = Deployment {
        partition: "aws".into(),
        region: "us-east-1".into(),
        account: "123456789012".into(),
        role_path: "/".into(),
        role_boundary: None,
    };
    let outcomes = [
        declared::<OidcProviders>(&request, &home, seen),
        declared::<GitHubRoles>(&request, &home, seen),
        declared::<AccessEntries>(&request, &home, seen),
        declared::<GitHubVariables>(&request, &home, seen),
        declared::<GitHubEnvironments>(&request, &home, seen),
        declared::<GitHubRepositoryOidcs>(&request, &home, seen),
    ];
    for outcome in outcomes {
        match outcome {
            Ok(id) => {
                seen.accepted += 1;
                fits(&request, &Outcome::Success { physical_id: id, attributes: [("Arn", event.to_owned())].into() });
            }
            Err(reason) => {
                seen.refused += 1;
                fits(&request, &Outcome::Failure { physical_id: "never-created/1".into(), reason });
            }
        }
    }
}

fn declared<K: Resource>(request: &Request, home: &Deployment, seen: &mut Seen) -> Result<String, String> {
    let properties = request.properties().map_err(|error| error.to_string())?;
    let mut fields = Fields::of_request(&properties);
    let spec = K::parse(&mut fields, home);
    fields.finish().map_err(|problems| problems.to_string())?;
    seen.write(&json!({"type": K::TYPE, "properties": properties}));
    let owner = Owner::new(&request.stack, &request.logical_id);
    let id = K::id(&owner, &spec.expect("no problem and no spec"), home);
    assert_eq!(K::id_from(&id.to_string()).map(|id| id.to_string()), Some(id.to_string()), "an id names itself");
    Ok(id.to_string())
}

fn fits(request: &Request, outcome: &Outcome) {
    let answer = Response::new(request, outcome);
    let body: Value = serde_json::from_slice(answer.as_bytes()).unwrap();
    assert_eq!(body["RequestId"], request.request_id);
    let ids = request.stack.as_str().len() + request.request_id.len() + request.logical_id.len();
    assert!(answer.as_bytes().len() <= 4096 || ids > 1000, "{} bytes", answer.as_bytes().len());
}

#[derive(Debug, Default)]
struct Seen {
    unanswerable: u64,
    refused: u64,
    accepted: u64,
    /// Where what was taken is written, for `tests/reference/check_schemas.py`.
    file: Option<std::fs::File>,
}

impl Seen {
    fn write(&mut self, taken: &Value) {
        if let Some(file) = &mut self.file {
            writeln!(file, "{taken}").unwrap();
        }
    }
}

pub(crate) fn mutated(rng: &mut fastrand::Rng, corpus: &[String]) -> String {
    let text = rng.choice(corpus).unwrap();
    let Ok(mut event) = serde_json::from_str::<Value>(text) else { return bytes(rng, text) };
    for _ in 0..rng.u32(1..4) {
        // Most changes go where the properties are: an envelope that cannot be answered ends the reading early.
        let target = if rng.u8(..) < 200 && event.get("ResourceProperties").is_some() {
            &mut event["ResourceProperties"]
        } else {
            &mut event
        };
        change(rng, target);
    }
    let text = event.to_string();
    if rng.u8(..) < 20 { bytes(rng, &text) } else { text }
}

fn change(rng: &mut fastrand::Rng, value: &mut Value) {
    let descend = rng.u8(..) < 180;
    match value {
        Value::Object(members) if descend && !members.is_empty() => {
            let index = rng.usize(..members.len());
            let key = members.keys().nth(index).cloned().unwrap();
            match rng.u8(..12) {
                0 => drop(members.remove(&key)),
                1 => {
                    let moved = members.remove(&key).unwrap();
                    members.insert(format!("{key}s"), moved);
                }
                2 => drop(members.insert(strange_text(rng), strange(rng, 0))),
                _ => change(rng, &mut members[&key]),
            }
        }
        Value::Array(items) if descend && !items.is_empty() => {
            let index = rng.usize(..items.len());
            match rng.u8(..8) {
                0 => drop(items.remove(index)),
                1 => items.extend(vec![items[index].clone(); rng.usize(..120)]),
                _ => change(rng, &mut items[index]),
            }
        }
        Value::String(text) if descend => {
            let at = text.char_indices().map(|(at, _)| at).nth(rng.usize(..=text.len())).unwrap_or(text.len());
            text.insert_str(at, &strange_text(rng));
        }
        _ => *value = strange(rng, 0),
    }
}

fn strange(rng: &mut fastrand::Rng, depth: u32) -> Value {
    match rng.u8(..if depth < 3 { 9 } else { 6 }) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.i64(..)),
        3 => json!(rng.f64() * 1e300),
        4 | 5 => json!(strange_text(rng)),
        6 => (0..rng.u32(..4)).map(|_| strange(rng, depth + 1)).collect(),
        7 => (0..rng.u32(1..140)).fold(Value::Null, |inner, _| json!([inner])),
        _ => json!({strange_text(rng): strange(rng, depth + 1)}),
    }
}

fn strange_text(rng: &mut fastrand::Rng) -> String {
    const TEXTS: &[&str] = &[
        "",
        " ",
        "*",
        "?",
        "${aws:username}",
        "%3A",
        ":",
        "/",
        "|",
        "a|b",
        "repo:o/r",
        "o/r",
        "refs/heads/main",
        "\u{0}",
        "é",
        "🦀",
        "\u{202e}",
        "3600",
        "-1",
        "true",
        "False",
        "1e9",
        "arn:aws:iam::123456789012:role/a",
        "arn:::::",
        "https://",
        "\"",
        "\\",
        "never-created/x",
        "github-trust:x",
        "aws:x",
        "{{SessionName}}",
        "system:masters",
        "STANDARD",
        "[::1]",
        "..",
        "~",
    ];
    match rng.u8(..20) {
        0 => "x".repeat(rng.usize(..6000)),
        1 => (0..rng.u32(..40)).map(|_| rng.char(..)).collect(),
        _ => (*rng.choice(TEXTS).unwrap()).to_owned(),
    }
}

fn bytes(rng: &mut fastrand::Rng, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.u32(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.usize(..bytes.len());
        match rng.u8(..3) {
            0 => bytes.truncate(at),
            1 => bytes[at] = rng.u8(..),
            _ => drop(bytes.remove(at)),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn no_event_makes_the_reading_panic() {
    let (executions, start) = (setting("FUZZ_EXECUTIONS", 20_000), setting("FUZZ_SEED", 1));
    let corpus = corpus();
    let mut rng = fastrand::Rng::with_seed(start);
    let file = std::env::var_os("TAKEN").map(|path| std::fs::File::create(path).unwrap());
    let mut seen = Seen { file, ..Seen::default() };
    for event in &corpus {
        read(event, &mut seen);
    }
    for execution in 0..executions {
        let event = mutated(&mut rng, &corpus);
        let reading = std::panic::AssertUnwindSafe(|| read(&event, &mut seen));
        let whole = std::panic::catch_unwind(reading).is_ok();
        assert!(whole, "execution {execution} of seed {start} panicked; the event: {event}");
    }
    println!("{executions} executions from seed {start}: {seen:?}");
    assert!(
        seen.accepted > executions / 20 && seen.refused > executions / 20,
        "the corpus is not read deeply: {seen:?}"
    );
}
