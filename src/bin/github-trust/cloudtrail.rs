//! Refused and accepted tokens: from CloudTrail, or from a file with its events.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_config::{Region, SdkConfig};
use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use clap::{Args, ValueEnum};
use github_trust::audit::account::github_providers;
use github_trust::aws::{Deadline, ErrorKind};
use github_trust::explain::cloudtrail_event::{TokenEvent, events_of};
use github_trust::explain::cloudtrail_refusals::{RefusingRole, refusals};
use github_trust::explain::least_trust::suggestion;
use github_trust::iam_policy::document::{decode, providers};
use serde_json::Value;

use crate::{aws, read, read_policy};

/// The pause between two pages: `LookupEvents` takes two calls a second, for everybody in the account and region.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>
const PAUSE: Duration = Duration::from_millis(600);
/// The longest time for all calls.
const TIME: Duration = Duration::from_hours(1);
/// The region of `sts.amazonaws.com`.
const GLOBAL: &str = "us-east-1";

#[derive(Args)]
pub(crate) struct TokenArgs {
    /// The regions whose STS the jobs use; by default the one of the profile and us-east-1, the region of sts.amazonaws.com.
    #[arg(long, value_delimiter = ',')]
    regions: Vec<String>,
    /// A file with the events, in place of CloudTrail: the output of `aws cloudtrail lookup-events`, or a log file.
    #[arg(long)]
    events: Option<PathBuf>,
    /// The form of the answer.
    #[arg(long, value_enum, default_value = "text")]
    output: TokenOutput,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TokenOutput {
    Text,
    Json,
}

/// Explains the refused tokens of a role.
pub(crate) async fn explain(
    role: &str,
    policy: Option<&Path>,
    since: Duration,
    args: &TokenArgs,
) -> Result<ExitCode, String> {
    let (role, events) = gathered(role, policy, since, args).await?;
    let found = refusals(&role, &events);
    print(args, &found)
}

/// Suggests the trust of a role.
pub(crate) async fn suggest(
    role: &str,
    policy: Option<&Path>,
    since: Duration,
    args: &TokenArgs,
) -> Result<ExitCode, String> {
    let (role, events) = gathered(role, policy, since, args).await?;
    let policy = role.policy.as_ref().ok_or_else(|| format!("there is no role {}", role.arn))?;
    print(args, &suggestion(&role.arn, policy, &events))
}

fn print(args: &TokenArgs, answer: &(impl std::fmt::Display + serde::Serialize)) -> Result<ExitCode, String> {
    match args.output {
        TokenOutput::Text => print!("{answer}"),
        TokenOutput::Json => println!("{}", serde_json::to_string_pretty(answer).map_err(|error| error.to_string())?),
    }
    Ok(ExitCode::SUCCESS)
}

/// The role and its events. With a policy and events in files no call is made.
async fn gathered(
    role: &str,
    policy: Option<&Path>,
    since: Duration,
    args: &TokenArgs,
) -> Result<(RefusingRole, Vec<TokenEvent>), String> {
    let events = args
        .events
        .as_deref()
        .map(|path| events_of(&read(path)?).map_err(|error| format!("{}: {error}", path.display())));
    let events = events.transpose()?;
    if let (Some(policy), Some(events)) = (policy, &events) {
        return Ok((offline(role, read_policy(policy)?, events), events.clone()));
    }
    let config = aws::config().await;
    let deadline = aws::deadline(TIME);
    let role = role_of(&config, &deadline, role).await?;
    let events = match events {
        Some(events) => events,
        None => looked_up(&config, &deadline, since, &args.regions).await?,
    };
    Ok((role, events))
}

/// A role whose account is not asked: its providers count as there, with every audience that a token has.
fn offline(role: &str, policy: Value, events: &[TokenEvent]) -> RefusingRole {
    let audiences: BTreeSet<String> = events.iter().map(|event| event.audience.clone()).collect();
    let named = providers(&policy).map(str::to_owned).chain(events.iter().map(|event| event.provider.clone()));
    let providers = named.map(|arn| (arn, audiences.clone())).collect();
    RefusingRole { arn: role.to_owned(), policy: Some(policy), providers }
}

/// A role by its name or ARN, and the providers of its account.
async fn role_of(config: &SdkConfig, deadline: &Deadline, role: &str) -> Result<RefusingRole, String> {
    let iam = aws_sdk_iam::Client::new(config);
    let name = role.rsplit('/').next().unwrap_or(role);
    let request = iam.get_role().role_name(name);
    let shown = match deadline.call("iam:GetRole", name, || request.clone().send()).await {
        Ok(answer) => answer.role,
        Err(error) if error.kind == ErrorKind::NotFound => None,
        Err(error) => return Err(error.to_string()),
    };
    let found = github_providers(&iam, deadline).await.map_err(|error| error.to_string())?;
    let providers: BTreeMap<_, _> = found.into_values().map(|provider| (provider.arn, provider.client_ids)).collect();
    let arn = shown.as_ref().map_or_else(|| role.to_owned(), |role| role.arn.clone());
    let policy = shown.map(|role| role.assume_role_policy_document.as_deref().and_then(decode).unwrap_or(Value::Null));
    Ok(RefusingRole { arn, policy, providers })
}

/// The events of the last time, from the given regions.
async fn looked_up(
    config: &SdkConfig,
    deadline: &Deadline,
    since: Duration,
    regions: &[String],
) -> Result<Vec<TokenEvent>, String> {
    let own = config.region().map(|region| region.as_ref().to_owned());
    let regions: BTreeSet<String> = if regions.is_empty() {
        own.into_iter().chain([GLOBAL.to_owned()]).collect()
    } else {
        regions.iter().cloned().collect()
    };
    let mut events = Vec::new();
    for region in regions {
        lookup(config, deadline, since, &region, &mut events).await?;
    }
    Ok(events)
}

async fn lookup(
    config: &SdkConfig,
    deadline: &Deadline,
    since: Duration,
    region: &str,
    events: &mut Vec<TokenEvent>,
) -> Result<(), String> {
    let config = aws_sdk_cloudtrail::config::Builder::from(config).region(Region::new(region.to_owned())).build();
    let client = aws_sdk_cloudtrail::Client::from_conf(config);
    let name = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::EventName)
        .attribute_value("AssumeRoleWithWebIdentity")
        .build()
        .map_err(|error| error.to_string())?;
    let start = SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH);
    let request = client.lookup_events().lookup_attributes(name).start_time(DateTime::from(start)).max_results(50);
    let (mut token, mut read) = (None, 0);
    loop {
        let request = request.clone().set_next_token(token.take());
        let page = deadline.call("cloudtrail:LookupEvents", region, || request.clone().send()).await;
        let page = page.map_err(|error| error.to_string())?;
        for event in page.events.unwrap_or_default() {
            read += 1;
            let event = event.cloud_trail_event.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
            events.extend(event.as_ref().and_then(TokenEvent::read));
        }
        if std::io::stderr().is_terminal() {
            eprint!("\r{read} events of {region}");
        }
        token = page.next_token;
        if token.is_none() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    Ok(())
}
