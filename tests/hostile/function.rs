//! The built function as Lambda starts it, with a limit of memory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::certificates::Certificates;
use super::services::{End, Services};
use crate::simulation::account::{ACCOUNT, Account, REGION};
use crate::simulation::clock;
use crate::simulation::eks::Status;
use crate::simulation::github::SECRET;

/// The memory of the template's function, in KiB.
const MEMORY: u64 = 256 * 1024;

pub(super) struct Function {
    process: Child,
    log: PathBuf,
    pub(super) services: Arc<Services>,
    /// The largest resident memory of the processes that have ended, in KiB.
    peak: u64,
    root: PathBuf,
}

/// A demand on an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// CloudFormation gets one answer.
    Answer,
    /// CloudFormation gets one answer or none.
    AtMostOne,
    /// The caller gets an object.
    Reply,
    /// The bucket takes no answer, or takes it without a word.
    Undelivered,
    /// A success.
    Success,
}

impl Drop for Function {
    fn drop(&mut self) {
        self.end();
    }
}

impl Function {
    /// The released function where `BOOTSTRAP` names it, else the one of this build.
    fn binary() -> PathBuf {
        std::env::var_os("BOOTSTRAP").map_or_else(|| env!("CARGO_BIN_EXE_bootstrap").into(), PathBuf::from)
    }

    pub(super) fn is_release() -> bool {
        std::env::var_os("BOOTSTRAP").is_some()
    }

    pub(super) fn start(certificates: &Certificates, folder: &Path, name: &str) -> Self {
        let services = Services::listen(account(), &certificates.sound);
        let (root, log) = (folder.join("root.pem"), folder.join(format!("{name}.log")));
        let process = Self::process(&services, &root, &log);
        Self { process, log, services, peak: 0, root }
    }

    fn process(services: &Services, root: &Path, log: &Path) -> Child {
        let Services { port, tls_port, .. } = *services;
        let log = std::fs::File::create(log).unwrap();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -v {MEMORY}; exec \"$0\"")).arg(Self::binary()).env_clear();
        for service in ["IAM", "EKS", "CLOUDFORMATION", "SECRETS_MANAGER"] {
            let path = service.replace('_', "").to_lowercase();
            command.env(format!("AWS_ENDPOINT_URL_{service}"), format!("http://127.0.0.1:{port}/{path}"));
        }
        command
            // Each thread would reserve 64 MB of addresses that it does not use.
            .env("MALLOC_ARENA_MAX", "1")
            .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"))
            .env("AWS_LAMBDA_FUNCTION_NAME", "github-trust")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
            .env("GITHUB_TRUST_GITHUB_API", format!("https://localhost:{tls_port}/github"))
            .env("GITHUB_TRUST_GITHUB_SECRET", SECRET)
            .env("GITHUB_TRUST_HOSTS", format!("*=127.0.0.1:{tls_port}"))
            .env("GITHUB_TRUST_IAM_LAG_SECONDS", "0")
            .env("GITHUB_TRUST_PRIVATE_ISSUERS", "true")
            .env("GITHUB_TRUST_RESPONSE_ORIGIN", format!("https://localhost:{tls_port}"))
            .env("GITHUB_TRUST_WRITABLE_GITHUB_REPOSITORIES", "*/*,*")
            // The one that the recorded roles have.
            .env("GITHUB_TRUST_ROLE_PERMISSIONS_BOUNDARY", format!("arn:aws:iam::{ACCOUNT}:policy/ci-boundary"))
            .env("SSL_CERT_FILE", root)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command.spawn().unwrap()
    }

    /// A recorded event as CloudFormation would send it now to the account of the services.
    pub(super) fn localised(&self, text: &str) -> String {
        let origin = format!("https://localhost:{}/bucket", self.services.tls_port);
        text.replace("https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com", &origin)
            .replace("https://hooks-payload.s3.us-east-1.amazonaws.com", &origin)
            .replace("123456789012", ACCOUNT)
            .replace("us-east-1", REGION)
            .replace("20261121T000000Z", &clock::compact(SystemTime::now()))
    }

    /// Gives an event to the function and judges what came of it.
    pub(super) fn judge(&mut self, event: Vec<u8>, time: Duration, expected: Expected) -> Result<(), String> {
        if let Ok(Some(status)) = self.process.try_wait() {
            self.restart();
            return Err(format!("the process has ended before: {status}"));
        }
        let shown = String::from_utf8_lossy(&event).into_owned();
        self.services.state().account.stacks.begin_event(&shown, SystemTime::now());
        let deadline = SystemTime::now() + time;
        let is_in_time = self.services.deliver(event, deadline);
        let verdict = if is_in_time {
            let (answers, ends) = {
                let state = self.services.state();
                (state.answers.clone(), state.ends.clone())
            };
            verdict(&answers, &ends, expected).and_then(|()| self.log_is_sound())
        } else {
            Err(format!("no end within {time:?}; the process: {:?}", self.process.try_wait()))
        };
        verdict.map_err(|fault| {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            // What comes next is not to be blamed for it.
            self.restart();
            format!("{fault}; the log, its end first: {last:.600?}")
        })
    }

    fn log_is_sound(&self) -> Result<(), String> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let secrets = ["wJalrXUtnFEMI", "X-Amz-Signature=", "ghp_0123456789", "panicked"];
        match log.lines().find(|line| secrets.iter().any(|secret| line.contains(secret))) {
            Some(line) => Err(format!("the log says: {line}")),
            None => std::fs::File::create(&self.log).map(drop).map_err(|error| error.to_string()),
        }
    }

    fn restart(&mut self) {
        self.end();
        self.services.renew_process();
        self.process = Self::process(&self.services, &self.root, &self.log);
    }

    fn end(&mut self) {
        self.peak = self.peak();
        let _ended = self.process.kill();
        self.process.wait().unwrap();
    }

    /// The largest resident memory so far, in KiB.
    pub(super) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let high =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        self.peak.max(high.unwrap_or_default())
    }

    /// Another account, with honest services.
    pub(super) fn renew(&self) {
        let mut state = self.services.state();
        (state.account, state.hostile) = (account(), None);
        state.scenario += 1;
    }
}

fn verdict(answers: &[Vec<u8>], ends: &[End], expected: Expected) -> Result<(), String> {
    let [end] = ends else { return Err(format!("{} ends", ends.len())) };
    for answer in answers {
        let body: Value = serde_json::from_slice(answer).map_err(|error| format!("an answer is no JSON: {error}"))?;
        let status = body["Status"].as_str().unwrap_or_default();
        // CloudFormation gives no ids of such a length.
        let ids = ["StackId", "RequestId", "LogicalResourceId"].map(|id| body[id].as_str().unwrap_or_default().len());
        let is_long = answer.len() > 4096 && ids.iter().sum::<usize>() < 1000;
        if !["SUCCESS", "FAILED"].contains(&status) || is_long || answer != &answers[0] {
            return Err(format!("an answer that is none: {body}"));
        }
        let reason = body["Reason"].as_str().unwrap_or_default();
        if reason.contains("(a defect)")
            || reason.chars().any(char::is_control)
            || expected == Expected::Success && status != "SUCCESS"
        {
            return Err(format!("answered {body}"));
        }
    }
    let holds = match expected {
        Expected::Answer | Expected::Success => answers.len() == 1 && !end.is_error,
        Expected::AtMostOne => answers.len() <= 1,
        Expected::Reply => {
            let reply: Value = serde_json::from_slice(&end.body).unwrap_or_default();
            answers.is_empty() && !end.is_error && reply.is_object()
        }
        Expected::Undelivered => true,
    };
    let body = String::from_utf8_lossy(&end.body);
    if holds { Ok(()) } else { Err(format!("{expected:?} expected, {} answers, {body:.300}", answers.len())) }
}

/// An account that has what the recorded events ask for.
fn account() -> Account {
    let mut account = Account::new(1);
    let now = SystemTime::now();
    account.eks.add_cluster("demo", "API", Status::Active, now);
    account.iam.policies.insert(format!("arn:aws:iam::{ACCOUNT}:policy/ci-boundary"));
    account.github.secret = Some(r#"{"token": "ghp_0123456789"}"#.to_owned());
    account.github.settings.environment("/repos/octo-org/octo-repo/environments/production", false, now);
    let provider = serde_json::json!({
        "Url": format!("https://{}", super::ISSUER), "ClientIDList": ["sts.amazonaws.com"],
        "ThumbprintList": ["0123456789012345678901234567890123456789"],
    });
    let somebody = crate::simulation::author::Author::Someone;
    account.iam_as(&somebody, UNIX_EPOCH, "CreateOpenIDConnectProvider", &provider).unwrap();
    account
}
