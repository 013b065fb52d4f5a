//! GitHub's REST API, as little of it as is needed: what a repository is called, which ids it has, and what its subjects
//! are made of. None is followed elsewhere with a credential.

use std::rc::Rc;

use futures_util::future::{OptionFuture, join};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::Issuer;
use super::client::{Client, LookupError};
use super::credential::{self, AccessToken, Credential, GitHubApp};
use super::http::{GitHubRequest, GitHubResponse, NoResponse, refused};
use super::name::Repository;
use super::protection::{Environment, Protection, RuleProtection};
use super::subject_facts::{Account, Customization, RepositoryResponse};

impl From<NoResponse> for LookupError {
    fn from(silence: NoResponse) -> Self {
        Self::Unreachable(silence.what)
    }
}

impl Client {
    /// Returns a repository, and the template of its subjects where that may be asked.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn repository(
        &self,
        issuer: &Issuer,
        repository: &Repository,
    ) -> Result<(RepositoryResponse, Option<Customization>), LookupError> {
        let question = (issuer.clone(), repository.clone());
        let known = self.asked.repositories.borrow().get(&question).cloned();
        if let Some(known) = known {
            return known;
        }
        let answer = self.ask_about(issuer, repository).await;
        self.asked.repositories.borrow_mut().insert(question, answer.clone());
        answer
    }

    async fn ask_about(
        &self,
        issuer: &Issuer,
        repository: &Repository,
    ) -> Result<(RepositoryResponse, Option<Customization>), LookupError> {
        let token = self.token(issuer).await?;
        let path = format!("/repos/{repository}");
        let template = format!("{path}/actions/oidc/customization/sub");
        // "You must authenticate": without a credential there is nothing to ask.
        let template = OptionFuture::from(token.as_ref().map(|token| self.get(issuer, &template, Some(token))));
        let (answer, template) = join(self.get(issuer, &path, token.as_ref()), template).await;
        let answer = answer?;
        let described: RepositoryResponse = match answer.status {
            200 => parse(&answer)?,
            status if is_redirect(status) => return Err(self.renamed(issuer, &answer, token.as_ref()).await),
            404 | 451 => return Err(LookupError::Invisible(invisible(token.is_some()).to_owned())),
            status => return Err(LookupError::Unreachable(refused(status))),
        };
        let Some(answer) = template.transpose()? else { return Ok((described, None)) };
        if answer.status != 200 {
            tracing::warn!(%repository, status = answer.status, "the subject's template may not be read with this credential");
            return Ok((described, None));
        }
        let mut customization: Customization = parse(&answer)?;
        // "An organisation's template takes effect only in repositories with `use_default: false`."
        if customization.has_own_template() && customization.include_claim_keys.as_ref().is_none_or(Vec::is_empty) {
            let path = format!("/orgs/{}/actions/oidc/customization/sub", repository.owner());
            let answer = self.get(issuer, &path, token.as_ref()).await?;
            match answer.status {
                200 => customization.include_claim_keys = parse::<Customization>(&answer)?.include_claim_keys,
                404 => {}
                status => {
                    return Err(LookupError::Unreachable(format!(
                        "the template of the organisation {} may not be read with this credential (status {status})",
                        repository.owner()
                    )));
                }
            }
        }
        Ok((described, Some(customization)))
    }

    /// The account of a user or an organisation.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub async fn account(&self, issuer: &Issuer, name: &str) -> Result<Account, LookupError> {
        let question = (issuer.clone(), name.to_owned());
        let known = self.asked.accounts.borrow().get(&question).cloned();
        if let Some(known) = known {
            return known;
        }
        let answer = self.ask_who_is(issuer, name).await;
        self.asked.accounts.borrow_mut().insert(question, answer.clone());
        answer
    }

    async fn ask_who_is(&self, issuer: &Issuer, name: &str) -> Result<Account, LookupError> {
        let token = self.token(issuer).await?;
        let answer = self.get(issuer, &format!("/users/{}", urlencoding::encode(name)), token.as_ref()).await?;
        match answer.status {
            200 => parse(&answer),
            404 => Err(LookupError::Invisible("there is no user or organisation of that name".to_owned())),
            status => Err(LookupError::Unreachable(refused(status))),
        }
    }

    /// Returns the account with a number, if GitHub shows one. An unknown answer is no failure, because the number lets in nobody else:
    /// the outer `None` where GitHub does not answer at once.
    /// <https://docs.github.com/en/rest/users/users#get-a-user-using-their-id>
    pub async fn account_of(&self, issuer: &Issuer, id: u64) -> Option<Option<Account>> {
        let token = self.token(issuer).await.ok()?;
        let path = format!("/user/{id}");
        let request = GitHubRequest::brief("GET", &path);
        let answer = self.ask(issuer, &request, token.as_ref()).await.ok()?;
        match answer.status {
            200 => parse(&answer).ok().map(Some),
            404 => Some(None),
            _ => None,
        }
    }

    /// Returns the template and the form that an organisation chose for its repositories. Only a remark depends on it, so that
    /// an unknown one is no failure: `None` without a credential, or where GitHub does not tell.
    pub async fn organisation_template(&self, issuer: &Issuer, owner: &str) -> Option<Customization> {
        let token = self.token(issuer).await.ok()??;
        let path = format!("/orgs/{owner}/actions/oidc/customization/sub");
        let answer = self.ask(issuer, &GitHubRequest::brief("GET", &path), Some(&token)).await.ok()?;
        if answer.status == 200 { parse(&answer).ok() } else { None }
    }

    /// Returns the protection of an environment. Only a remark depends on it, so that an unknown one is no failure:
    /// `None` without a credential, or where GitHub does not answer at once.
    pub async fn protection(&self, issuer: &Issuer, repository: &Repository, environment: &str) -> Option<Protection> {
        let token = self.token(issuer).await.ok()??;
        let path = format!("/repos/{repository}/environments/{}", urlencoding::encode(environment));
        let answer = self.ask(issuer, &GitHubRequest::brief("GET", &path), Some(&token)).await.ok()?;
        match answer.status {
            200 => Some(self.protection_of(issuer, repository, &parse(&answer).ok()?).await),
            404 => Some(Protection::Absent),
            _ => None,
        }
    }

    /// Returns the protection of an environment that GitHub has shown. One for protected branches counts as protected while
    /// GitHub does not tell if there are any.
    pub async fn protection_of(
        &self,
        issuer: &Issuer,
        repository: &Repository,
        environment: &Environment,
    ) -> Protection {
        match environment.rule_protection() {
            RuleProtection::Protected => Protection::Protected,
            RuleProtection::Open => Protection::Open,
            RuleProtection::ProtectedBranches => match self.has_protected_branch(issuer, repository).await {
                Some(false) => Protection::NoProtectedBranch,
                Some(true) | None => Protection::Protected,
            },
        }
    }

    /// Returns true if a branch of a repository is protected. Only a remark depends on it, so that an unknown answer is no
    /// failure: `None` without a credential, or where GitHub does not answer at once.
    pub async fn has_protected_branch(&self, issuer: &Issuer, repository: &Repository) -> Option<bool> {
        let question = (issuer.clone(), repository.clone());
        let answer = Rc::clone(self.asked.protected_branches.borrow_mut().entry(question).or_default());
        *answer.get_or_init(|| Box::pin(self.ask_for_protected_branch(issuer, repository))).await
    }

    /// <https://docs.github.com/en/rest/branches/branches#list-branches>
    async fn ask_for_protected_branch(&self, issuer: &Issuer, repository: &Repository) -> Option<bool> {
        let path = format!("/repos/{repository}/branches?protected=true&per_page=1");
        let branches = async {
            let token = self.token(issuer).await.ok()??;
            let answer = self.ask(issuer, &GitHubRequest::brief("GET", &path), Some(&token)).await.ok()?;
            parse::<Vec<IgnoredAny>>(&answer).ok().filter(|_| answer.status == 200)
        };
        let branches = branches.await;
        if branches.is_none() {
            tracing::warn!(%repository, "GitHub does not tell if a branch is protected; the credential needs Contents: read");
        }
        branches.map(|branches| !branches.is_empty())
    }

    /// Returns true if there is a credential for an issuer.
    ///
    /// # Errors
    /// When the secret cannot be read.
    pub async fn has_credential(&self, issuer: &Issuer) -> Result<bool, LookupError> {
        self.load().await?;
        Ok(self.credentials.borrow().as_ref().is_some_and(|all| all.contains_key(&issuer.web_host())))
    }

    /// Gets the credential ready, so that questions which are asked at once do not each get it.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn prepare(&self, issuer: &Issuer) -> Result<(), LookupError> {
        self.token(issuer).await.map(drop)
    }

    /// Returns the new name of a repository that is answered with a redirect.
    pub(super) async fn new_name(
        &self,
        issuer: &Issuer,
        repository: &Repository,
        token: Option<&AccessToken>,
    ) -> LookupError {
        match self.get(issuer, &format!("/repos/{repository}"), token).await {
            Ok(answer) if is_redirect(answer.status) => self.renamed(issuer, &answer, token).await,
            Ok(answer) => LookupError::Unreachable(refused(answer.status)),
            Err(problem) => problem,
        }
    }

    /// Returns the name that a repository has now, if it is another one.
    pub async fn renamed_to(&self, issuer: &Issuer, repository: &Repository) -> Option<Repository> {
        let token = self.token(issuer).await.ok().flatten();
        match self.new_name(issuer, repository, token.as_ref()).await {
            LookupError::Renamed { to, id: _ } => Repository::parse(&to).ok(),
            LookupError::Invisible(_) | LookupError::Unreachable(_) => None,
        }
    }

    /// Follows a redirect to the new name: once, and only within the same API.
    async fn renamed(&self, issuer: &Issuer, answer: &GitHubResponse, token: Option<&AccessToken>) -> LookupError {
        let root = self.root(issuer);
        let path = answer.location.as_deref().and_then(|location| location.strip_prefix(root.as_str()));
        let Some(path) = path.filter(|path| path.starts_with('/')) else {
            return LookupError::Unreachable("it answers with a redirect to somewhere else".to_owned());
        };
        match self.get(issuer, path, token).await {
            Ok(answer) if answer.status == 200 => match parse::<RepositoryResponse>(&answer) {
                Ok(described) => LookupError::Renamed { to: described.full_name, id: described.id },
                Err(problem) => problem,
            },
            Ok(answer) => LookupError::Unreachable(refused(answer.status)),
            Err(problem) => problem,
        }
    }

    async fn load(&self) -> Result<(), LookupError> {
        let Some(id) = self.secret.as_ref().filter(|_| self.credentials.borrow().is_none()) else { return Ok(()) };
        let request = self.secrets.get_secret_value().secret_id(id);
        let output = self.deadline.call("secretsmanager:GetSecretValue", id, || request.clone().send()).await;
        let output =
            output.map_err(|error| LookupError::Unreachable(format!("its credential could not be read: {error}")))?;
        let read = credential::read(output.secret_string().unwrap_or_default());
        let read = read.map_err(|unusable| LookupError::Unreachable(format!("{unusable} ({id})")))?;
        *self.credentials.borrow_mut() = Some(read);
        Ok(())
    }

    pub(super) async fn token(&self, issuer: &Issuer) -> Result<Option<AccessToken>, LookupError> {
        self.load().await?;
        let host = issuer.web_host();
        let known = self.tokens.borrow().get(&host).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let credential = self.credentials.borrow().as_ref().and_then(|all| all.get(&host).cloned());
        let token = match credential {
            None => return Ok(None),
            Some(Credential::AccessToken(token)) => token,
            Some(Credential::App(app)) => {
                let own =
                    app.token(self.clock.now()).map_err(|unusable| LookupError::Unreachable(unusable.to_string()))?;
                let path = format!("/app/installations/{}/access_tokens", app.installation);
                let answer = self.ask(issuer, &GitHubRequest::short("POST", &path), Some(&own)).await?;
                if answer.status != 201 {
                    return Err(LookupError::Unreachable(no_token(&app, answer.status)));
                }
                AccessToken::new(&parse::<Installation>(&answer)?.token)
            }
        };
        self.tokens.borrow_mut().insert(host, token.clone());
        Ok(Some(token))
    }

    async fn get(
        &self,
        issuer: &Issuer,
        path: &str,
        token: Option<&AccessToken>,
    ) -> Result<GitHubResponse, LookupError> {
        let answer = self.ask(issuer, &GitHubRequest::short("GET", path), token).await?;
        if answer.status == 401 {
            return Err(LookupError::Unreachable(
                "it refuses the credential (status 401): renew the secret".to_owned(),
            ));
        }
        Ok(answer)
    }
}

#[derive(Deserialize)]
struct Installation {
    token: String,
}

fn parse<T: DeserializeOwned>(answer: &GitHubResponse) -> Result<T, LookupError> {
    serde_json::from_slice(&answer.body)
        .map_err(|_json| LookupError::Unreachable("its answer is not what its documentation says".to_owned()))
}

pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 307 | 308)
}

/// <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>
fn no_token(app: &GitHubApp, status: u16) -> String {
    let GitHubApp { id, installation, .. } = app;
    let hint = match status {
        401 => ": its `app_id` and `private_key` do not belong together, or the key was revoked",
        403 => ": the installation is suspended, or may not do what is asked for",
        404 => ": it is no installation of this App, or was removed; see `installation_id`",
        422 => ": the App does not have what is asked for",
        _ => "",
    };
    format!("installation {installation} of the GitHub App {id} gets no token (status {status}){hint}")
}

fn invisible(with_credential: bool) -> &'static str {
    if with_credential {
        "GitHub shows no such repository to the function's credential; see if its name is right"
    } else {
        "GitHub shows no such repository to the public, and the function has no credential for it; see if its name is right"
    }
}
