//! Facts from GitHub about the subjects of a repository, and their inference where GitHub gives no answer.
//!
//! Where only the ids are known, a repository may send either form, and both are written out.
//! No wildcard ever stands in for an id: a pattern that catches both forms of one repository also catches repositories
//! of strangers.
//!
//! Source: <https://docs.github.com/en/actions/reference/security/oidc#immutable-subject-claims>.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use super::name::{Repository, RepositoryScope};
use super::subject;
use super::{Issuer, IssuerKind};

/// "All repositories created, renamed or transferred after July 15, 2026": those created on that very day may have
/// either form.
const IMMUTABLE_SINCE: &str = "2026-07-16";

/// The format of the subjects of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectFormat {
    /// `repo:OWNER/NAME`.
    Classic,
    /// `repo:OWNER@ID/NAME@ID`.
    Immutable,
}

impl SubjectFormat {
    /// The format of the value behind `repo:`.
    #[must_use]
    pub fn of(value: &str) -> Self {
        if value.contains('@') { Self::Immutable } else { Self::Classic }
    }
}

impl fmt::Display for SubjectFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Immutable => "immutable",
        })
    }
}

/// The choice between the formats of a repository.
/// <https://docs.github.com/en/rest/actions/oidc>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormatChoice {
    /// Somebody has opted in or out.
    Made(SubjectFormat),
    /// Nobody has; that of the organisation holds.
    Unset,
}

impl fmt::Display for FormatChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(format) => format.fmt(f),
            Self::Unset => f.write_str("unset"),
        }
    }
}

/// The template of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubjectTemplate {
    /// `repo` and `context`.
    #[default]
    Default,
    /// The claims in this order.
    Custom(Vec<String>),
}

const DEFAULT: [&str; 2] = ["repo", "context"];

impl SubjectTemplate {
    /// The claims in their order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        match self {
            Self::Default => DEFAULT.map(str::to_owned).into(),
            Self::Custom(keys) => keys.clone(),
        }
    }
}

/// The facts that the subjects of a repository depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectFacts {
    /// The owner's id.
    pub owner_id: Option<u64>,
    /// The repository's id.
    pub repository_id: Option<u64>,
    /// That id is remembered: GitHub does not show the repository, and its name may be another owner's by now.
    pub is_remembered: bool,
    /// The forms that its subjects may have; more than one where it is not known.
    pub forms: BTreeSet<SubjectFormat>,
    /// The subjects as GitHub tells them, whatever is declared.
    pub told: ToldSubjects,
    /// The template of its subjects.
    pub template: SubjectTemplate,
    /// The ids of users by their names, for entries that name some.
    pub users: BTreeMap<String, u64>,
    /// The repositories and owners that whole subjects name.
    pub named: BTreeMap<RepositoryScope, NamedScope>,
    /// The owners that whole subjects name and that nobody is, as GitHub says.
    pub free: BTreeSet<String>,
    /// The repositories and owners that GitHub does not show.
    pub not_shown: BTreeSet<RepositoryScope>,
    /// The repositories of workflows that jobs may not call by these names, each with the reason.
    pub workflows: BTreeMap<Repository, String>,
}

/// The subjects of a repository, as far as GitHub tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToldSubjects {
    /// Their form.
    pub form: Option<SubjectFormat>,
    /// The claims that they are made of, which GitHub tells with a credential only.
    pub keys: Option<Vec<String>>,
    /// `public`, `private` or `internal`, for templates that ask for it.
    pub visibility: Option<String>,
    /// The template of the organisation, where these are all its repositories: each can take it over.
    pub organisation_keys: Option<Vec<String>>,
}

/// A repository or an owner that a whole subject names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedScope {
    /// Its id.
    pub id: u64,
    /// The id of its owner, as far as GitHub told it.
    pub owner_id: Option<u64>,
    /// Its subjects.
    pub told: ToldSubjects,
}

/// `GET /repos/{owner}/{repo}`, as far as it is read.
#[derive(Clone, Debug, Deserialize)]
pub struct RepositoryResponse {
    /// The repository's id.
    pub id: u64,
    /// `owner/name` as GitHub writes it.
    pub full_name: String,
    /// The owner.
    pub owner: Account,
    /// The time of its creation.
    pub created_at: Option<String>,
    /// `public`, `private` or `internal`.
    pub visibility: Option<String>,
}

/// `GET /users/{username}` and `GET /user/{account_id}`, as far as they are read.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// Never changes.
    pub id: u64,
    /// Can be changed, and then taken by somebody else.
    pub login: String,
    /// `User`, `Organization` or `Bot`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

impl Account {
    /// Returns true for an organisation, which triggers no job.
    #[must_use]
    pub fn is_organisation(&self) -> bool {
        self.kind.as_deref() == Some("Organization")
    }
}

/// `GET /repos/{owner}/{repo}/actions/oidc/customization/sub`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Customization {
    /// `false`: the keys count, or those of the organisation. Otherwise the default template does.
    pub use_default: Option<bool>,
    /// The template.
    pub include_claim_keys: Option<Vec<String>>,
    /// `false` only means that nobody opted in by hand: it is seen together with an immutable prefix.
    pub use_immutable_subject: Option<bool>,
    /// The beginning of the subjects as they are sent.
    pub sub_claim_prefix: Option<String>,
}

/// The visibility becomes a part of a subject, in which anything else could be a wildcard.
const VISIBILITIES: [&str; 3] = ["public", "private", "internal"];

impl Customization {
    /// Returns true if the default template is switched off. Where GitHub says nothing, nobody has done so.
    #[must_use]
    pub fn has_own_template(&self) -> bool {
        self.use_default == Some(false)
    }

    /// The choice that somebody has made, if anybody.
    #[must_use]
    pub fn choice(&self) -> FormatChoice {
        self.use_immutable_subject.map_or(FormatChoice::Unset, |_| FormatChoice::Made(self.chosen_format()))
    }

    /// The format that somebody has opted for.
    #[must_use]
    pub fn chosen_format(&self) -> SubjectFormat {
        if self.use_immutable_subject == Some(true) { SubjectFormat::Immutable } else { SubjectFormat::Classic }
    }

    /// The format of the prefix, where GitHub shows one.
    #[must_use]
    pub fn prefix_format(&self) -> Option<SubjectFormat> {
        let prefix = self.sub_claim_prefix.as_deref()?.trim_start_matches("repo:").trim_end_matches(':');
        let is_immutable = subject::prefix(prefix)?.ids.is_some();
        Some(if is_immutable { SubjectFormat::Immutable } else { SubjectFormat::Classic })
    }

    /// The format of the prefix, or of the switch where that is on.
    fn known_format(&self) -> Option<SubjectFormat> {
        let opted_in = || Some(self.chosen_format()).filter(|chosen| *chosen == SubjectFormat::Immutable);
        self.prefix_format().or_else(opted_in)
    }
}

impl SubjectFacts {
    /// Returns true if the template has a claim.
    #[must_use]
    pub fn says(&self, claim: &str) -> bool {
        matches!(&self.template, SubjectTemplate::Custom(keys) if keys.iter().any(|key| key == claim))
    }

    /// Infers the facts from GitHub's responses. `customization` is `None` if the credential does not allow to read it.
    #[must_use]
    pub fn of(issuer: &Issuer, response: &RepositoryResponse, customization: Option<&Customization>) -> Self {
        let forms: BTreeSet<SubjectFormat> = if issuer.has_immutable_subjects() {
            match customization.and_then(Customization::known_format).or_else(|| inferred(issuer, response)) {
                Some(form) => [form].into(),
                None => [SubjectFormat::Classic, SubjectFormat::Immutable].into(),
            }
        } else {
            [SubjectFormat::Classic].into()
        };
        let keys = customization.filter(|template| template.has_own_template()).and_then(|template| {
            template.include_claim_keys.clone().filter(|keys| !keys.is_empty() && keys.as_slice() != DEFAULT)
        });
        let told = ToldSubjects {
            form: forms.first().copied().filter(|_| forms.len() == 1),
            keys: customization.map(|_| keys.clone().unwrap_or_else(|| DEFAULT.map(str::to_owned).into())),
            visibility: response.visibility.clone().filter(|told| VISIBILITIES.contains(&told.as_str())),
            organisation_keys: None,
        };
        Self {
            owner_id: Some(response.owner.id),
            repository_id: Some(response.id),
            is_remembered: false,
            told,
            forms,
            template: keys.map_or(SubjectTemplate::Default, SubjectTemplate::Custom),
            users: BTreeMap::new(),
            named: BTreeMap::new(),
            free: BTreeSet::new(),
            not_shown: BTreeSet::new(),
            workflows: BTreeMap::new(),
        }
    }
}

/// A new repository has the immutable form. An old one may have been renamed, transferred or opted in since. The date is
/// github.com's; of GHE.com none is known.
fn inferred(issuer: &Issuer, response: &RepositoryResponse) -> Option<SubjectFormat> {
    if !matches!(issuer.kind(), IssuerKind::GitHub | IssuerKind::Enterprise) {
        return None;
    }
    let created = response.created_at.as_deref()?;
    (created.get(..10)? >= IMMUTABLE_SINCE).then_some(SubjectFormat::Immutable)
}

/// Returns the beginning of the subjects of a repository in one format.
#[must_use]
pub fn prefix(
    repository: &Repository,
    form: SubjectFormat,
    owner_id: Option<u64>,
    repository_id: Option<u64>,
) -> Option<String> {
    match form {
        SubjectFormat::Classic => Some(format!("repo:{repository}")),
        SubjectFormat::Immutable => {
            Some(format!("repo:{}@{}/{}@{}", repository.owner(), owner_id?, repository.name(), repository_id?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(created: &str, customization: Option<&str>) -> SubjectFacts {
        let response = format!(
            r#"{{"id": 2, "full_name": "o/r", "owner": {{"id": 1, "login": "o"}}, "created_at": "{created}T00:00:00Z"}}"#
        );
        let customization = customization.map(|text| serde_json::from_str(text).unwrap());
        let issuer = Issuer::parse_without_scheme("token.actions.githubusercontent.com").unwrap();
        SubjectFacts::of(&issuer, &serde_json::from_str(&response).unwrap(), customization.as_ref())
    }

    #[test]
    fn the_prefix_is_trusted_and_the_switch_only_where_it_is_on() {
        const OLD: &str = "2020-01-01";
        let both = BTreeSet::from([SubjectFormat::Classic, SubjectFormat::Immutable]);
        for (created, customization, forms) in [
            (OLD, None, both.clone()),
            ("2026-07-15", None, both.clone()),
            ("2026-07-16", None, [SubjectFormat::Immutable].into()),
            (OLD, Some(r#"{"use_default": true, "sub_claim_prefix": "repo:o/r"}"#), [SubjectFormat::Classic].into()),
            (
                OLD,
                Some(r#"{"use_default": true, "use_immutable_subject": false, "sub_claim_prefix": "repo:o@1/r@2"}"#),
                [SubjectFormat::Immutable].into(),
            ),
            (OLD, Some(r#"{"use_default": true, "use_immutable_subject": false}"#), both),
            (OLD, Some(r#"{"use_default": true, "use_immutable_subject": true}"#), [SubjectFormat::Immutable].into()),
            ("2026-09-01", Some(r#"{"use_default": true}"#), [SubjectFormat::Immutable].into()),
        ] {
            assert_eq!(facts(created, customization).forms, forms, "{created} {customization:?}");
        }
    }

    #[test]
    fn a_template_counts_only_where_the_default_is_switched_off() {
        for (customization, template) in [
            (r#"{"use_default": true, "include_claim_keys": ["repo"]}"#, SubjectTemplate::Default),
            (r#"{"use_default": false, "include_claim_keys": ["repo", "context"]}"#, SubjectTemplate::Default),
            (r#"{"use_default": false}"#, SubjectTemplate::Default),
            (r#"{"include_claim_keys": ["repo", "job_workflow_ref"]}"#, SubjectTemplate::Default),
            (r#"{"use_default": null, "include_claim_keys": ["job_workflow_ref"]}"#, SubjectTemplate::Default),
            (
                r#"{"use_default": false, "include_claim_keys": ["repo", "job_workflow_ref"]}"#,
                SubjectTemplate::Custom(vec!["repo".into(), "job_workflow_ref".into()]),
            ),
        ] {
            assert_eq!(facts("2020-01-01", Some(customization)).template, template, "{customization}");
        }
    }

    #[test]
    fn a_visibility_is_one_of_three_and_no_pattern() {
        let issuer = Issuer::parse_without_scheme("ghes.example.com/_services/token").unwrap();
        for (told, known) in
            [("public", true), ("private", true), ("internal", true), ("*", false), ("p*", false), ("", false)]
        {
            let described = format!(
                r#"{{"id": 2, "full_name": "o/r", "owner": {{"id": 1, "login": "o"}}, "visibility": "{told}"}}"#
            );
            let facts = SubjectFacts::of(&issuer, &serde_json::from_str(&described).unwrap(), None);
            assert_eq!(facts.told.visibility.as_deref(), known.then_some(told));
        }
    }

    #[test]
    fn the_date_is_github_com_s() {
        let response =
            r#"{"id": 2, "full_name": "o/r", "owner": {"id": 1, "login": "o"}, "created_at": "2026-09-01T00:00:00Z"}"#;
        let issuer = Issuer::parse_without_scheme("token.actions.octo.ghe.com").unwrap();
        assert_eq!(SubjectFacts::of(&issuer, &serde_json::from_str(response).unwrap(), None).forms.len(), 2);
    }

    #[test]
    fn a_server_has_no_ids_in_its_subjects() {
        let response =
            r#"{"id": 2, "full_name": "o/r", "owner": {"id": 1, "login": "o"}, "created_at": "2026-09-01T00:00:00Z"}"#;
        let issuer = Issuer::parse_without_scheme("ghes.example.com/_services/token").unwrap();
        let facts = SubjectFacts::of(&issuer, &serde_json::from_str(response).unwrap(), None);
        assert_eq!(facts.forms, [SubjectFormat::Classic].into());
    }
}
