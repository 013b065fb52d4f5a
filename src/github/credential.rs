//! With what GitHub is asked: a token, or a GitHub App that gets itself one. Both stand in one secret of Secrets Manager,
//! by the host that they are for. Neither is ever printed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};

/// The value of `Authorization`.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl AccessToken {
    /// Wraps one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The header's value.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A credential for GitHub.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A personal access token or the like.
    AccessToken(AccessToken),
    /// A GitHub App's installation.
    App(GitHubApp),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessToken(_) => "a token",
            Self::App(_) => "a GitHub App",
        })
    }
}

/// A GitHub App, installed where the repositories are.
#[derive(Clone, PartialEq, Eq)]
pub struct GitHubApp {
    /// Its id or client id.
    pub id: String,
    /// The installation's id.
    pub installation: u64,
    key: Vec<u8>,
    pkcs1: bool,
}

/// The reason that a secret holds no credential. The message never shows its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not a JSON object of the form that the documentation gives.
    #[error(
        "the secret is not {{\"token\": …}} or {{\"app_id\": …, \"installation_id\": …, \"private_key\": …}}, or such an object for each host"
    )]
    Form,
    /// The key is not what GitHub gives for an App.
    #[error("the secret's `private_key` is no RSA key in PEM, as GitHub gives it for an App")]
    Key,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Written {
    AccessToken { token: String },
    App { app_id: Value, installation_id: Value, private_key: String },
}

/// Reads a secret: credentials by host (`github.com`, `<subdomain>.ghe.com`, a server's host). One alone is for github.com.
///
/// # Errors
/// When it is no such secret.
pub fn read(secret: &str) -> Result<BTreeMap<String, Credential>, Unusable> {
    if let Ok(single) = serde_json::from_str::<Written>(secret) {
        return Ok([("github.com".to_owned(), credential(single)?)].into());
    }
    let several: BTreeMap<String, Written> = serde_json::from_str(secret).map_err(|_secret| Unusable::Form)?;
    several.into_iter().map(|(host, written)| Ok((host.to_ascii_lowercase(), credential(written)?))).collect()
}

fn credential(written: Written) -> Result<Credential, Unusable> {
    match written {
        Written::AccessToken { token } if token.trim().is_empty() => Err(Unusable::Form),
        Written::AccessToken { token } => Ok(Credential::AccessToken(AccessToken::new(&token))),
        Written::App { app_id, installation_id, private_key } => {
            let text = |value: &Value| match value {
                Value::String(text) if !text.is_empty() => Ok(text.clone()),
                Value::Number(number) => Ok(number.to_string()),
                _ => Err(Unusable::Form),
            };
            // Secrets that were entered on one line have their line ends as `\n`.
            let pem = private_key.replace("\\n", "\n");
            let (key, pkcs1) = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_pem| Unusable::Key)? {
                PrivateKeyDer::Pkcs1(key) => (key.secret_pkcs1_der().to_vec(), true),
                PrivateKeyDer::Pkcs8(key) => (key.secret_pkcs8_der().to_vec(), false),
                _ => return Err(Unusable::Key),
            };
            let installation = text(&installation_id)?.parse().map_err(|_number| Unusable::Form)?;
            let app = GitHubApp { id: text(&app_id)?, installation, key, pkcs1 };
            app.key_pair().map(|_| Credential::App(app))
        }
    }
}

impl GitHubApp {
    fn key_pair(&self) -> Result<RsaKeyPair, Unusable> {
        let pair = if self.pkcs1 { RsaKeyPair::from_der(&self.key) } else { RsaKeyPair::from_pkcs8(&self.key) };
        pair.map_err(|_key| Unusable::Key)
    }

    /// The App's own token, good for a few minutes, with which it asks for one of its installation.
    ///
    /// GitHub: at most ten minutes, and "to protect against clock drift, we recommend that you set this 60 seconds in
    /// the past".
    /// <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>
    /// `ring`, which is linked anyway, signs; of `jsonwebtoken` only the joining of three parts would be used.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn token(&self, now: SystemTime) -> Result<AccessToken, Unusable> {
        const DRIFT: Duration = Duration::from_mins(1);
        const LIFE: Duration = Duration::from_mins(9);
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({"iat": seconds(now - DRIFT), "exp": seconds(now + LIFE), "iss": self.id});
        let signed =
            format!("{}.{}", url_safe(br#"{"alg":"RS256","typ":"JWT"}"#), url_safe(claims.to_string().as_bytes()));
        let pair = self.key_pair()?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_unspecified| Unusable::Key)?;
        Ok(AccessToken::new(&format!("{signed}.{}", url_safe(&signature))))
    }
}

/// RFC 7515: base64url without padding.
fn url_safe(bytes: &[u8]) -> String {
    aws_smithy_types::base64::encode(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const KEY: &str = include_str!("../../tests/thumbprints/rsa_keys/1.pem");

    fn app_secret() -> String {
        json!({"app_id": 12, "installation_id": "34", "private_key": KEY}).to_string()
    }

    #[test]
    fn a_secret_holds_one_credential_or_one_for_each_host() {
        let single = read(r#"{"token": "ghp_x"}"#).unwrap();
        assert_eq!(single["github.com"], Credential::AccessToken(AccessToken::new("ghp_x")));
        let several = json!({"Octo.ghe.com": {"token": "a"}, "ghes.example.com": serde_json::from_str::<Value>(&app_secret()).unwrap()});
        let several = read(&several.to_string()).unwrap();
        assert_eq!(several.keys().collect::<Vec<_>>(), ["ghes.example.com", "octo.ghe.com"]);
        assert!(matches!(several["ghes.example.com"], Credential::App(_)));
    }

    #[test]
    fn what_is_no_credential_is_refused_without_showing_it() {
        for secret in ["ghp_secret", "{}x", r#"{"token": ""}"#, r#"{"token": 5}"#, r#"{"github.com": "ghp_secret"}"#] {
            assert_eq!(read(secret), Err(Unusable::Form), "{secret}");
        }
        for key in ["ghp_secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            let secret = json!({"app_id": 1, "installation_id": 2, "private_key": key}).to_string();
            assert_eq!(read(&secret), Err(Unusable::Key));
        }
        let shown = format!("{:?}", read(&app_secret()).unwrap());
        assert!(!shown.contains("PRIVATE") && shown.len() < 60, "{shown}");
    }

    #[test]
    fn an_apps_token_is_signed_with_its_key_and_short_lived() {
        let Some(Credential::App(app)) = read(&app_secret()).unwrap().remove("github.com") else { panic!("no app") };
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let token = app.token(now).unwrap().0;
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let decode = |text: &str| {
            let padded =
                format!("{}{}", text.replace('-', "+").replace('_', "/"), "=".repeat((4 - text.len() % 4) % 4));
            aws_smithy_types::base64::decode(padded).unwrap()
        };
        let pair = app.key_pair().unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref());
        public.verify(signed.as_bytes(), &decode(signature)).unwrap();
        let claims: Value = serde_json::from_slice(&decode(signed.split('.').nth(1).unwrap())).unwrap();
        assert_eq!(claims, json!({"iat": 999_940, "exp": 1_000_540, "iss": "12"}));
    }
}
