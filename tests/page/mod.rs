//! The page of the audit: names of others stay text, and the pages that `test_page.py` opens in a browser.
//!
//! `PAGES` in the environment is the folder that they are written to.

use std::path::Path;

use github_trust::audit::clusters::{AccessPolicy, ClusterAccess};
use github_trust::audit::grade::{Grade, Provider, Work, grade};
use github_trust::audit::page::page;
use github_trust::audit::permission_groups::Group;
use github_trust::audit::report::{AuditedRole, Report};
use github_trust::github::Issuer;
use serde_json::json;

const G: &str = "token.actions.githubusercontent.com";
const HOSTILE: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)>",
    "\u{202e}txet desrever\u{2066}",
    "'&lt;javascript:alert(3)",
];

fn provider() -> Provider {
    let arn = format!("arn:aws:iam::123456789012:oidc-provider/{G}");
    Provider { arn, client_ids: ["sts.amazonaws.com".to_owned()].into() }
}

fn role(name: &str, operator: &str, subjects: &[&str], groups: &[Group]) -> AuditedRole {
    let Provider { arn, client_ids: _ } = provider();
    let mut condition = json!({"StringEquals": {format!("{G}:aud"): "sts.amazonaws.com"}});
    condition[operator][format!("{G}:sub")] = json!(subjects);
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": arn}, "Condition": condition,
    }]});
    let issuer = Issuer::parse_without_scheme(G).unwrap();
    let findings = grade(&trust, &arn, &issuer, Some(&provider()), &Work::default());
    let mut role = AuditedRole::new(format!("arn:aws:iam::123456789012:role/github/{name}"), trust, findings);
    role.permissions = groups.iter().copied().collect();
    role.policies = vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned(), "deploy".to_owned()];
    role
}

fn cluster(name: &str) -> ClusterAccess {
    let arn = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy".to_owned();
    let policies = vec![AccessPolicy { arn, namespaces: vec!["web".to_owned()] }];
    ClusterAccess { cluster: name.to_owned(), groups: vec!["developers".to_owned()], policies }
}

fn report(mut roles: Vec<AuditedRole>) -> Report {
    roles.sort_by(|a, b| a.grade().cmp(&b.grade()).then(a.arn.cmp(&b.arn)));
    let other = "arn:aws:iam::123456789012:oidc-provider/gitlab.com".to_owned();
    let not_judged = vec![("arn:aws:iam::123456789012:role/gitlab".to_owned(), other)];
    Report { providers: vec![provider().arn], roles, not_judged, not_read: vec!["Access entries: denied".to_owned()] }
}

fn five() -> Report {
    let mut exact = role(
        "production",
        "StringEquals",
        &["repo:octo-org@1/octo-repo@2:environment:production"],
        &[Group::Data, Group::Deploy],
    );
    exact.clusters = vec![cluster("prod")];
    exact.boundary = Some("arn:aws:iam::123456789012:policy/boundary".to_owned());
    report(vec![
        exact,
        role("any-repository", "StringLike", &["repo:*"], &[Group::Administrator]),
        role("whole-organisation", "StringLike", &["repo:octo-org/*"], &[Group::Data]),
        role("pull-requests", "StringEquals", &["repo:octo-org@1/docs@3:pull_request"], &[Group::Other]),
        role("literal-star", "StringEquals", &["repo:octo-org/octo-repo:*"], &[]),
    ])
}

fn thousand() -> Report {
    let roles = (0..1000).map(|number| {
        let (owner, repository) = (number % 40, number / 3);
        let (operator, subject) = match number % 5 {
            0 => ("StringLike", format!("repo:owner-{owner}/*")),
            1 => ("StringEquals", format!("repo:owner-{owner}/repository-{repository}:ref:refs/heads/main")),
            2 => ("StringLike", format!("repo:owner-{owner}@{owner}/repository-{repository}@{number}:*")),
            3 => ("StringEquals", format!("repo:owner-{owner}@7/repository-{repository}@8:environment:production")),
            _ => ("StringLike", format!("repo:owner-{owner}*")),
        };
        let groups: &[&[Group]] = &[&[Group::Administrator], &[Group::Data, Group::Deploy], &[Group::Iam], &[]];
        let mut role = role(&format!("role-{number:04}"), operator, &[subject.as_str()], groups[number % 4]);
        if number % 10 == 3 {
            role.clusters = vec![cluster(&format!("cluster-{}", number % 7))];
        }
        role
    });
    report(roles.collect())
}

fn hostile() -> Report {
    let long = "x".repeat(256);
    let names = HOSTILE.iter().copied().chain([long.as_str(), "שלום-עולם"]);
    let roles = names.map(|name| {
        let subject = format!("repo:{name}/{name}:*");
        let mut role = role(name, "StringLike", &[subject.as_str(), name], &[Group::Data]);
        role.policies = vec![name.to_owned()];
        role.boundary = Some(name.to_owned());
        role.clusters = vec![cluster(name)];
        role
    });
    let mut report = report(roles.collect());
    report.not_judged = HOSTILE.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
    report.not_read = HOSTILE.iter().map(|name| (*name).to_owned()).collect();
    report
}

#[test]
fn names_of_others_stay_text_and_pages_ask_for_nothing() {
    let pages = [("five", five()), ("thousand", thousand()), ("hostile", hostile())];
    for (name, report) in pages {
        let html = page(&report, "2026-11-27");
        if let Ok(folder) = std::env::var("PAGES") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(Path::new(&folder).join(format!("{name}.html")), &html).unwrap();
        }
        assert_eq!(html.matches("<script>").count(), 1, "{name}");
        for forbidden in ["<img", "<link", "url(", "@import"] {
            assert!(!html.contains(forbidden), "{name} has {forbidden}");
        }
        let turns =
            |c: char| c != '\n' && c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!html.contains(turns), "{name} has a character that turns text");
        assert_eq!(html.matches("<article").count(), report.roles.len(), "{name}");
    }
}

#[test]
fn roles_stand_in_the_page_as_the_worst_first() {
    let report = five();
    let grades: Vec<Grade> = report.roles.iter().map(AuditedRole::grade).collect();
    assert_eq!(grades, [Grade::Open, Grade::Organisation, Grade::PullRequest, Grade::Dead, Grade::Exact]);
    let html = page(&report, "2026-11-27");
    for expected in [
        "Anybody at GitHub",
        "octo-org/*",
        "octo-org/docs",
        "Cluster prod",
        "AmazonEKSEditPolicy in web; group developers",
        "Lets in a token of token.actions.githubusercontent.com if all of this is true:",
        "the subject is like &quot;repo:*&quot;",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
}
