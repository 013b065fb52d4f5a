//! The causes of refused jobs, from the events that CloudTrail has of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::advice::{self, claim_of};
use super::cloudtrail_event::TokenEvent;
use super::names;
use crate::arn::issuer_of_provider;
use crate::audit::report::counted;
use crate::error::plain;
use crate::github::Issuer;
use crate::iam_policy::document::{mentioned_values, statements};
use crate::iam_policy::evaluate::{FailedCondition, StatementReport, TokenClaims, Verdict, evaluate};
use crate::ownership::Tags;
use crate::resources::github_role::TrustedNames;

/// A role, and the providers that stand before it.
#[derive(Clone, Debug)]
pub struct RefusingRole {
    /// Its ARN.
    pub arn: String,
    /// Its trust policy; none for a role that is not there.
    pub policy: Option<Value>,
    /// The client ids of the account's providers, by ARN.
    pub providers: BTreeMap<String, BTreeSet<String>>,
}

/// The refusals of a role's tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Refusals {
    /// Those that are about this role, or may be; the most likely and the latest first.
    pub refused: Vec<RefusedToken>,
    /// Refused tokens of repositories that the role's trust does not come near, in events that name no role.
    pub of_others: usize,
}

/// Tokens that were refused for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RefusedToken {
    /// Their subject.
    pub subject: String,
    /// Their audience.
    pub audience: String,
    /// The attempts: a job tries about twelve times.
    pub times: usize,
    /// The time of the last attempt.
    pub last: String,
    /// True if the events name this role. Without it another role may have been asked for.
    pub names_role: bool,
    /// The cause.
    pub cause: String,
    /// The change that removes it.
    pub change: String,
}

/// Tells why tokens were refused.
#[must_use]
pub fn refusals(role: &RefusingRole, events: &[TokenEvent]) -> Refusals {
    let mut groups: BTreeMap<(TokenEvent, bool), (usize, String)> = BTreeMap::new();
    let mut of_others = 0;
    for event in events.iter().filter(|event| event.error.is_some()) {
        let names_role = match &event.role {
            Some(arn) if name(arn) == name(&role.arn) => true,
            Some(_) => continue,
            None => false,
        };
        if !names_role && !is_near(role, event) {
            of_others += 1;
            continue;
        }
        let key = TokenEvent { time: String::new(), ..event.clone() };
        let (times, last) = groups.entry((key, names_role)).or_default();
        *times += 1;
        *last = event.time.clone().max(std::mem::take(last));
    }
    let mut refused: Vec<(bool, RefusedToken)> = groups
        .into_iter()
        .map(|((event, names_role), (times, last))| {
            let Cause { what, change, is_open } = cause(role, &event);
            let TokenEvent { subject, audience, .. } = event;
            (is_open, RefusedToken { subject, audience, times, last, names_role, cause: what, change })
        })
        .collect();
    refused.sort_by(|(a_open, a), (b_open, b)| {
        (b.names_role, b_open, &b.last, &a.subject).cmp(&(a.names_role, a_open, &a.last, &b.subject))
    });
    Refusals { refused: refused.into_iter().map(|(_, refused)| refused).collect(), of_others }
}

fn name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

/// Returns true if the trust policy mentions the owner or the repository of a token, in whatever case.
fn is_near(role: &RefusingRole, event: &TokenEvent) -> bool {
    let Some(policy) = role.policy.as_ref().filter(|_| !event.subject.is_empty()) else { return true };
    let mentioned = ["sub", "repository", "repository_owner", "repository_id", "job_workflow_ref"]
        .map(|claim| mentioned_values(policy, claim).into_iter().map(str::to_lowercase).collect::<Vec<_>>())
        .concat();
    let claims = event.claims();
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_lowercase);
    let repository = claim("repository").unwrap_or_default();
    let words = repository.split('/').map(str::to_owned).chain(claim("repository_id")).chain(claim("job_workflow_ref"));
    words.filter(|word| !word.is_empty()).any(|word| mentioned.iter().any(|value| value.contains(&word)))
}

struct Cause {
    what: String,
    change: String,
    /// False if the role admits the token today.
    is_open: bool,
}

fn because(what: impl Into<String>, change: impl Into<String>) -> Cause {
    Cause { what: what.into(), change: change.into(), is_open: true }
}

fn cause(role: &RefusingRole, event: &TokenEvent) -> Cause {
    let (code, message) = event.error.clone().unwrap_or_default();
    let said = message.to_lowercase();
    if said.contains("no openidconnect provider found") {
        return provider_gone(event);
    }
    if said.contains("incorrect token audience") {
        return other_audience(role, event);
    }
    if said.contains("thumbprint") {
        return because(
            "the certificate of the issuer does not fit the provider's thumbprints",
            "update the stack of the provider, which probes them again; without one, correct its `ThumbprintList`",
        );
    }
    if said.contains("verification key") || code == "IDPCommunicationError" || code == "IDPCommunicationErrorException"
    {
        return because(
            "STS could not get the keys of the issuer",
            "run the job again; an Enterprise Server has to be reachable from AWS at its issuer's address",
        );
    }
    if code.starts_with("ExpiredToken") || said.contains("expired") {
        return because(
            "the token had expired: it is good for five minutes",
            "let the job get its credentials right before it uses them",
        );
    }
    if said.contains("maxsessionduration") {
        return because(
            "the workflow asks for a longer session than the role allows",
            "raise `MaxSessionDuration`, or lower `role-duration-seconds` in the workflow",
        );
    }
    let before = before_the_policy(role, event);
    match code.as_str() {
        "AccessDenied" => before.unwrap_or_else(|| by_policy(role, event)),
        "InvalidIdentityToken" | "InvalidIdentityTokenException" => before.unwrap_or_else(|| {
            because(
                "STS could not verify the token: its provider is there and takes the audience, so that the certificate or the \
                 keys of the issuer are left",
                "update the stack of the provider, which probes its thumbprints again",
            )
        }),
        _ => because(format!("STS answered {code}: {message}"), "follow the message of STS"),
    }
}

/// The cause that stands before the policy: the role, the provider, the audience.
fn before_the_policy(role: &RefusingRole, event: &TokenEvent) -> Option<Cause> {
    if role.policy.is_none() {
        return Some(because(
            format!("there is no role {}", role.arn),
            "write the ARN of a role that exists into `role-to-assume`, such as the attribute `Arn` of a Custom::GitHubRole",
        ));
    }
    if let Some(asked) = event.role.as_ref().filter(|asked| **asked != role.arn) {
        return Some(because(
            format!("the workflow asks for {asked}, and the role is {}: another account, path or case", role.arn),
            format!("write {} into `role-to-assume`", role.arn),
        ));
    }
    if event.provider.is_empty() {
        return None;
    }
    match role.providers.get(&event.provider) {
        None => Some(provider_gone(event)),
        Some(ids) if !ids.contains(&event.audience) => Some(other_audience(role, event)),
        Some(_) => None,
    }
}

fn provider_gone(event: &TokenEvent) -> Cause {
    let issuer = issuer_of_provider(&event.provider).unwrap_or("the token's issuer");
    because(
        format!("the account has no OIDC provider for {issuer}"),
        "declare a Custom::GitHubOidcProvider for this issuer, or update the stack that has one",
    )
}

fn other_audience(role: &RefusingRole, event: &TokenEvent) -> Cause {
    let ids = role.providers.get(&event.provider).into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
    let (asked, takes) =
        (Some(event.audience.as_str()).filter(|aud| !aud.is_empty()), Some(ids).filter(|ids| !ids.is_empty()));
    because(
        format!(
            "the token is for the audience {}, and the provider takes {}",
            asked.unwrap_or("that the job asked for"),
            takes.as_deref().unwrap_or("others")
        ),
        "add it to the `ClientIdList` of the provider, or ask for an audience that it has (`audience` of configure-aws-credentials)",
    )
}

/// The cause that the evaluation of the policy shows.
fn by_policy(role: &RefusingRole, event: &TokenEvent) -> Cause {
    let policy = role.policy.as_ref().unwrap_or(&Value::Null);
    let token = TokenClaims::of(&event.claims());
    let (verdict, reports) = evaluate(policy, &event.provider, &token);
    match verdict {
        Verdict::Admitted => Cause {
            what: "the policy of today admits this token: it has changed since, another role was asked for, or a service or \
                   resource control policy of the organization refuses, which this account does not show"
                .to_owned(),
            change: "run the job again, and look at `role-to-assume` of its workflow".to_owned(),
            is_open: false,
        },
        Verdict::Depends => because(
            "the policy asks for more than the token tells, such as the address of the caller",
            "compare the conditions whose keys are not of GitHub's with the request",
        ),
        Verdict::Refused => refused(policy, &token, &reports),
    }
}

fn refused(policy: &Value, token: &TokenClaims, reports: &[StatementReport]) -> Cause {
    if let Some(deny) = reports.iter().find(|report| report.deny && report.applies == Some(true)) {
        let number = deny.statement + 1;
        let known = names(policy, &Tags::new(), token);
        return because(format!("statement {number} of the policy denies it"), advice::denied(token, &known));
    }
    let allows = reports.iter().filter(|report| !report.deny && report.other_principal.is_none());
    let Some(best) = allows.filter(|report| !report.failed.is_empty()).min_by_key(|report| distance(report, token))
    else {
        let other = reports.iter().find_map(|report| report.other_principal.as_deref());
        return other.map_or_else(
            || {
                because(
                    "no statement allows sts:AssumeRoleWithWebIdentity",
                    "let the policy allow it, or declare a Custom::GitHubRole",
                )
            },
            |other| {
                because(
                    format!("the role trusts the provider {other}, and the token is of https://{}", token.issuer),
                    "set the role's `ProviderArn` to the provider of this issuer",
                )
            },
        );
    };
    let (seen, unseen): (Vec<_>, Vec<_>) = best.failed.iter().partition(|failed| is_seen(failed, token));
    if seen.is_empty() {
        let keys: Vec<String> = unseen.iter().map(|failed| format!("`{}`", failed.key)).collect();
        return because(
            format!(
                "the subject and the audience fit; the policy also compares {}, which CloudTrail does not show",
                keys.join(", ")
            ),
            "ask with the token's claims: `github-trust explain --policy FILE --token FILE`",
        );
    }
    let (known, written) = (names(policy, &Tags::new(), token), &statements(policy)[best.statement]);
    let (mut what, mut change) = (Vec::new(), BTreeSet::new());
    for failed in seen {
        let (said, advice) = condition((failed, &best.failed), token, &known, written);
        what.push(said);
        change.insert(advice);
    }
    because(what.join("; "), change.into_iter().collect::<Vec<_>>().join("; "))
}

/// The number of conditions that fail, those of claims that nobody sees last.
fn distance(report: &StatementReport, token: &TokenClaims) -> (usize, usize) {
    let seen = report.failed.iter().filter(|failed| is_seen(failed, token)).count();
    let nearest = report.failed.iter().filter(|failed| claim_of(failed) == "sub").map(|failed| {
        let found = failed.found.as_ref().and_then(|values| values.first()).map_or("", String::as_str);
        found.len() - failed.expected.iter().map(|expected| common(expected, found)).max().unwrap_or_default()
    });
    (seen, nearest.min().unwrap_or_default())
}

fn is_read(claim: &str, token: &TokenClaims) -> bool {
    let issuer = Issuer::parse_without_scheme(&token.issuer);
    matches!(claim, "aud" | "sub") || issuer.is_ok_and(|issuer| issuer.has_key(claim))
}

/// Returns true if the event shows enough to tell that a condition fails.
fn is_seen(failed: &FailedCondition, token: &TokenClaims) -> bool {
    let claim = claim_of(failed);
    let subject = token.claims.get("sub").and_then(|values| values.first()).map_or("", String::as_str);
    // A job without an environment has another context in its subject.
    let has_context = [":ref:", ":pull_request"].iter().any(|context| subject.contains(context));
    failed.found.is_some() || !is_read(claim, token) || (claim == "environment" && has_context)
}

fn condition(
    (failed, all): (&FailedCondition, &[FailedCondition]),
    token: &TokenClaims,
    known: &TrustedNames,
    written: &Value,
) -> (String, String) {
    let claim = claim_of(failed);
    if !is_read(claim, token) {
        let what = format!("the policy compares `{claim}`, which STS does not read in tokens of this issuer");
        return (what, "compare a claim that STS reads, or the subject".to_owned());
    }
    let said = failed.found.iter().flatten().next().map_or("", String::as_str);
    if let Some(pattern) = advice::pattern_by_letter(failed, said) {
        let what = format!("`{}` compares letter by letter, so that {pattern} does not match {said}", failed.operator);
        return (what, advice::BY_LETTER.to_owned());
    }
    let found = failed.found.as_ref().map_or_else(|| "not there".to_owned(), |values| values.join(", "));
    let wants = failed.expected.iter().max_by_key(|expected| common(expected, &found)).cloned().unwrap_or_default();
    let more = failed.expected.len().saturating_sub(1);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (
        format!("`{claim}` is {found}, the policy has {wants}{more}"),
        advice::change((failed, all), token, known, written, true),
    )
}

/// The number of bytes that two texts begin with in common.
fn common(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

impl std::fmt::Display for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { refused, of_others } = self;
        for RefusedToken { subject, audience, times, last, names_role, cause, change } in refused {
            let subject = if subject.is_empty() { "a token of GitHub" } else { subject };
            writeln!(f, "{}", plain(subject))?;
            let audience = if audience.is_empty() { String::new() } else { format!(", for {audience}") };
            let unnamed = if *names_role { "" } else { "; the events name no role" };
            writeln!(f, "    refused: {}, last {last}{}{unnamed}", counted(*times, "attempt"), plain(&audience))?;
            writeln!(f, "    cause:  {}", plain(cause))?;
            writeln!(f, "    change: {}", plain(change))?;
            writeln!(f)?;
        }
        if refused.is_empty() {
            writeln!(
                f,
                "No refused token is about this role. CloudTrail shows an event some minutes later, and in the region of STS's address."
            )?;
        }
        if *of_others > 0 {
            let are = if *of_others == 1 { "is" } else { "are" };
            let more = counted(*of_others, "more attempt");
            writeln!(f, "{more} {are} of repositories that the role's trust does not mention.")?;
        }
        Ok(())
    }
}
