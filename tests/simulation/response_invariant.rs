//! What is owed to CloudFormation (I1): one answer per request, in time, by the rules, and nothing done after it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::answer::{self, Verdict};
use super::calls::{Call, Outcome};
use super::cloud::Cloud;
use super::cloudformation::{RequestType, Sent};
use super::faults::Fault;
use super::invariants::Ledger;
use super::lambda::{Attempt, Ended};
use super::s3::Upload;

impl Ledger {
    /// I1, and that nothing is changed after the answer: by everything that was sent, run, called and uploaded.
    pub(crate) fn one_answer_each(&mut self, cloud: &Cloud, sent: &[Sent], attempts: &[Attempt]) {
        let mut found = Vec::new();
        let state = cloud.state();
        for sent in sent {
            let uploads: Vec<&Upload> =
                state.account.s3.uploads.iter().filter(|upload| upload.url == sent.url).collect();
            for upload in &uploads {
                found.extend(
                    answer::mistakes(&upload.body, sent)
                        .into_iter()
                        .map(|mistake| format!("{} {}: {mistake}", sent.logical, sent.id)),
                );
            }
            let met_fault = uploads.iter().any(|upload| has_fault(&state.calls, upload));
            let unlike: BTreeSet<String> = uploads
                .iter()
                .filter(|upload| !may_differ(&state.calls, upload))
                .map(|upload| comparable(&upload.body, met_fault))
                .collect();
            // A Create that CloudFormation has cancelled races with its own Delete, and nobody reads what becomes of it.
            let cancelled = sent.kind == RequestType::Create && matches!(sent.verdict, Some(Verdict::Silence));
            if unlike.len() > 1 && !cancelled {
                found.push(format!("{:?} {} {} was answered with {unlike:?}", sent.kind, sent.logical, sent.id));
            }
            let tried: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.request == sent.id).collect();
            for attempt in &tried {
                found.extend(late_or_silent(&state.calls, &uploads, attempt, sent));
            }
        }
        drop(state);
        for what in found {
            self.violated("I1", what);
        }
    }
}

/// An answer but for the words of a failure, which name AWS's request id: no two attempts share it. An attempt that met a fault may
/// also lack the warning of another one, which GitHub answered in time.
fn comparable(body: &[u8], met_fault: bool) -> String {
    let Ok(mut answer) = serde_json::from_slice::<serde_json::Value>(body) else {
        return String::from_utf8_lossy(body).into_owned();
    };
    if answer["Status"] == "FAILED" {
        answer["Reason"] = serde_json::Value::Null;
        return answer.to_string();
    }
    if met_fault && let Some(data) = answer.get_mut("Data").and_then(serde_json::Value::as_object_mut) {
        data.remove("Warning");
        return answer.to_string();
    }
    String::from_utf8_lossy(body).into_owned()
}

/// A failure that this attempt alone ran into is told by this attempt alone: nobody can know what another one will say.
fn may_differ(calls: &[Call], upload: &Upload) -> bool {
    String::from_utf8_lossy(&upload.body).contains("\"FAILED\"") && has_fault(calls, upload)
}

/// The attempt that gave this answer met a fault.
fn has_fault(calls: &[Call], upload: &Upload) -> bool {
    let mut of = calls.iter().filter(|call| call.invocation.is_some() && call.invocation == upload.invocation);
    of.any(|call| call.fault.is_some())
}

/// By how much later than it was made a call was carried out.
fn slowness(call: &Call) -> Duration {
    match &call.fault {
        Some((_, Fault::Slow(time))) => *time,
        _ => Duration::ZERO,
    }
}

/// What one attempt owes: it ends before its deadline, it answers in time, and it changes nothing afterwards.
fn late_or_silent(calls: &[Call], uploads: &[&Upload], attempt: &Attempt, sent: &Sent) -> Vec<String> {
    let mut found = Vec::new();
    let who = format!("attempt {} at {:?} {}", attempt.invocation, sent.kind, sent.logical);
    let own: Vec<&Call> = calls.iter().filter(|call| call.invocation == Some(attempt.invocation)).collect();
    let answers: Vec<&&Call> = own.iter().filter(|call| call.service == "s3").collect();
    match &attempt.ended {
        Some(Ended::TimedOut) => found.push(format!("{who} was still running at its deadline")),
        Some(Ended::Panicked) => found.push(format!("{who} panicked")),
        Some(Ended::Returned(Ok(()))) => {
            let answered = answers.iter().any(|call| call.outcome == Outcome::Done);
            // CloudFormation shows that it has the answer of another attempt, or that it has stopped waiting.
            let beginning = std::time::UNIX_EPOCH + super::clock::BEGINNING;
            let shown = own.iter().filter(|call| call.service == "cloudformation");
            let asked = shown.map(|call| beginning + call.at + slowness(call)).max();
            let known = asked.is_some_and(|asked| uploads.iter().any(|upload| upload.at <= asked));
            let cancelled = sent.cancelled;
            // An attempt that begins when CloudFormation's patience is as good as over owes nothing any more.
            if !answered && !known && !cancelled && attempt.began + Duration::from_secs(2) < sent.patience {
                found.push(format!("{who} ended without an answer"));
            }
        }
        Some(Ended::Returned(Err(why))) => {
            if answers.iter().all(|call| call.fault.is_none()) {
                found.push(format!("{who} gave up although nothing kept it from answering: {why}"));
            }
        }
        Some(Ended::Killed) | None => {}
    }
    if let Some(first) = answers.first() {
        let after = own.iter().find(|call| call.number > first.number && call.changing);
        if let Some(after) = after {
            found.push(format!("{who} still called {} after it had answered (call {})", after.action, after.number));
        }
        let beginning = std::time::UNIX_EPOCH + super::clock::BEGINNING;
        let bound = attempt.deadline.min(sent.patience);
        let spare = Duration::from_secs(5);
        let enough = bound.duration_since(attempt.began).is_ok_and(|time| time > 2 * spare);
        if enough && beginning + first.at + spare > bound {
            found.push(format!("{who} answered less than 5 s before its time was up (call {})", first.number));
        }
    }
    found
}
