//! The section of one role.

use serde_json::Value;

use super::html_writer::Html;
use super::map_links::{group_words, source_words};
use crate::audit::grade::Grade;
use crate::audit::report::{AuditedRole, word};
use crate::audit::trust_sentences::explained;

/// The name of a role, from its ARN.
pub(super) fn name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

pub(super) fn article(html: &mut Html, number: usize, role: &AuditedRole) {
    let (number, grade) = (number.to_string(), word(&role.grade()));
    html.raw("<article id=\"role-").text(&number).raw("\" aria-labelledby=\"name-").text(&number);
    html.raw("\" tabindex=\"-1\"><h3 id=\"name-").text(&number).raw("\"><span class=\"grade ").text(&grade).raw("\">");
    html.text(&grade).raw("</span> <bdi>").text(name(&role.arn)).raw("</bdi></h3><p class=\"arn\">").text(&role.arn);
    html.raw("</p>");
    findings(html, role);
    list(html, "Changed by hand", &role.changed);
    list(html, "Exempt from guardrails", &role.exemptions);
    trust(html, role);
    rights(html, role);
    html.raw("<p class=\"back\"><a href=\"#map\">Back to the map</a></p></article>");
}

fn findings(html: &mut Html, role: &AuditedRole) {
    html.raw("<h4>Findings</h4><ul>");
    for finding in &role.findings {
        let grade = word(&finding.grade);
        html.raw("<li><span class=\"grade ")
            .text(&grade)
            .raw("\">")
            .text(&grade)
            .raw("</span> ")
            .text(&finding.sentence);
        if finding.depends {
            html.raw(" The policy also asks for more than the token tells.");
        }
        if let Some(subject) = finding.proof.get("sub") {
            html.raw("<br>Such as <code>").text(subject).raw("</code>");
        }
        if let Some(instead) = instead(finding.grade) {
            html.raw("<br>Instead: ").raw(instead);
        }
        html.raw("</li>");
    }
    html.raw("</ul>");
}

fn list(html: &mut Html, title: &'static str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    html.raw("<h4>").raw(title).raw("</h4><ul>");
    for item in items {
        html.raw("<li>").text(item).raw("</li>");
    }
    html.raw("</ul>");
}

/// The change that ends a finding.
const fn instead(grade: Grade) -> Option<&'static str> {
    match grade {
        Grade::Open => Some(
            "a <code>Custom::GitHubRole</code> with <code>Repository</code> and <code>Branches</code> or <code>Environments</code>.",
        ),
        Grade::Organisation => Some("the repositories by name."),
        Grade::WildcardId | Grade::NamesOnly => {
            Some("a <code>Custom::GitHubRole</code>, which asks GitHub for the ids.")
        }
        Grade::Repository => Some("the branches or environments that deploy."),
        Grade::PullRequest => Some("an environment with reviewers."),
        Grade::Dead => Some("a role that works, or none."),
        Grade::Exact | Grade::NotJudged => None,
    }
}

fn trust(html: &mut Html, role: &AuditedRole) {
    html.raw("<h4>Who may get in</h4><ul>");
    for source in &role.sources {
        html.raw("<li><bdi>").text(&source_words(source)).raw("</bdi></li>");
    }
    if role.sources.is_empty() {
        html.raw("<li>Nobody by name</li>");
    }
    html.raw("</ul><h4>The trust policy in sentences</h4>");
    for statement in explained(&role.trust_policy) {
        html.raw("<p>").text(&statement.effect).raw("</p><ul>");
        for condition in &statement.conditions {
            html.raw("<li>").text(condition).raw("</li>");
        }
        html.raw("</ul>");
    }
    html.raw("<details><summary>The trust policy as IAM has it</summary><pre>").lines(&pretty(&role.trust_policy));
    html.raw("</pre></details>");
}

fn pretty(policy: &Value) -> String {
    serde_json::to_string_pretty(policy).unwrap_or_default()
}

fn rights(html: &mut Html, role: &AuditedRole) {
    html.raw("<h4>What it may do</h4><ul>");
    for group in &role.permissions {
        html.raw("<li>").raw(group_words(*group)).raw("</li>");
    }
    if role.permissions.is_empty() {
        html.raw("<li>Nothing</li>");
    }
    for policy in &role.policies {
        html.raw("<li>Policy <code>").text(policy).raw("</code></li>");
    }
    if let Some(boundary) = &role.boundary {
        html.raw("<li>Within the boundary <code>").text(boundary).raw("</code></li>");
    }
    html.raw("</ul>");
    if !role.clusters.is_empty() {
        html.raw("<h4>Clusters</h4><ul>");
        for access in &role.clusters {
            html.raw("<li><bdi>").text(&access.cluster).raw("</bdi>: ").text(&access.words()).raw("</li>");
        }
        html.raw("</ul>");
    }
}
