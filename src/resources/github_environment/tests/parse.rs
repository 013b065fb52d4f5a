//! Properties and ids as text.

use serde_json::json;

use crate::resources::github_environment::*;

fn told(properties: &serde_json::Value) -> String {
    let deployment = Deployment {
        partition: "aws".into(),
        region: "eu-west-1".into(),
        account: "1".into(),
        role_path: "/".into(),
        role_boundary: None,
    };
    let mut fields = Fields::of_request(properties.as_object().unwrap());
    let spec = GitHubEnvironments::parse(&mut fields, &deployment);
    match fields.finish() {
        Ok(()) => {
            format!("{:?}", spec.map(|spec| (spec.name, spec.wait_timer, spec.reviewers, spec.branches, spec.adopt)))
        }
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn a_declaration_is_read_or_told_what_is_wrong() {
    let lines: Vec<String> = [
        json!({"Repository": "o/r", "Name": "live"}),
        json!({"Repository": "o/r", "Name": "eu: live/a", "WaitTimer": "30", "Reviewers": {"Type": "Team", "Id": "7"},
               "PreventSelfReview": "true", "DeploymentBranchPolicy": {"Branches": ["main", "release/*"], "Tags": "v*"},
               "OnExisting": "Adopt"}),
        json!({"Repository": "o/r", "Name": "live", "DeploymentBranchPolicy": {"ProtectedBranches": "true"}}),
        json!({"Repository": "o/r", "Name": "live", "DeploymentBranchPolicy": {"ProtectedBranches": "false"}}),
        json!({"Repository": "o", "Name": "live-*", "WaitTimer": "43201", "PreventSelfReview": "true",
               "Reviewers": [{"Type": "user", "Id": "me"}], "OnExisting": "Share",
               "DeploymentBranchPolicy": {"ProtectedBranches": true, "Branches": "a b", "Tag": "v"}}),
        json!({"Name": "", "Repository": "o/r"}),
        json!({}),
    ]
    .iter()
    .map(told)
    .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn ids_survive_their_text() {
    for text in [
        "github.com/repos/octo-org/octo-repo/environments/live",
        "octo.ghe.com/repos/octo-org/octo-repo/environments/eu: a/b@c/environments/d",
    ] {
        let id = GitHubEnvironments::id_from(text).unwrap();
        assert_eq!(id.to_string(), text);
    }
    for text in ["never-created/1", "github.com/repos/o/r/environments/", "arn:aws:iam::123456789012:role/x"] {
        assert!(GitHubEnvironments::id_from(text).is_none(), "{text}");
    }
}
