//! The built function under a limit of memory, among hostile events and hostile servers: each event ends once and in time,
//! CloudFormation gets one answer, and an honest event is served afterwards.
//!
//! Without `HOSTILE=full` a part of them is drawn, enough to notice a reader without a bound. `BOOTSTRAP` names a released
//! function, and `HOSTILE_ONLY` a part of the names of scenarios.

mod certificates;
mod conduct;
mod events;
mod function;
#[path = "../bench/http.rs"]
mod http;
mod services;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::simulation;
use certificates::Certificates;
use conduct::Conduct;
use events::Event;
use function::{Expected, Function};

const ISSUER: &str = "token.actions.githubusercontent.com";

/// The resident memory that the function may take, in KiB.
const MEMORY: usize = 64 * 1024;
/// The time of an event whose servers are honest, and of one whose servers are not. Ends are judged by these deadlines alone,
/// so that the first is as long as a slow machine needs.
const HONEST: Duration = Duration::from_mins(1);
const HOSTILE: Duration = Duration::from_secs(16);
/// Events of more bytes get the longer time: they take a debug build seconds to read.
const LARGE: usize = 100_000;

/// The function of a worker, and the faults that it has shown.
struct Run<'a> {
    function: Function,
    judged: &'a AtomicUsize,
    faults: &'a Mutex<Vec<String>>,
    honest: String,
}

impl Run<'_> {
    fn judge(&mut self, name: &str, event: Vec<u8>, time: Duration, expected: Expected) {
        self.judged.fetch_add(1, Ordering::Relaxed);
        if let Err(fault) = self.function.judge(event, time, expected) {
            let fault = format!("{name}: {fault}");
            println!("{fault}");
            self.faults.lock().unwrap().push(fault);
        }
    }

    /// An honest event, in an account of its own.
    fn serves_honestly(&mut self, after: &str) {
        self.function.renew();
        let event = self.function.localised(&self.honest).into_bytes();
        self.judge(&format!("an honest event after {after}"), event, HONEST, Expected::Success);
    }

    fn event(&mut self, event: &Event) {
        self.function.renew();
        let text = match String::from_utf8(event.text.clone()) {
            Ok(text) => self.function.localised(&text).into_bytes(),
            Err(bytes) => bytes.into_bytes(),
        };
        let time = if text.len() > LARGE { HONEST } else { HOSTILE };
        self.judge(&event.name, text, time, event.expected);
    }

    fn scenario(&mut self, scenario: &Scenario) {
        let Scenario { target, conduct, event, before, name } = scenario;
        self.function.renew();
        if let Some(before) = before {
            let event = self.function.localised(before).into_bytes();
            self.judge(&format!("before {name}"), event, HONEST, Expected::Success);
        }
        self.function.services.state().hostile = Some((target, conduct.clone()));
        let expected = match event.0.as_str() {
            "schedule" => Expected::AtMostOne,
            "explain" | "change-set" | "plan" | "render" => Expected::Reply,
            _ if ["bucket", "tls"].contains(target) => Expected::Undelivered,
            _ => Expected::Answer,
        };
        let event = self.function.localised(&event.1).into_bytes();
        self.judge(name, event, HOSTILE, expected);
        self.serves_honestly(name);
    }
}

struct Scenario {
    name: String,
    target: &'static str,
    conduct: Conduct,
    event: (String, String),
    before: Option<String>,
}

/// Servers that mean no good, and events that lead to them.
const TARGETS: [(&str, &str, Option<&str>); 20] = [
    ("iam", "role-create", None),
    ("iam", "role-update", Some("role-create")),
    ("iam", "oidc-provider-create", None),
    ("iam", "github-repository-oidc-create", None),
    ("iam", "schedule", Some("role-create")),
    ("iam", "explain", None),
    ("eks", "access-entry-create", Some("role-create")),
    ("eks", "access-entry-delete", Some("role-create")),
    ("cloudformation", "role-create", None),
    ("secretsmanager", "github-variable-create", None),
    ("github", "role-create", None),
    ("github", "schedule", Some("role-create")),
    ("github", "github-variable-create", None),
    ("github", "github-environment-create", None),
    ("issuer", "oidc-provider-create", None),
    ("bucket", "role-create", None),
    ("bucket", "change-set", None),
    ("iam", "plan", Some("role-create")),
    ("iam", "render", Some("role-create")),
    ("github", "plan", Some("role-create")),
];

fn scenarios(certificates: &Certificates) -> Vec<Scenario> {
    let recorded = events::recorded();
    let text = |name: &str| recorded.iter().find(|(known, _)| known == name).unwrap().clone();
    let scenario = |target, event: &str, before: Option<&str>, what: &str, conduct: &Conduct| Scenario {
        name: format!("{target}: {what} ({event})"),
        target,
        conduct: conduct.clone(),
        event: text(event),
        before: before.map(|before| text(before).1),
    };
    let mut all = Vec::new();
    // Each conduct meets some of the targets, and each target some of the conducts.
    let step = if is_full() { 3 } else { 12 };
    for (row, (name, conduct)) in conduct::all().into_iter().enumerate() {
        for (column, (target, event, before)) in TARGETS.into_iter().enumerate() {
            if (row + column) % step == 0 {
                all.push(scenario(target, event, before, &name, &conduct));
            }
        }
    }
    let mut shown: Vec<(&str, Conduct)> =
        certificates.unsound.iter().map(|(name, config)| (*name, Conduct::Shows(config.clone()))).collect();
    shown.push(("no handshake", Conduct::Stops(Vec::new())));
    shown.push(("plain text", Conduct::Greets(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())));
    shown.push(("an alert", Conduct::Greets(b"\x15\x03\x03\x00\x02\x02\x28".to_vec())));
    shown.push(("records without end", Conduct::Floods(Vec::new(), vec![0x16, 3, 3, 0x40, 0])));
    for (name, conduct) in shown {
        for event in ["oidc-provider-create", "role-create", "schedule"] {
            all.push(scenario("tls", event, None, name, &conduct));
        }
    }
    for (name, conduct) in conduct::payloads() {
        all.push(scenario("bucket", "change-set", None, name, &conduct));
    }
    all
}

fn is_full() -> bool {
    std::env::var("HOSTILE").is_ok_and(|value| value == "full")
}

/// Gives the items to `workers` functions, each with services of its own. Returns how many invocations were judged.
fn run<T: Sync>(
    certificates: &Certificates,
    name: &str,
    workers: usize,
    items: &[T],
    each: impl Fn(&mut Run<'_>, &T) + Sync,
) -> usize {
    let folder = std::env::temp_dir().join(format!("github-trust-hostile-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("root.pem"), &certificates.root).unwrap();
    let honest = events::recorded().into_iter().find(|(name, _)| name == "role-create").unwrap().1;
    let judged = AtomicUsize::new(0);
    let (faults, next, peak) = (Mutex::new(Vec::new()), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (folder, judged, faults, honest, next, peak, each) =
                (&folder, &judged, &faults, &honest, &next, &peak, &each);
            scope.spawn(move || {
                let function = Function::start(certificates, folder, &worker.to_string());
                let mut run = Run { function, judged, faults, honest: honest.clone() };
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    each(&mut run, item);
                }
                peak.fetch_max(usize::try_from(run.function.peak()).unwrap(), Ordering::Relaxed);
            });
        }
    });
    std::fs::remove_dir_all(&folder).unwrap();
    let (faults, peak) = (faults.into_inner().unwrap(), peak.into_inner());
    let judged = judged.into_inner();
    println!("hostile {name}: {judged} invocations, {} faults, at most {peak} KiB of memory", faults.len());
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!((1..=MEMORY).contains(&peak), "{peak} KiB of memory");
    judged
}

#[test]
fn hostile_events_get_one_answer_in_time_and_honest_ones_after_them_too() {
    let number = if is_full() { 3200 } else { 400 };
    let events = events::drawn(number, 1);
    assert_eq!(events.len(), number);
    let batches: Vec<&[Event]> = events.chunks(20).collect();
    let judged = run(&Certificates::issue(), "events", 12, &batches, |run, batch| {
        for event in *batch {
            run.event(event);
        }
        run.serves_honestly(&batch.last().unwrap().name);
    });
    assert_eq!(judged, number + batches.len());
}

#[test]
fn hostile_servers_delay_no_answer_and_spoil_no_later_one() {
    let certificates = Certificates::issue();
    let scenarios = scenarios(&certificates);
    assert!(scenarios.len() >= if is_full() { 350 } else { 120 }, "{}", scenarios.len());
    let only = std::env::var("HOSTILE_ONLY").unwrap_or_default();
    let scenarios: Vec<Scenario> = scenarios.into_iter().filter(|scenario| scenario.name.contains(&only)).collect();
    let judged = run(&certificates, "servers", 32, &scenarios, |run, scenario| {
        run.scenario(scenario);
    });
    // Each one, an honest event after it, and for some an event before it.
    assert!(judged >= 2 * scenarios.len(), "{judged}");
}
