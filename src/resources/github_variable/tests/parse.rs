//! Properties and ids as text.

use crate::resources::github_variable::*;

#[test]
fn ids_survive_their_text_and_name_the_same_in_any_case() {
    for text in [
        "github.com/repos/octo-org/octo-repo/variables/AWS_ROLE_ARN",
        "github.com/repos/octo-org/octo-repo/environments/eu: live%2Fa%25%40/secrets/X",
        "octo.ghe.com/orgs/octo-org/secrets/X",
        "github.example.com/orgs/octo-org/variables/X",
    ] {
        let id = GitHubVariables::id_from(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id, VariableId::parse(&text.replace("octo-org", "Octo-Org")).unwrap());
        let other = VariableName { name: "Y".into(), ..id.name.clone() };
        assert_ne!(id, VariableId { name: other, ..id.clone() });
    }
}

#[test]
fn no_other_id_is_taken_for_one() {
    for text in [
        "never-created/5b1c0e70",
        "arn:aws:iam::123456789012:role/x",
        "quickstart-Variable-1ABCDEFGHIJKL",
        "github.com/repos/octo-org/octo-repo/variables/X@2026-11-21T09:00:00Z",
        "github.com/repos/octo-org/octo-repo/labels/X",
        "github.com/repos/octo-org/variables/X",
        "GITHUB.com/orgs/octo-org/variables/X",
        "github.com/orgs/octo-org/variables/X Y",
    ] {
        assert!(GitHubVariables::id_from(text).is_none(), "{text}");
    }
}

#[test]
fn a_value_does_not_show_itself() {
    assert_eq!(format!("{:?}", Value::new("hunter2")), "Value(…)");
}
