//! Physical ids of objects at GitHub: `github.com/repos/octo-org/octo-repo/variables/AWS_ROLE_ARN`.

use std::fmt;

use super::name::Repository;
use super::{ApiCall, Issuer};

/// The name of an object within one GitHub. `Display` gives the object in a sentence.
pub trait ObjectName: Clone + fmt::Debug + fmt::Display {
    /// Parses a path.
    fn parse(path: &str) -> Option<Self>;
    /// The path in an id: `repos/octo-org/octo-repo/variables/AWS_ROLE_ARN`.
    fn path(&self) -> String;
    /// The repository that the object is in.
    fn repository(&self) -> Option<&Repository>;
}

/// The id of an object at GitHub.
#[derive(Clone, Debug)]
pub struct GitHubObjectId<N: ObjectName> {
    /// The GitHub that has the object.
    pub issuer: Issuer,
    /// The name of the object there.
    pub name: N,
}

impl<N: ObjectName> GitHubObjectId<N> {
    /// The id of a name.
    pub fn new(issuer: &Issuer, name: N) -> Self {
        Self { issuer: issuer.clone(), name }
    }

    /// Parses a physical id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, path) = text.split_once('/')?;
        Some(Self { issuer: Issuer::of_host(host).ok()?, name: N::parse(path)? })
    }

    /// A call on the object. `path` stands behind the root of the API.
    pub fn call<'a>(&'a self, action: &'static str, method: &'static str, path: String) -> ApiCall<'a> {
        ApiCall { action, method, path, resource: &self.name, repository: self.name.repository(), body: None }
    }
}

/// Ids are equal if they name the same object: GitHub takes names in any case.
impl<N: ObjectName> PartialEq for GitHubObjectId<N> {
    fn eq(&self, other: &Self) -> bool {
        self.to_string().to_lowercase() == other.to_string().to_lowercase()
    }
}

impl<N: ObjectName> fmt::Display for GitHubObjectId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.issuer.web_host(), self.name.path())
    }
}
