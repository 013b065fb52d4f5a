//! Events as nobody honest sends them: recorded ones with another value at each place, in another form as text, too large,
//! and changed at random.

use std::rc::Rc;

use serde_json::{Value, json};

use super::function::Expected;
use crate::fuzz;

pub(super) struct Event {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
    pub(super) expected: Expected,
}

/// Recorded events that are well-formed, by name.
pub(super) fn recorded() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let files = [folder.to_owned(), format!("{folder}/hooks")]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut found: Vec<(String, String)> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap()))
        .filter(|(name, _)| !name.starts_with("malformed"))
        .collect();
    let role = &found.iter().find(|(name, _)| name == "role-create").unwrap().1;
    let role: Value = serde_json::from_str(role).unwrap();
    let members = json!({"ResourceType": role["ResourceType"], "ResourceProperties": role["ResourceProperties"]});
    let resource = json!({"Type": role["ResourceType"], "Properties": role["ResourceProperties"]});
    found.push(("plan".to_owned(), pretty(&json!({"Plan": members}))));
    found.push(("plan-template".to_owned(), pretty(&json!({"Plan": {"Template": {"Resources": {"Role": resource}}}}))));
    found.push(("render".to_owned(), pretty(&json!({"Render": members}))));
    found.sort();
    found
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// Values that stand in the place of a sound one.
fn values(old: &Value) -> Vec<Value> {
    let deep = |levels: u32| (0..levels).fold(Value::Null, |inner, _| json!([inner]));
    let many = |number: u32| (0..number).map(|at| json!(format!("a{at}"))).collect::<Value>();
    let unknown: serde_json::Map<String, Value> = (0..2000).map(|at| (format!("Unknown{at}"), json!("x"))).collect();
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!(" "),
        json!("*"),
        json!("**?*?**"),
        json!("\u{0}"),
        json!("\u{1b}[31m\u{202e}\r\n"),
        json!("🦀é\u{301}"),
        json!("${aws:username}"),
        json!("-18446744073709551616"),
        json!("9".repeat(400)),
        json!("x".repeat(5000)),
        json!("arn:aws:iam::123456789012:role/github-trust"),
        json!([]),
        json!({}),
        json!(["", null, {}]),
        json!([old, old]),
        json!({"Inner": old}),
        deep(100),
        many(3000),
        Value::Object(unknown),
    ]
}

/// The JSON pointers of all values inside of one.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.replace('/', "~1"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in members {
        let pointer = format!("{at}/{name}");
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

/// Another value at a place, or no value.
struct Replacement {
    name: String,
    sound: Rc<Value>,
    place: String,
    number: usize,
}

/// Every replacement in an event.
fn replacements(name: &str, text: &str) -> Vec<Replacement> {
    let sound: Rc<Value> = Rc::new(serde_json::from_str(text).unwrap());
    let (mut places, count) = (Vec::new(), values(&Value::Null).len());
    pointers(&sound, "", &mut places);
    let each = |place: &String| {
        let (name, sound, place) = (name.to_owned(), Rc::clone(&sound), place.clone());
        let of =
            move |number| Replacement { name: name.clone(), sound: Rc::clone(&sound), place: place.clone(), number };
        (0..=count).map(of)
    };
    places.iter().flat_map(each).collect()
}

impl Replacement {
    fn event(self) -> Event {
        let Self { name, sound, place, number } = self;
        let is_property = place.starts_with("/ResourceProperties") || place.starts_with("/OldResourceProperties");
        let expected = match is_question(&name, &place) {
            true => Expected::Reply,
            false if is_property && sound["RequestType"].is_string() => Expected::Answer,
            false => Expected::AtMostOne,
        };
        let mut event = Value::clone(&sound);
        if let Some(value) = values(sound.pointer(&place).unwrap()).into_iter().nth(number) {
            *event.pointer_mut(&place).unwrap() = value;
        } else {
            let (parent, member) = place.rsplit_once('/').unwrap();
            if let Some(Value::Object(members)) = event.pointer_mut(parent) {
                members.remove(&member.replace("~1", "/"));
            }
        }
        Event { name: format!("{name}{place} #{number}"), text: event.to_string().into(), expected }
    }
}

/// A question stays one while its first member is an object.
fn is_question(name: &str, place: &str) -> bool {
    ["explain", "plan", "plan-template", "render"].contains(&name) && place.matches('/').count() > 1
}

/// Events that are rewritten: one of each sort.
const REWRITTEN: [&str; 8] = [
    "access-entry-update",
    "change-set",
    "explain",
    "oidc-provider-delete",
    "plan",
    "role-create",
    "schedule",
    "sns-role-create",
];

/// Other texts: cut, doubled members, no JSON, deep, large.
fn rewritten(name: &str, text: &str, all: &mut Vec<Event>) {
    let at = text.find(": \"").unwrap() + 2;
    let with = |value: &str| [&text[..at], value, ", \"More\": ", &text[at..]].concat();
    let first = |member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let mut push = |what: &str, text: Vec<u8>| {
        all.push(Event { name: format!("{name}, {what}"), text, expected: Expected::AtMostOne });
    };
    push("cut", text.as_bytes()[..text.len() / 2].to_vec());
    push("NaN", with("NaN").into());
    push("1e999", with("1e999").into());
    push("1 MB of digits", with(&"1".repeat(1 << 20)).into());
    push("half a surrogate", with(r#""\ud800""#).into());
    push("beyond UTF-8", [text.as_bytes(), b"\xff\xfe"].concat());
    push("a byte order mark", ["\u{feff}".as_bytes(), text.as_bytes()].concat());
    push("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    push("more behind it", format!("{text} {text}").into());
    push("128 levels", first(&format!("\"ResourceProperties\": {}{}", "[".repeat(128), "]".repeat(128))).into());
    push("100,000 levels", first(&format!("\"ResourceProperties\": {}", "[".repeat(100_000))).into());
    push("another type first", first("\"RequestType\": \"Delete\"").into());
    push("another id last", [text.trim_end().trim_end_matches('}'), ", \"RequestId\": \"other\"}"].concat().into());
    push("800 KB of spaces", text.replacen(": ", &format!(":{}", " ".repeat(800_000)), 1).into());
    push("a member of 800 KB", first(&format!("\"{}\": 1", "M".repeat(800_000))).into());
}

/// The largest events that Lambda delivers, a megabyte: lists, names and members without number.
fn large(role: &str) -> Vec<Event> {
    let sound: Value = serde_json::from_str(role).unwrap();
    let list = |number: usize| (0..number).map(|at| json!(format!("b{at}"))).collect::<Value>();
    let trust = |members: Value| {
        let mut entry = json!({"Repository": "octo-org/octo-repo"});
        entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!([entry])
    };
    let repositories = |number: usize| {
        let entry = |at| json!({"Repository": format!("octo-org/r{at}"), "Branches": ["main"]});
        (0..number).map(entry).collect::<Value>()
    };
    let table = [
        ("1,700 branches and actors", trust(json!({"Branches": list(1700), "Actors": list(1700)}))),
        ("1,000 of three", trust(json!({"Branches": list(1000), "Actors": list(1000), "Workflows": list(1000)}))),
        ("27,000 branches", trust(json!({"Branches": list(27_000)}))),
        ("100,000 branches", trust(json!({"Branches": list(100_000)}))),
        ("26,000 subjects", trust(json!({"Subjects": list(26_000)}))),
        ("3,000 repositories", repositories(3000)),
        ("15,000 repositories", repositories(15_000)),
        ("300,000 entries without members", (0..300_000).map(|_| json!({})).collect()),
        ("200,000 branches that are null", trust(json!({"Branches": vec![Value::Null; 200_000]}))),
        ("a branch of 1 MB", trust(json!({"Branches": ["b".repeat(1_000_000)]}))),
        ("a branch of stars", trust(json!({"Branches": ["*".repeat(1_000_000)]}))),
        ("a repository of 1 MB", json!([{"Repository": format!("o/{}", "r".repeat(1_000_000)), "Branches": ["main"]}])),
    ];
    let with = |name: &str, place: &str, value: Value| {
        let mut event = sound.clone();
        event[place] = value;
        Event { name: name.to_owned(), text: event.to_string().into(), expected: Expected::Answer }
    };
    let mut all: Vec<Event> = table
        .into_iter()
        .map(|(name, trust)| {
            let mut properties = sound["ResourceProperties"].clone();
            properties["Trust"] = trust;
            with(name, "ResourceProperties", properties)
        })
        .collect();
    let unknown: serde_json::Map<String, Value> = (0..70_000).map(|at| (format!("U{at}"), json!(""))).collect();
    all.push(with("70,000 unknown properties", "ResourceProperties", Value::Object(unknown)));
    all.push(with("a type of 1 MB", "ResourceType", json!("T".repeat(1_000_000))));
    all
}

/// Questions of 6 MB, which somebody who may ask can send, dense with values.
fn dense(resource: &str) -> Vec<Event> {
    let event = |name: String, text: String| Event { name, text: text.into(), expected: Expected::Reply };
    let mut all = Vec::new();
    for unit in ["0", "[0]", r#"{"a":0}"#, r#""""#] {
        let list = |length: usize| format!("[{}]", vec![unit; length / (unit.len() + 1)].join(","));
        let template = |length| {
            format!(
                r#"{{"Resources":{{"R":{{"Type":"Custom::GitHubRole","Properties":{{"Trust":{}}}}}}}}}"#,
                list(length)
            )
        };
        let whole = 5_900_000;
        all.push(event(
            format!("a plan dense with {unit}"),
            format!(r#"{{"Plan":{{"Template":{}}}}}"#, template(whole)),
        ));
        let text = json!({"Render": {"Template": template(2_900_000)}}).to_string();
        all.push(event(format!("the text of a template dense with {unit}"), text));
        // As many values as are read.
        let large = json!({"Plan": {"Template": template(if unit.len() > 3 { 200_000 } else { 350_000 })}}).to_string();
        all.push(event(format!("a large plan of {unit}"), large));
        let explain = format!(r#"{{"Explain":{{"RoleName":"r","Claims":{{"sub":{}}}}}}}"#, list(whole));
        all.push(event(format!("claims dense with {unit}"), explain));
        let data = format!("\"requestData\": {{\"x\": {},", list(whole));
        all.push(event(format!("a hook dense with {unit}"), resource.replacen("\"requestData\": {", &data, 1)));
    }
    all
}

/// The events of the suite, `number` of them drawn from `seed`.
pub(super) fn drawn(number: usize, seed: u64) -> Vec<Event> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut all, mut whole) = (Vec::new(), Vec::new());
    let recorded = recorded();
    for (name, text) in &recorded {
        all.extend(replacements(name, text));
        if REWRITTEN.contains(&name.as_str()) {
            rewritten(name, text, &mut whole);
        }
    }
    rng.shuffle(&mut all);
    let role = &recorded.iter().find(|(name, _)| name == "role-create").unwrap().1;
    whole.extend(large(role));
    let resource = &recorded.iter().find(|(name, _)| name == "resource").unwrap().1;
    whole.extend(dense(resource));
    let corpus = fuzz::corpus();
    let random = number / 5;
    let rest = number.saturating_sub(whole.len() + random);
    whole.extend(all.into_iter().take(rest).map(Replacement::event));
    whole.extend((0..random).map(|at| {
        let text = fuzz::mutated(&mut rng, &corpus).into();
        Event { name: format!("random {at} of seed {seed}"), text, expected: Expected::AtMostOne }
    }));
    whole
}
