//! Findings of Security Hub, in its AWS Security Finding Format: one for each role, by its worst grade. A role that is mended
//! keeps its finding's id, which then says so.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format-syntax.html>

use serde_json::{Value, json};

use super::grade::Grade;
use super::report::{AuditedRole, Report, word};
use crate::arn::Arn;
use crate::error::plain;

/// The most findings of one line: a line is the value of one argument, which has at most 128 KiB.
const BATCH: usize = 25;

/// Returns the findings for `aws securityhub batch-import-findings --findings`, a call each. `now` is a time in ISO 8601.
#[must_use]
pub fn batches(report: &Report, region: &str, now: &str) -> Vec<Value> {
    let findings: Vec<Value> = report.roles.iter().filter_map(|role| finding(role, region, now)).collect();
    findings.chunks(BATCH).map(|batch| json!(batch)).collect()
}

fn finding(role: &AuditedRole, region: &str, now: &str) -> Option<Value> {
    let Arn { partition, account, .. } = Arn::parse(&role.arn)?;
    let grade = role.grade();
    let sentences: Vec<&str> = role.findings.iter().map(|finding| finding.sentence.as_str()).collect();
    let proof = role.findings.first().and_then(|finding| finding.proof.get("sub"));
    let proof = proof.map(|subject| format!(" Such as {subject}.")).unwrap_or_default();
    let permissions: Vec<String> = role.permissions.iter().map(word).collect();
    let changed: Vec<String> = role.changed.iter().map(|change| format!(" Changed by hand: {change}.")).collect();
    let description =
        format!("{}{proof} The role may do: {}.{}", sentences.join(" "), permissions.join(", "), changed.concat());
    Some(json!({
        "SchemaVersion": "2018-10-08",
        "Id": format!("github-trust/{}", role.arn),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "GeneratorId": "github-trust/audit",
        "AwsAccountId": account,
        "Types": ["Software and Configuration Checks/AWS Security Best Practices/Github Actions Trust"],
        "CreatedAt": now,
        "UpdatedAt": now,
        "Severity": {"Label": severity(role)},
        "Title": cut(&format!("{}: which jobs of GitHub assume {}", word(&grade), role.arn), 256),
        "Description": cut(&plain(&description), 1024),
        "Remediation": {"Recommendation": {"Text": "Declare the role as a Custom::GitHubRole with the repositories and jobs that you mean."}},
        "Resources": [{"Type": "AwsIamRole", "Id": role.arn, "Partition": partition, "Region": region}],
        "Compliance": {"Status": compliance(grade)},
        "RecordState": "ACTIVE",
    }))
}

fn compliance(grade: Grade) -> &'static str {
    match grade {
        Grade::Exact => "PASSED",
        Grade::Dead | Grade::NotJudged => "WARNING",
        _ => "FAILED",
    }
}

/// The severity by who gets in and what the role may do then.
fn severity(role: &AuditedRole) -> &'static str {
    use super::permission_groups::Group::{Administrator, Iam};
    let is_powerful = role.permissions.contains(&Administrator) || role.permissions.contains(&Iam);
    match (role.grade(), is_powerful) {
        (Grade::Open, _) => "CRITICAL",
        (Grade::Dead | Grade::NotJudged, _) => "LOW",
        (Grade::Exact, _) => "INFORMATIONAL",
        (_, true) => "HIGH",
        (_, false) => "MEDIUM",
    }
}

/// The beginning of a text, in at most so many characters.
fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}
