//! Physical ids of objects at GitHub. GitHub has no tags, so that an id carries the fact about its Create that later
//! requests need: `github.com/repos/octo-org/octo-repo/variables/AWS_ROLE_ARN@2026-11-21T09:00:00Z`.

use std::fmt;

use super::creation_window::CreationWindow;
use super::name::Repository;
use super::{ApiCall, Issuer};
use crate::aws::{CallError, ErrorKind};
use crate::error::Error;

/// The name of an object within one GitHub. `Display` gives the object in a sentence.
pub trait ObjectName: Clone + fmt::Debug + fmt::Display {
    /// The fact that ids carry.
    type Mark: Mark;

    /// Parses a path.
    fn parse(path: &str) -> Option<Self>;
    /// The path in an id: `repos/octo-org/octo-repo/variables/AWS_ROLE_ARN`.
    fn path(&self) -> String;
    /// The repository that the object is in.
    fn repository(&self) -> Option<&Repository>;
}

/// The end of an id, behind its `@`.
pub trait Mark: Clone + fmt::Debug + fmt::Display {
    /// Parses a mark.
    fn parse(text: &str) -> Option<Self>;
}

impl Mark for CreationWindow {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

/// The id of an object at GitHub.
#[derive(Clone, Debug)]
pub struct GitHubObjectId<N: ObjectName> {
    /// The GitHub that has the object.
    pub issuer: Issuer,
    /// The name of the object there.
    pub name: N,
    /// Absent where only the properties tell of the object.
    pub mark: Option<N::Mark>,
}

impl<N: ObjectName> GitHubObjectId<N> {
    /// The id without a mark.
    pub fn new(issuer: &Issuer, name: N) -> Self {
        Self { issuer: issuer.clone(), name, mark: None }
    }

    /// Parses a physical id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let marked = text.rsplit_once('@').and_then(|(rest, mark)| Some((rest, N::Mark::parse(mark)?)));
        let (unmarked, mark) = marked.map_or((text, None), |(rest, mark)| (rest, Some(mark)));
        let (host, path) = unmarked.split_once('/')?;
        Some(Self { issuer: Issuer::of_host(host).ok()?, name: N::parse(path)?, mark })
    }

    /// A call on the object. `path` stands behind the root of the API.
    pub fn call<'a>(&'a self, action: &'static str, method: &'static str, path: String) -> ApiCall<'a> {
        ApiCall { action, method, path, resource: &self.name, repository: self.name.repository(), body: None }
    }

    fn unmarked(&self) -> String {
        format!("{}/{}", self.issuer.web_host(), self.name.path())
    }
}

impl<N: ObjectName<Mark = CreationWindow>> GitHubObjectId<N> {
    /// Completes the id of a request. An Update keeps the window of the Create as long as the object of the Create exists.
    /// `created` reads the time since which the object exists.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub async fn resolve(
        self,
        requested: CreationWindow,
        old: Option<&Self>,
        created: impl AsyncFnOnce(&Self) -> Result<Option<i64>, CallError>,
    ) -> Result<Self, Error> {
        let id = Self { mark: Some(requested), ..self };
        let known = old.filter(|old| **old == id);
        let created = match created(known.unwrap_or(&id)).await {
            Ok(created) => created,
            // A function that may not even read has created nothing.
            Err(error) if known.is_none() && !matches!(error.kind, ErrorKind::Denied | ErrorKind::Invalid) => {
                tracing::info!(%error, "the object cannot be read yet");
                None
            }
            Err(error) => return Err(error.into()),
        };
        let mark = requested.for_update(known.and_then(|known| known.mark), created);
        Ok(Self { mark: Some(mark), ..known.cloned().unwrap_or(id) })
    }
}

/// Ids are equal if they name the same object: GitHub takes names in any case, and a mark names nothing.
impl<N: ObjectName> PartialEq for GitHubObjectId<N> {
    fn eq(&self, other: &Self) -> bool {
        self.unmarked().to_lowercase() == other.unmarked().to_lowercase()
    }
}

impl<N: ObjectName> fmt::Display for GitHubObjectId<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unmarked())?;
        self.mark.as_ref().map_or(Ok(()), |mark| write!(f, "@{mark}"))
    }
}
