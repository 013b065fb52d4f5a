//! The report of an audit: JSON for programs, a table for people.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::admitted_repositories::{Source, sources};
use super::clusters::ClusterAccess;
use super::grade::{AuditFinding, Grade};
use super::permission_groups::Group;
use crate::error::plain;

/// The audit of an account.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Report {
    /// The providers of GitHub's issuers, by ARN.
    pub providers: Vec<String>,
    /// The roles that tokens of GitHub may assume, the worst first.
    pub roles: Vec<AuditedRole>,
    /// Roles and the providers of other issuers that they trust.
    pub not_judged: Vec<(String, String)>,
    /// Parts that could not be read, and the reasons.
    pub not_read: Vec<String>,
}

/// A role that tokens of GitHub may assume.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuditedRole {
    /// Its ARN.
    pub arn: String,
    /// The findings, the worst first.
    pub findings: Vec<AuditFinding>,
    /// The owners and repositories that get in, by the names in its trust policy.
    pub sources: BTreeSet<Source>,
    /// The groups of its permissions.
    pub permissions: BTreeSet<Group>,
    /// The ARNs of its managed policies, and the names of its inline ones.
    pub policies: Vec<String>,
    /// The ARN of its permissions boundary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
    /// Its access entries.
    pub clusters: Vec<ClusterAccess>,
    /// The differences from the declaration of its stack, which somebody made by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// The exemptions from guardrails that it or its stack has or had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exemptions: Vec<String>,
    /// Its trust policy.
    pub trust_policy: Value,
}

impl AuditedRole {
    /// A role with its trust policy, and no permissions yet.
    #[must_use]
    pub fn new(arn: String, trust_policy: Value, mut findings: Vec<AuditFinding>) -> Self {
        findings.sort_by_key(|finding| finding.grade);
        Self {
            arn,
            sources: sources(&trust_policy, &findings),
            findings,
            permissions: BTreeSet::new(),
            policies: Vec::new(),
            boundary: None,
            clusters: Vec::new(),
            changed: Vec::new(),
            exemptions: Vec::new(),
            trust_policy,
        }
    }

    /// The worst grade.
    #[must_use]
    pub fn grade(&self) -> Grade {
        self.findings.first().map_or(Grade::NotJudged, |finding| finding.grade)
    }
}

/// A value as it stands in JSON and on the command line.
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { providers, roles, not_judged, not_read } = self;
        writeln!(
            f,
            "{} that tokens of GitHub may assume, {}",
            counted(roles.len(), "role"),
            counted(providers.len(), "provider")
        )?;
        for role in roles {
            let permissions: Vec<String> = role.permissions.iter().map(word).collect();
            writeln!(f)?;
            writeln!(f, "{:<14}{}", word(&role.grade()), plain(&role.arn))?;
            writeln!(
                f,
                "{:<14}may do: {}",
                "",
                if permissions.is_empty() { "nothing".to_owned() } else { permissions.join(", ") }
            )?;
            for access in &role.clusters {
                writeln!(f, "{:<14}on the cluster {}: {}", "", plain(&access.cluster), plain(&access.words()))?;
            }
            for change in &role.changed {
                writeln!(f, "{:<14}changed by hand: {}", "", plain(change))?;
            }
            for exemption in &role.exemptions {
                writeln!(f, "{:<14}exempt from {}", "", plain(exemption))?;
            }
            for finding in &role.findings {
                let depends =
                    if finding.depends { " (the policy also asks for more than the token tells)" } else { "" };
                writeln!(f, "{:<14}{}{depends}", "", plain(&finding.sentence))?;
                if let Some(subject) = finding.proof.get("sub").filter(|_| finding.grade != Grade::Exact) {
                    writeln!(f, "{:<14}such as {}", "", plain(subject))?;
                }
            }
        }
        for (role, provider) in not_judged {
            writeln!(f)?;
            writeln!(
                f,
                "{:<14}{} trusts {}, which is not an issuer of GitHub",
                "not judged",
                plain(role),
                plain(provider)
            )?;
        }
        for reason in not_read {
            writeln!(f)?;
            writeln!(f, "{:<14}{}", "not read", plain(reason))?;
        }
        Ok(())
    }
}

pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
