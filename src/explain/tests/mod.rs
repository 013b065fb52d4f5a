//! Causes of refused jobs and suggestions, from events as CloudTrail has them.

mod answers;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cloudtrail_event::{TokenEvent, events_of, period};
use super::cloudtrail_refusals::{RefusedToken, RefusingRole, refusals};
use super::least_trust::suggestion;
use super::{TOKEN_LIMIT, claims_of, of_policy, read};
use crate::iam_policy::string_like::STEPS;

const ISSUER: &str = "token.actions.githubusercontent.com";
const SERVER: &str = "github.example.com/_services/token";
const ARN: &str = "arn:aws:iam::111122223333:role/github/deploy";
const PLAIN: &str = "repo:octo-org/octo-repo";
const IDS: &str = "repo:octo-org@18724/octo-repo@117406";
const STS: &str = "sts.amazonaws.com";

fn provider(issuer: &str) -> String {
    format!("arn:aws:iam::111122223333:oidc-provider/{issuer}")
}

fn allow(operator: &str, subject: &str, more: &Value) -> Value {
    let mut condition = json!({operator: {format!("{ISSUER}:sub"): subject}});
    condition["StringEquals"][format!("{ISSUER}:aud")] = json!(STS);
    for (key, value) in more.as_object().into_iter().flatten() {
        condition["StringEquals"][format!("{ISSUER}:{key}")] = value.clone();
    }
    json!({
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider(ISSUER)},
        "Condition": condition,
    })
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn trusts(subject: &str) -> Value {
    policy(&[allow("StringEquals", subject, &json!({}))])
}

/// An event as CloudTrail has it.
fn event(issuer: &str, audience: &str, subject: &str, role: Option<&str>, error: Option<(&str, &str)>) -> Value {
    let provider = provider(issuer);
    let mut event = json!({
        "eventName": "AssumeRoleWithWebIdentity",
        "eventTime": "2026-11-20T10:00:00Z",
        "userAgent": "aws-sdk-nodejs/2.1396.0 configure-aws-credentials-for-github-actions promise",
        "userIdentity": {
            "type": "WebIdentityUser",
            "principalId": format!("{provider}:{audience}:{subject}"),
            "userName": subject,
            "identityProvider": provider,
        },
        "requestParameters": role.map(|arn| json!({"roleArn": arn, "roleSessionName": "GitHubActions"})),
    });
    if let Some((code, message)) = error {
        event["errorCode"] = json!(code);
        event["errorMessage"] = json!(message);
    }
    event
}

const DENIED: Option<(&str, &str)> = Some(("AccessDenied", "An unknown error occurred"));

/// A refused job: its scenario, the trust policy, the event, and words of the cause and of the change.
type RefusedJob = (&'static str, Value, Value, &'static str, &'static str);

fn by_subject(scenario: &'static str, trusted: &str, sent: &str, change: &'static str) -> RefusedJob {
    (scenario, trusts(trusted), event(ISSUER, STS, sent, None, DENIED), "`sub` is repo:", change)
}

fn with(base: &str, rest: &str) -> String {
    format!("{base}:{rest}")
}

/// Jobs of the trusted repository with another context.
fn other_contexts() -> Vec<RefusedJob> {
    let (main, ids_main) = (with(PLAIN, "ref:refs/heads/main"), with(IDS, "ref:refs/heads/main"));
    vec![
        by_subject("branch", &main, &with(PLAIN, "ref:refs/heads/master"), "add the branch \"master\" to `Branches`"),
        by_subject(
            "branch with ids",
            &ids_main,
            &with(IDS, "ref:refs/heads/dev"),
            "add the branch \"dev\" to `Branches`",
        ),
        by_subject("tag", &main, &with(PLAIN, "ref:refs/tags/v1"), "add the tag \"v1\" to `Tags`"),
        by_subject(
            "environment",
            &main,
            &with(PLAIN, "environment:production"),
            "which then stands in place of the branch",
        ),
        by_subject(
            "other environment",
            &with(PLAIN, "environment:production"),
            &with(PLAIN, "environment:staging"),
            "add \"staging\" to `Environments`",
        ),
        by_subject("pull request", &main, &with(PLAIN, "pull_request"), "set `PullRequests: true`"),
    ]
}

/// Jobs whose subject names the repository in another way, or another repository.
fn other_repositories() -> Vec<RefusedJob> {
    let (main, ids_main) = (with(PLAIN, "ref:refs/heads/main"), with(IDS, "ref:refs/heads/main"));
    vec![
        by_subject("case", &main, "repo:Octo-Org/octo-repo:ref:refs/heads/main", "only the case differs"),
        by_subject(
            "case of the branch",
            &main,
            &with(PLAIN, "ref:refs/heads/Main"),
            "add the branch \"Main\" to `Branches`",
        ),
        by_subject("no ids", &ids_main, &main, "the repository sends subjects without ids"),
        by_subject("ids", &main, &ids_main, "the repository sends subjects with ids"),
        by_subject(
            "other repository",
            &main,
            "repo:octo-org/other:ref:refs/heads/main",
            "repository octo-org/other: add one",
        ),
        by_subject("fork", &main, "repo:stranger/octo-repo:ref:refs/heads/main", "may be a fork of octo-org/octo-repo"),
        by_subject(
            "name taken over",
            &ids_main,
            "repo:octo-org@999/octo-repo@998:ref:refs/heads/main",
            "another repository of the name octo-org/octo-repo (id 998)",
        ),
        by_subject(
            "renamed",
            &ids_main,
            "repo:octo-org@18724/new-name@117406:ref:refs/heads/main",
            "octo-org/octo-repo was renamed or transferred",
        ),
        by_subject(
            "transferred",
            &ids_main,
            "repo:new-org@555/octo-repo@117406:ref:refs/heads/main",
            "write `Repository: new-org/octo-repo`",
        ),
        by_subject(
            "template",
            &main,
            &with(
                PLAIN,
                "ref:refs/heads/main:job_workflow_ref:octo-org/shared/.github/workflows/a.yml@refs/heads/main",
            ),
            "the subjects of the repository are made of repo, context, job_workflow_ref",
        ),
    ]
}

fn denied(role: Option<&str>) -> Value {
    event(ISSUER, STS, &with(PLAIN, "ref:refs/heads/main"), role, DENIED)
}

/// Jobs that fail before their subject is compared.
fn before_the_policy() -> Vec<RefusedJob> {
    let main = with(PLAIN, "ref:refs/heads/main");
    vec![
        (
            "audience that the policy does not have",
            trusts(&main),
            event(ISSUER, "other", &main, None, DENIED),
            "`aud` is other, the policy has sts.amazonaws.com",
            "ask for the audience sts.amazonaws.com",
        ),
        (
            "audience that the provider does not have",
            trusts(&main),
            event(ISSUER, "https://github.com/octo-org", &main, None, DENIED),
            "is for the audience https://github.com/octo-org, and the provider takes other, sts.amazonaws.com",
            "add it to the `ClientIdList`",
        ),
        (
            "provider gone",
            trusts(&main),
            event("token.actions.octo.ghe.com", STS, &main, Some(ARN), DENIED),
            "no OIDC provider for token.actions.octo.ghe.com",
            "declare a Custom::GitHubOidcProvider",
        ),
        (
            "role gone",
            Value::Null,
            denied(Some(ARN)),
            "there is no role arn:aws:iam::111122223333:role/github/deploy",
            "`role-to-assume`",
        ),
        (
            "path",
            trusts(&main),
            denied(Some("arn:aws:iam::111122223333:role/deploy")),
            "another account, path or case",
            ARN,
        ),
    ]
}

/// Jobs whose cause is in the message of STS.
fn by_the_message() -> Vec<RefusedJob> {
    let main = with(PLAIN, "ref:refs/heads/main");
    let said = |code, message| event(ISSUER, STS, &main, Some(ARN), Some((code, message)));
    let invalid = |message| said("InvalidIdentityToken", message);
    vec![
        (
            "audience by the message",
            trusts(&main),
            invalid("Incorrect token audience"),
            "for the audience",
            "`ClientIdList`",
        ),
        (
            "provider by the message",
            trusts(&main),
            invalid("No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com"),
            "no OIDC provider for token.actions",
            "declare a Custom::GitHubOidcProvider",
        ),
        (
            "thumbprint",
            trusts(&main),
            invalid("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint"),
            "does not fit the provider's thumbprints",
            "probes them again",
        ),
        (
            "keys",
            trusts(&main),
            invalid("Couldn't retrieve verification key from your identity provider"),
            "could not get the keys",
            "reachable from AWS",
        ),
        (
            "no reason given",
            trusts(&main),
            invalid("An unknown error occurred"),
            "could not verify the token",
            "thumbprints",
        ),
        (
            "expired",
            trusts(&main),
            said("ExpiredTokenException", "Token expired: current date/time must be before"),
            "the token had expired",
            "right before it uses them",
        ),
        (
            "session",
            trusts(&main),
            said("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
            "a longer session",
            "`MaxSessionDuration`",
        ),
    ]
}

/// Jobs whose subject fits.
fn by_the_policy() -> Vec<RefusedJob> {
    let main = with(PLAIN, "ref:refs/heads/main");
    let narrowed = |more: Value| policy(&[allow("StringEquals", &main, &more)]);
    let deny = json!({"Effect": "Deny", "Action": "sts:*", "Principal": "*", "Condition": {
        "StringLike": {format!("{ISSUER}:sub"): "repo:octo-org/*"}}});
    let mut other_action = allow("StringEquals", &main, &json!({}));
    other_action["Action"] = json!("sts:AssumeRole");
    let of_server = event(SERVER, STS, &main, None, DENIED);
    vec![
        (
            "workflow",
            narrowed(json!({"job_workflow_ref": "a"})),
            denied(None),
            "token.actions.githubusercontent.com:job_workflow_ref`, which CloudTrail",
            "--token FILE",
        ),
        (
            "actor",
            narrowed(json!({"actor_id": "1"})),
            denied(None),
            "`token.actions.githubusercontent.com:actor_id`",
            "--token FILE",
        ),
        (
            "claim that STS does not read",
            narrowed(json!({"repo_property_tier": "1"})),
            denied(None),
            "compares `repo_property_tier`, which STS does not read",
            "compare a claim that STS reads",
        ),
        (
            "denial",
            policy(&[allow("StringEquals", &main, &json!({})), deny]),
            denied(None),
            "statement 2 of the policy denies",
            "`Deny`",
        ),
        (
            "wildcard that is compared letter by letter",
            trusts("repo:octo-org/octo-repo:*"),
            denied(None),
            "compares letter by letter",
            "write `StringLike`",
        ),
        ("other provider", trusts(&main), of_server, "trusts the provider arn:aws:iam", "`ProviderArn`"),
        ("other action", policy(&[other_action]), denied(None), "no statement allows", "let the policy allow it"),
        ("mended since", trusts(&main), denied(None), "the policy of today admits this token", "run the job again"),
    ]
}

fn role(policy: &Value) -> RefusingRole {
    let ids = || [STS, "other"].map(str::to_owned).into();
    RefusingRole {
        arn: ARN.to_owned(),
        policy: Some(policy.clone()).filter(|policy| !policy.is_null()),
        providers: BTreeMap::from([(provider(ISSUER), ids()), (provider(SERVER), ids())]),
    }
}

#[test]
fn each_cause_of_a_refused_job_is_named_with_its_change() {
    let tables = [other_contexts(), other_repositories(), before_the_policy(), by_the_message(), by_the_policy()];
    let jobs: Vec<RefusedJob> = tables.into_iter().flatten().collect();
    assert!(jobs.len() >= 30, "{}", jobs.len());
    for (scenario, policy, event, cause, change) in jobs {
        let event = TokenEvent::read(&event).expect(scenario);
        let found = refusals(&role(&policy), &[event]);
        let [refused] = &found.refused[..] else { panic!("{scenario}: {found:?}") };
        assert!(refused.cause.contains(cause), "{scenario}: {cause}: {refused:#?}");
        assert!(refused.change.contains(change), "{scenario}: {change}: {refused:#?}");
    }
}

#[test]
fn attempts_of_one_job_are_one_line_and_those_of_others_are_counted() {
    let main = with(PLAIN, "ref:refs/heads/main");
    let read = |subject: &str, role, time: &str| {
        let mut event = event(ISSUER, STS, subject, role, DENIED);
        event["eventTime"] = json!(time);
        TokenEvent::read(&event).unwrap()
    };
    let dev = with(PLAIN, "ref:refs/heads/dev");
    let mut events: Vec<TokenEvent> =
        (0..12).map(|minute| read(&dev, None, &format!("2026-11-20T10:{minute:02}:00Z"))).collect();
    events.push(read("repo:others/app:ref:refs/heads/main", None, "2026-11-20T10:00:00Z"));
    events.push(read(&dev, Some("arn:aws:iam::111122223333:role/other"), "2026-11-20T10:00:00Z"));
    let found = refusals(&role(&trusts(&main)), &events);
    let [RefusedToken { times, last, names_role, .. }] = &found.refused[..] else { panic!("{found:?}") };
    assert_eq!((*times, last.as_str(), *names_role), (12, "2026-11-20T10:11:00Z", false));
    assert_eq!(found.of_others, 1);
    insta::assert_snapshot!(found, @r#"
    repo:octo-org/octo-repo:ref:refs/heads/dev
        refused: 12 attempts, last 2026-11-20T10:11:00Z, for sts.amazonaws.com; the events name no role
        cause:  `sub` is repo:octo-org/octo-repo:ref:refs/heads/dev, the policy has repo:octo-org/octo-repo:ref:refs/heads/main
        change: add the branch "dev" to `Branches` in the entry of octo-org/octo-repo; if that has `Refs`, write a second entry of octo-org/octo-repo instead, with "refs/heads/dev" under `Refs`

    1 more attempt is of repositories that the role's trust does not mention.
    "#);
}

#[test]
fn events_of_others_than_github_are_not_read() {
    let cluster = "oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
    let pod = "system:serviceaccount:kube-system:aws-node";
    assert_eq!(TokenEvent::read(&event(cluster, STS, pod, Some(ARN), DENIED)), None);
    let mut other = event(ISSUER, STS, PLAIN, Some(ARN), DENIED);
    other["eventName"] = json!("AssumeRole");
    assert_eq!(TokenEvent::read(&other), None);
    let mut unknown = event(ISSUER, STS, PLAIN, None, DENIED);
    unknown["userIdentity"] = json!({"type": "Unknown"});
    assert!(TokenEvent::read(&unknown).is_some(), "the client is GitHub's");
    unknown["userAgent"] = json!("aws-sdk-go");
    assert_eq!(TokenEvent::read(&unknown), None);
}

#[test]
fn the_suggested_trust_has_the_jobs_that_got_in_and_no_others() {
    let subjects = [
        (with(IDS, "ref:refs/heads/main"), 3),
        (with(IDS, "environment:eu%3Aprod"), 1),
        (with(IDS, "pull_request"), 2),
        ("repo:octo-org/other:ref:refs/tags/v1.2".to_owned(), 1),
        ("repository_owner_id:18724:job_workflow_ref:octo-org/a/.github/workflows/b.yml@refs/heads/main".to_owned(), 1),
    ];
    let mut events: Vec<TokenEvent> = subjects
        .iter()
        .flat_map(|(subject, times)| {
            vec![TokenEvent::read(&event(ISSUER, STS, subject, Some(ARN), None)).unwrap(); *times]
        })
        .collect();
    // Refused, or of another role.
    events.push(TokenEvent::read(&event(ISSUER, STS, &with(IDS, "ref:refs/heads/dev"), Some(ARN), DENIED)).unwrap());
    events.push(TokenEvent::read(&event(ISSUER, STS, &with(IDS, "ref:refs/heads/dev"), Some("other"), None)).unwrap());
    let policy = policy(&[
        allow("StringLike", "repo:octo-org*/octo-repo*:*", &json!({})),
        allow("StringEquals", "repo:octo-org/never:ref:refs/heads/main", &json!({})),
    ]);
    let suggested = suggestion(ARN, &policy, &events);
    assert_eq!(suggested.unused, ["repo:octo-org/never:ref:refs/heads/main"]);
    assert_eq!(suggested.wider, ["repo:octo-org*/octo-repo*:*"]);
    insta::assert_snapshot!(suggested, @r#"
    # 1 use, last 2026-11-20T10:00:00Z: repo:octo-org/other:ref:refs/tags/v1.2
    # 1 use, last 2026-11-20T10:00:00Z: repo:octo-org@18724/octo-repo@117406:environment:eu%3Aprod
    # 2 uses, last 2026-11-20T10:00:00Z: repo:octo-org@18724/octo-repo@117406:pull_request
    # 3 uses, last 2026-11-20T10:00:00Z: repo:octo-org@18724/octo-repo@117406:ref:refs/heads/main
    # 1 use, last 2026-11-20T10:00:00Z: repository_owner_id:18724:job_workflow_ref:octo-org/a/.github/workflows/b.yml@refs/heads/main
    # Lost, and not used: repo:octo-org/never:ref:refs/heads/main
    # Today also let in, and then no longer, except the above: repo:octo-org*/octo-repo*:*
    Trust:
      - Repository: "octo-org/octo-repo"
        OwnerId: "18724"
        RepositoryId: "117406"
        Branches: ["main"]
        Environments: ["eu:prod"]
        PullRequests: true
      - Repository: "octo-org/other"
        Tags: ["v1.2"]
      - Subjects: ["repository_owner_id:18724:job_workflow_ref:octo-org/a/.github/workflows/b.yml@refs/heads/main"]
    "#);
    assert!(suggestion(ARN, &policy, &[]).to_string().contains("No token of GitHub assumed the role"));
}

#[test]
fn events_are_read_from_both_files_that_cloudtrail_gives() {
    let refused = event(ISSUER, STS, &with(PLAIN, "pull_request"), None, DENIED);
    let looked_up =
        json!({"Events": [{"EventName": "AssumeRoleWithWebIdentity", "CloudTrailEvent": refused.to_string()}]});
    let delivered = json!({"Records": [refused, {"eventName": "AssumeRole"}]});
    let found = events_of(&looked_up.to_string()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(events_of(&delivered.to_string()).unwrap(), found);
    for other in ["[]", "{}", "x"] {
        assert!(
            events_of(other).unwrap_err().starts_with("expected the output of `aws cloudtrail lookup-events`"),
            "{other}"
        );
    }
}

#[test]
fn a_period_is_a_number_with_a_unit_of_at_most_ninety_days() {
    for (text, seconds) in [("30m", 1800), ("1h", 3600), ("90d", 7_776_000)] {
        assert_eq!(period(text).unwrap().as_secs(), seconds, "{text}");
    }
    for text in ["", "h", "1", "1w", "91d", "-1h", "99999999999999999999d", "1\u{e9}"] {
        assert!(period(text).unwrap_err().starts_with("expected a number with m, h or d"), "{text:?}");
    }
}

#[test]
fn claims_that_no_token_can_hold_are_refused_before_any_comparison() {
    let question = |size| json!({"Explain": {"RoleName": "deploy", "Claims": {"sub": "x".repeat(size)}}}).to_string();
    assert!(read(&question(19_900)).unwrap().is_ok());
    let refusal = read(&question(1_000_000)).unwrap().unwrap_err();
    assert!(refusal.contains("at most the 20000 characters that STS takes, found 1000010"), "{refusal}");
    assert!(claims_of(&"x".repeat(20_001)).unwrap_err().contains("found 20001"));
}

#[test]
fn the_longest_policy_and_token_take_pattern_times_text_steps() {
    const LONGEST: usize = 8192;
    let patterns: Vec<String> = (0..4).map(|n| format!("repo:*{}b{n}", "a".repeat(1_900))).collect();
    let mut statement = allow("StringLike", "", &json!({}));
    statement["Condition"]["StringLike"][format!("{ISSUER}:sub")] = json!(patterns);
    let policy = policy(&[statement]);
    assert!((7_000..LONGEST).contains(&policy.to_string().len()));
    let claims = json!({"sub": format!("repo:{}", "a".repeat(TOKEN_LIMIT - 100)), "aud": STS});
    let before = STEPS.get();
    let answer = of_policy(&policy, &provider(ISSUER), claims.as_object().unwrap());
    let steps = STEPS.get() - before;
    assert_eq!(answer["Verdict"], "refused");
    // The evaluation compares, and so does the advice, with the letters as they are and with small ones.
    assert!(steps <= 4 * LONGEST * TOKEN_LIMIT, "{steps}");
}
