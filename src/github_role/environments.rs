//! What a trust in an environment is worth: it is said, and nothing fails, because of an environment that nobody protects.

use crate::github::name::Scope;
use crate::github::protection::Protection;

use super::GitHubRoles;
use super::declaration::{Context, Declaration};

/// How many are asked for: each is a call.
const MOST: usize = 20;
/// How many are named in the attribute; the log names all.
const NAMED: usize = 4;

impl GitHubRoles {
    /// What the author should know of the environments that the role trusts; nothing where there is nothing to say, or where
    /// nobody can tell.
    pub(super) async fn unprotected(&self, declaration: &Declaration) -> String {
        let Declaration { issuer, entries, .. } = declaration;
        let mut found = Vec::new();
        let mut asked = 0;
        for entry in entries {
            for context in &entry.contexts {
                let Context::Environment(name) = context else { continue };
                if name.contains(['*', '?']) {
                    found.push(format!("whatever environment is called like {name:?}"));
                    continue;
                }
                let Some(Scope::Repository(repository)) = &entry.scope else { continue };
                asked += 1;
                if asked > MOST {
                    break;
                }
                match self.github.protection(issuer, repository, name).await {
                    Some(Protection::Protected) => {}
                    Some(Protection::Open) => found.push(format!("environment {name:?} of {repository}")),
                    Some(Protection::Absent) => {
                        found.push(format!("environment {name:?} of {repository}, which is not there yet"));
                    }
                    // Whoever does not say it of one will not say it of the next.
                    None => asked = MOST,
                }
            }
        }
        if found.is_empty() {
            return String::new();
        }
        tracing::warn!(environments = ?found, "the role trusts environments without protection");
        told(&found)
    }
}

fn told(found: &[String]) -> String {
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more (see the function's log)"),
    };
    let named = &found[..found.len().min(NAMED)];
    format!(
        "The role trusts, without protection: {}{more}. Whoever can push a workflow assumes it: restrict the branches of the \
         environment, or require reviewers",
        named.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let found: Vec<String> = (1..=6).map(|number| format!("environment \"e{number}\" of o/r")).collect();
        assert!(!told(&found[..4]).contains("more"));
        let told = told(&found);
        assert!(told.contains("\"e4\"") && !told.contains("\"e5\"") && told.contains("and 2 more"), "{told}");
    }
}
