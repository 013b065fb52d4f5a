//! Properties and ids as text.

use crate::resources::github_repository_oidc::*;

#[test]
fn ids_survive_their_text() {
    for text in ["github.com/repos/octo-org/octo-repo/oidc@classic", "github.com/orgs/octo-org/oidc@unset"] {
        let id = GitHubRepositoryOidcs::id_from(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id, OidcId { mark: None, ..id.clone() });
    }
    for text in [
        "github.com/repos/o/r/oidc@new",
        "github.com/repos/o/oidc",
        "github.com/orgs/o/r/oidc",
        "never-created/1",
        "arn:x@classic",
    ] {
        assert!(GitHubRepositoryOidcs::id_from(text).is_none(), "{text}");
    }
}
