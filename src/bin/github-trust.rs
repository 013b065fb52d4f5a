//! The command `github-trust`: who gets in from GitHub, and why not. It only reads.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::http_client_fn;
use clap::{Args, Parser, Subcommand, ValueEnum};
use github_trust::arn::issuer_of_provider;
use github_trust::audit::account::Audit;
use github_trust::audit::grade::Grade;
use github_trust::audit::page::page;
use github_trust::aws::Deadline;
use github_trust::cloudformation::json;
use github_trust::explain;
use github_trust::iam_policy::document::providers;
use github_trust::iam_policy::evaluate::TokenClaims;
use github_trust::net::http_client::connector;
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::Instant;

/// The exit status of an audit that found a grade of `--fail-on`, and of a token that is refused. 2 is that of a wrong command
/// line.
const FOUND: u8 = 3;

/// Shows which jobs at GitHub get into an AWS account, and why a job does not.
///
/// Uses the credentials of the AWS CLI: profiles, SSO, the environment. Reads only, and needs nothing deployed.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Grade every role that a token of GitHub can assume.
    ///
    /// Each finding names a token that gets in and proves it.
    Audit(AuditArgs),
    /// Say whether a token can assume a role and, if not, which condition fails.
    ///
    /// Works offline. A token is read from a file or from standard input; its signature is dropped unread. The exit status
    /// is 3 if the token is refused.
    Explain(ExplainArgs),
}

#[derive(Args)]
struct AuditArgs {
    /// The form of the report.
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    /// Exit with status 3 if a role has one of these grades, such as open,organisation.
    #[arg(long, value_delimiter = ',')]
    fail_on: Vec<Grade>,
    /// Write the report as a page of HTML into this file, too: a map of owners, roles and permissions.
    #[arg(long)]
    html: Option<std::path::PathBuf>,
    /// The longest time for the audit, in minutes.
    #[arg(long, default_value = "60")]
    minutes: u64,
}

#[derive(Args)]
struct ExplainArgs {
    /// A file with the role's trust policy in JSON.
    #[arg(long)]
    policy: std::path::PathBuf,
    /// A file with the token, or with its claims in JSON; `-` is standard input.
    #[arg(long)]
    token: std::path::PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Audit(args) => audit(&args).await,
        Command::Explain(args) => explain(&args),
    };
    result.unwrap_or_else(|problem| {
        eprintln!("github-trust: {problem}");
        ExitCode::FAILURE
    })
}

async fn audit(args: &AuditArgs) -> Result<ExitCode, String> {
    let http = connector();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client_fn(move |_, _| http.clone()))
        .retry_config(RetryConfig::disabled())
        .load()
        .await;
    let (iam, eks) = (aws_sdk_iam::Client::new(&config), aws_sdk_eks::Client::new(&config));
    let is_watched = std::io::stderr().is_terminal();
    let progress = |done: usize, all: usize| {
        if is_watched {
            eprint!("\r{done} of {all} roles");
        }
    };
    let deadline = Deadline::until(Instant::now() + Duration::from_secs(args.minutes.saturating_mul(60)));
    let audit = Audit { iam: &iam, eks: &eks, deadline, progress: &progress };
    let report = audit.run().await.map_err(|error| error.to_string())?;
    if is_watched {
        eprintln!();
    }
    match args.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?),
    }
    if let Some(path) = &args.html {
        std::fs::write(path, page(&report, &today())).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let found =
        report.roles.iter().flat_map(|role| &role.findings).any(|finding| args.fail_on.contains(&finding.grade));
    Ok(if found { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
}

/// The date, by UTC.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    now.map(|now| now.date().to_string()).unwrap_or_default()
}

fn explain(args: &ExplainArgs) -> Result<ExitCode, String> {
    let read = |path: &std::path::Path| {
        let mut text = String::new();
        let read = if path.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text).map(drop)
        } else {
            std::fs::read_to_string(path).map(|read| text = read)
        };
        read.map(|()| text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let policy = read(&args.policy)?;
    let policy = json::read(&policy).map_err(|error| format!("{}: {error}", args.policy.display()))?;
    let claims = explain::claims_of(read(&args.token)?.trim())?;
    let issuer = TokenClaims::of(&claims).issuer;
    // Offline, the provider is the one that the policy names for the issuer.
    let provider = providers(&policy).find(|arn| issuer_of_provider(arn) == Some(&issuer)).unwrap_or_default();
    let answer = explain::of_policy(&policy, provider, &claims);
    println!("{}", serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())?);
    Ok(if answer["Verdict"] == json!("admitted") { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}
