//! Properties and ids as text.

use crate::resources::github_repository_oidc::*;

#[test]
fn ids_survive_their_text() {
    for text in ["github.com/repos/octo-org/octo-repo/oidc", "github.com/orgs/octo-org/oidc"] {
        let id = GitHubRepositoryOidcs::id_from(text).unwrap();
        assert_eq!(id.to_string(), text);
    }
    for text in [
        "github.com/repos/o/r/oidc@classic",
        "github.com/repos/o/oidc",
        "github.com/orgs/o/r/oidc",
        "never-created/1",
        "arn:x",
    ] {
        assert!(GitHubRepositoryOidcs::id_from(text).is_none(), "{text}");
    }
}
