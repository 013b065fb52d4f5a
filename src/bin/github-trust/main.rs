//! The command `github-trust`: who gets in from GitHub, and why not. It only reads.

mod aws;
mod cloudtrail;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_sdk_iam::types::Role;
use clap::{Args, Parser, Subcommand, ValueEnum};
use cloudtrail::TokenArgs;
use github_trust::arn::issuer_of_provider;
use github_trust::audit::account::Audit;
use github_trust::audit::asff;
use github_trust::audit::fleet::{Fleet, FleetForm};
use github_trust::audit::grade::Grade;
use github_trust::audit::page::page;
use github_trust::cloudformation::strict_json;
use github_trust::explain;
use github_trust::guardrails::Guardrails;
use github_trust::iam_policy::document::providers;
use github_trust::iam_policy::evaluate::TokenClaims;
use github_trust::resources::github_role::changes_by_hand;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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
    /// With --policy and --token it works offline: a token is read from a file or from standard input, and its signature is
    /// dropped unread. The exit status is 3 if the token is refused. With --role it reads the refused tokens of the last time
    /// from CloudTrail.
    Explain(ExplainArgs),
    /// Write the trust that admits the jobs that assumed a role, and no others.
    ///
    /// Reads the sessions from CloudTrail, which goes back 90 days.
    Suggest(SuggestArgs),
}

#[derive(Args)]
struct AuditArgs {
    /// The form of the report. `asff` is for Security Hub: a line for each call of `BatchImportFindings`.
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    /// Exit with status 3 if a role has one of these grades, such as open,organisation.
    #[arg(long, value_delimiter = ',')]
    fail_on: Vec<Grade>,
    /// Write the report as a page of HTML into this file, too: a map of owners, roles and permissions.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Read no account, but the reports in these files, which `--output json` wrote, and put them into one.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "html")]
    merge: Vec<PathBuf>,
    /// The parameter `GuardrailExemptions` of a deployment: the exemptions of each role and its stack are named.
    #[arg(long, default_value = "")]
    exemptions: String,
    /// The longest time for the audit, in minutes.
    #[arg(long, default_value = "60")]
    minutes: u64,
}

#[derive(Args)]
struct ExplainArgs {
    /// A file with the role's trust policy in JSON.
    #[arg(long, required_unless_present = "role")]
    policy: Option<PathBuf>,
    /// A file with the token, or with its claims in JSON; `-` is standard input.
    #[arg(long, required_unless_present = "role", conflicts_with = "role")]
    token: Option<PathBuf>,
    /// The name or the ARN of a role. Its refused tokens are explained.
    #[arg(long)]
    role: Option<String>,
    /// The period to look at, such as 30m, 1h or 7d.
    #[arg(long, default_value = "1h", value_parser = explain::cloudtrail_event::period)]
    since: Duration,
    #[command(flatten)]
    tokens: TokenArgs,
}

#[derive(Args)]
struct SuggestArgs {
    /// The name or the ARN of the role.
    #[arg(long)]
    role: String,
    /// The number of days to look at, at most 90.
    #[arg(long, default_value = "90", value_parser = clap::value_parser!(u64).range(1..=90))]
    days: u64,
    /// A file with the role's trust policy in JSON, in place of the one that IAM has.
    #[arg(long, requires = "events")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    tokens: TokenArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
    Asff,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Audit(args) if args.merge.is_empty() => audit(&args).await,
        Command::Audit(args) => merge(&args),
        Command::Explain(ExplainArgs { role: Some(role), policy, since, tokens, .. }) => {
            cloudtrail::explain(&role, policy.as_deref(), since, &tokens).await
        }
        Command::Explain(args) => explain(&args),
        Command::Suggest(SuggestArgs { role, days, policy, tokens }) => {
            cloudtrail::suggest(&role, policy.as_deref(), Duration::from_secs(days * 24 * 60 * 60), &tokens).await
        }
    };
    result.unwrap_or_else(|problem| {
        eprintln!("github-trust: {problem}");
        ExitCode::FAILURE
    })
}

/// The exit status by the worst grades of roles.
fn status(grades: impl Iterator<Item = Grade>, fail_on: &[Grade]) -> ExitCode {
    if grades.into_iter().any(|grade| fail_on.contains(&grade)) { ExitCode::from(FOUND) } else { ExitCode::SUCCESS }
}

async fn audit(args: &AuditArgs) -> Result<ExitCode, String> {
    let config = aws::config().await;
    let (iam, eks) = (aws_sdk_iam::Client::new(&config), aws_sdk_eks::Client::new(&config));
    let is_watched = std::io::stderr().is_terminal();
    let progress = |done: usize, all: usize| {
        if is_watched {
            eprint!("\r{done} of {all} roles");
        }
    };
    let deadline = aws::deadline(Duration::from_secs(args.minutes.saturating_mul(60)));
    let guardrails = Guardrails::read(|name| (name == "GUARDRAIL_EXEMPTIONS").then(|| args.exemptions.clone()));
    let exemptions = |role: &Role| guardrails.exemptions_of(role, SystemTime::now());
    let (changes, progress) = (&changes_by_hand, &progress);
    let audit = Audit { iam: &iam, eks: &eks, deadline, changes, exemptions: &exemptions, progress };
    let report = audit.run().await.map_err(|error| error.to_string())?;
    if is_watched {
        eprintln!();
    }
    match args.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?),
        Output::Asff => {
            let region = config.region().ok_or("no region: set AWS_REGION, or one in the profile")?;
            for batch in asff::batches(&report, region.as_ref(), &now()) {
                println!("{batch}");
            }
        }
    }
    if let Some(path) = &args.html {
        let date = now().chars().take(10).collect::<String>();
        std::fs::write(path, page(&report, &date)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(status(report.roles.iter().flat_map(|role| &role.findings).map(|finding| finding.grade), &args.fail_on))
}

/// Puts reports into one. A report that cannot be read is a row, and makes the exit status that of a failure.
fn merge(args: &AuditArgs) -> Result<ExitCode, String> {
    let form = match args.output {
        Output::Table => FleetForm::Table,
        Output::Json => FleetForm::Json,
        Output::Asff => {
            return Err("--output asff is for one account: Security Hub takes its findings from itself".to_owned());
        }
    };
    let written = |error: std::io::Error| format!("the report cannot be written: {error}");
    let mut fleet = Fleet::begin(std::io::stdout().lock(), form).map_err(written)?;
    for path in &args.merge {
        let report = std::fs::read_to_string(path).map_err(|error| error.to_string());
        fleet.add(&path.display().to_string(), report).map_err(written)?;
    }
    let (grades, failed) = fleet.end().map_err(written)?;
    let status = status(grades.into_keys(), &args.fail_on);
    Ok(if status == ExitCode::SUCCESS && failed > 0 { ExitCode::FAILURE } else { status })
}

/// The time, by UTC.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    now.and_then(|now| now.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Reads a file; `-` is standard input.
fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map(|()| text).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_policy(path: &Path) -> Result<serde_json::Value, String> {
    strict_json::read(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

fn explain(args: &ExplainArgs) -> Result<ExitCode, String> {
    let (Some(policy), Some(token)) = (&args.policy, &args.token) else {
        return Err("expected --policy and --token, or --role".to_owned());
    };
    let policy = read_policy(policy)?;
    let claims = explain::claims_of(read(token)?.trim())?;
    let issuer = TokenClaims::of(&claims).issuer;
    // Offline, the provider is the one that the policy names for the issuer.
    let provider = providers(&policy).find(|arn| issuer_of_provider(arn) == Some(&issuer)).unwrap_or_default();
    let answer = explain::of_policy(&policy, provider, &claims);
    println!("{}", serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())?);
    Ok(if answer["Verdict"] == json!("admitted") { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}
