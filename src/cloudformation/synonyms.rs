//! The words of other tools for our properties: those of the native resources, the CDK, Terraform, eksctl and GitHub's API.

use super::nearest::spelling;

/// A word of other tools, in the spelling of [`spelling`], and the properties that it stands for. The first one that an object
/// has is meant.
pub(crate) const SYNONYMS: &[(&str, &[&str])] = &[
    ("accessentrytype", &["Type"]),
    ("accesspolicyarn", &["PolicyArn"]),
    ("accessscopetype", &["Type"]),
    ("actor", &["Actors"]),
    ("arn", &["PrincipalArn", "PolicyArn"]),
    ("assumedby", &["Trust"]),
    ("assumerolepolicy", &["Trust"]),
    ("assumerolepolicydocument", &["Trust"]),
    ("attachpolicy", &["Policies"]),
    ("attachpolicyarns", &["ManagedPolicyArns"]),
    ("audiences", &["Audience", "ClientIdList"]),
    ("branch", &["Branches"]),
    ("branchpolicies", &["DeploymentBranchPolicy"]),
    ("cacert", &["CaCertificate"]),
    ("clientids", &["ClientIdList"]),
    ("cluster", &["ClusterName"]),
    ("conditions", &["Trust"]),
    ("custombranchpolicies", &["Branches"]),
    ("document", &["PolicyDocument"]),
    ("env", &["Environments", "Environment"]),
    ("environment", &["Environments", "Name"]),
    ("environmentname", &["Environment", "Name"]),
    ("githubrepo", &["Repository"]),
    ("githubrepository", &["Repository"]),
    ("groups", &["KubernetesGroups"]),
    ("hostname", &["Host"]),
    ("inlinepolicies", &["Policies"]),
    ("inlinepolicy", &["Policies"]),
    ("inlinepolicystatements", &["Policies"]),
    ("instance", &["Host"]),
    ("issuer", &["Url"]),
    ("issuerurl", &["Url"]),
    ("jobworkflowref", &["Workflows"]),
    ("kubernetesusername", &["Username"]),
    ("managedpolicies", &["ManagedPolicyArns"]),
    ("maxsession", &["MaxSessionDuration"]),
    ("name", &["RoleName", "PolicyName", "Key"]),
    ("nameprefix", &["RoleName"]),
    ("namespace", &["Namespaces"]),
    ("oidcproviderarn", &["ProviderArn"]),
    ("org", &["Organization"]),
    ("owner", &["Organization", "Repository"]),
    ("permissionsboundaryarn", &["PermissionsBoundary"]),
    ("plaintextvalue", &["Value"]),
    ("policy", &["PolicyDocument", "PolicyArn"]),
    ("policyassociations", &["AccessPolicies"]),
    ("policyarns", &["ManagedPolicyArns"]),
    ("principal", &["PrincipalArn", "Trust"]),
    ("provider", &["ProviderArn"]),
    ("pullrequest", &["PullRequests"]),
    ("ref", &["Refs"]),
    ("removalpolicy", &["DeletionMode"]),
    ("repo", &["Repository"]),
    ("repositories", &["SelectedRepositories", "Repository"]),
    ("repositoryname", &["Repository"]),
    ("rolearn", &["PrincipalArn"]),
    ("scope", &["AccessScope"]),
    ("secretname", &["Name"]),
    ("selectedrepositoryids", &["SelectedRepositories"]),
    ("subject", &["Subjects", "Trust"]),
    ("subjects", &["Subjects", "Trust"]),
    ("tag", &["Tags"]),
    ("trustpolicy", &["Trust"]),
    ("useimmutable", &["UseImmutableSubject"]),
    ("userarn", &["PrincipalArn"]),
    ("variablename", &["Name"]),
    ("workflow", &["Workflows"]),
    ("workflowref", &["Workflows"]),
];

/// Returns the property that a word of another tool stands for, or a property in another spelling.
pub(crate) fn meant(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let word = spelling(word);
    let same = known.iter().copied().find(|name| spelling(name) == word);
    same.or_else(|| {
        let (_, ours) = SYNONYMS.iter().find(|(synonym, _)| *synonym == word)?;
        ours.iter().find_map(|name| known.iter().copied().find(|known| known == name))
    })
}
