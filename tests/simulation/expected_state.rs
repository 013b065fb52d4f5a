//! What a template's author means by the properties of each kind, and whether an account is like that.
//!
//! Written from the kinds' documentation, apart from the code under test: the two must agree because both are right.

use std::collections::{BTreeMap, BTreeSet};

use github_trust::iam_policy::string_like::string_like;
use github_trust::ownership::{Owner, Tags, digest};
use serde_json::{Value, json};

use super::account::{ACCOUNT, Id, Kind, Object, PARTITION, Snapshot};
use super::author::Author;
use super::iam::one_or_many;

pub(crate) const PROVIDER: &str = "Custom::GitHubOidcProvider";
pub(crate) const ROLE: &str = "Custom::GitHubRole";
pub(crate) const ENTRY: &str = "Custom::EksAccessEntry";

/// Who last set a facet of an object.
pub(crate) type Authors = BTreeMap<(Id, String), Author>;

/// A provider's ARN by its declaration.
pub(crate) fn provider_arn(properties: &Value) -> String {
    let url = properties["Url"].as_str().unwrap_or("https://token.actions.githubusercontent.com");
    let issuer = url.trim_start_matches("https://").trim_end_matches('/');
    format!("arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/{issuer}")
}

pub(crate) fn client_ids(properties: &Value) -> BTreeSet<String> {
    match &properties["ClientIdList"] {
        Value::Null => ["sts.amazonaws.com".to_owned()].into(),
        list => texts(list),
    }
}

/// Everyone whom a declared role admits: provider, audience and subject, and the user where there are some. Names stand for
/// the ids: whose ids those are is I9's matter.
pub(crate) fn declared_subjects(properties: &Value) -> BTreeSet<String> {
    let provider = properties["ProviderArn"].as_str().unwrap_or_default();
    let audience = properties["Audience"].as_str().unwrap_or("sts.amazonaws.com");
    let mut subjects = BTreeSet::new();
    for entry in one_or_many(&properties["Trust"]) {
        let repository = entry["Repository"].as_str().map(str::to_owned).or_else(|| named(&entry["RepositoryId"]));
        let refs = texts(&entry["Refs"]);
        let titles =
            one_or_many(&entry["TemplateClaims"]).into_iter().flat_map(|claim| texts(&claim["Values"])).collect();
        let mut narrowing = [texts(&entry["Actors"]), texts(&entry["Workflows"]), titles, refs.clone()];
        for subject in texts(&entry["Subjects"]) {
            let named = by_name(&subject, repository.as_deref()).unwrap_or(subject);
            subjects.extend(narrowed(&admitted(provider, audience, &named), &narrowing));
        }
        let mut admit = |context: String| {
            // A ref is said by the subject, and has to be among those of the entry.
            let reference = context.strip_prefix("ref:");
            let fits = |reference: &str| refs.is_empty() || refs.iter().any(|pattern| string_like(pattern, reference));
            narrowing[3] = if reference.is_some() { BTreeSet::new() } else { refs.clone() };
            let named = format!("repo:{}:{context}", repository.as_deref().unwrap_or_default());
            if reference.is_none_or(fits) {
                subjects.extend(narrowed(&admitted(provider, audience, &named), &narrowing));
            }
        };
        // "A `:` inside a value becomes `%3A`."
        let value = |text: &str| text.replace(':', "%3A");
        for branch in texts(&entry["Branches"]) {
            admit(format!("ref:refs/heads/{}", value(&branch)));
        }
        for tag in texts(&entry["Tags"]) {
            admit(format!("ref:refs/tags/{}", value(&tag)));
        }
        for environment in texts(&entry["Environments"]) {
            admit(format!("environment:{}", value(&environment)));
        }
        if matches!(&entry["PullRequests"], Value::Bool(true)) || entry["PullRequests"] == "true" {
            admit("pull_request".to_owned());
        }
    }
    subjects
}

/// A subject with each of the users, workflows, names of workflows and refs that narrow it, users by name.
fn narrowed(subject: &str, narrowing: &[BTreeSet<String>; 4]) -> Vec<String> {
    let mut found = vec![subject.to_owned()];
    for (kind, values) in ["by", "of", "in", "on"].into_iter().zip(narrowing).filter(|(_, values)| !values.is_empty()) {
        let value = |value: &String| named(&json!(value)).filter(|_| kind == "by").unwrap_or_else(|| value.clone());
        let with = |subject: &String| values.iter().map(|one| format!("{subject} [{kind} {}]", value(one))).collect();
        found = found.iter().flat_map(|subject| -> Vec<String> { with(subject) }).collect();
    }
    found
}

/// The name of an id.
fn named(id: &Value) -> Option<String> {
    id.as_str()?.parse().ok().and_then(super::changed_names::name_of).map(str::to_owned)
}

/// Whether all whom the second admits are admitted by the first: fewer conditions and wildcards admit more.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    let parts = |text: &'_ str| text.split(" [").map(str::to_owned).collect::<Vec<_>>();
    let (wide, narrow) = (parts(wide), parts(narrow));
    string_like(&wide[0], &narrow[0])
        && wide[1..].iter().all(|wide| narrow[1..].iter().any(|narrow| string_like(wide, narrow)))
}

fn admitted(provider: &str, audience: &str, subject: &str) -> String {
    format!("{provider} {audience} {subject}")
}

/// Everyone whom a trust policy admits. What is not of the plain form admits somebody unknown, told apart by its text.
pub(crate) fn trusted_subjects(trust: &str) -> BTreeSet<String> {
    trusted_subjects_as_written(trust).into_iter().map(|(_, admitted)| admitted).collect()
}

/// The same, each behind the subject that the policy has for it.
pub(crate) fn trusted_subjects_as_written(trust: &str) -> BTreeSet<(String, String)> {
    let policy: Value = serde_json::from_str(trust).unwrap_or_default();
    let mut subjects = BTreeSet::new();
    for statement in one_or_many(&policy["Statement"]) {
        let plain = plain_subjects(statement);
        subjects.extend(plain.unwrap_or_else(|| vec![(String::new(), format!("unknown {statement}"))]));
    }
    subjects
}

fn plain_subjects(statement: &Value) -> Option<Vec<(String, String)>> {
    const CLAIMS: [&str; 9] = [
        "aud",
        "sub",
        "actor_id",
        "job_workflow_ref",
        "workflow",
        "ref",
        "repository",
        "repository_id",
        "repository_owner_id",
    ];
    let provider = statement["Principal"]["Federated"].as_str()?;
    let issuer = provider.split_once("oidc-provider/")?.1;
    let mut values: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (operator, compared) in statement["Condition"].as_object()? {
        for (key, value) in compared.as_object()? {
            let claim = key.strip_prefix(issuer)?.strip_prefix(':')?;
            match operator.as_str() {
                "StringEquals" | "StringLike" if CLAIMS.contains(&claim) => drop(values.insert(claim, texts(value))),
                // Wildcards stand for no colon.
                "StringNotLike" if claim == "sub" => {}
                _ => return None,
            }
        }
    }
    if statement["Effect"] != "Allow" {
        return None;
    }
    let mut values = |claim: &str| values.remove(claim).unwrap_or_default();
    let (audiences, subjects) = (values("aud"), values("sub"));
    let narrowing = ["actor_id", "job_workflow_ref", "workflow", "ref"].map(&mut values);
    let of_id = |ids: BTreeSet<String>| ids.first().and_then(|id| named(&json!(id)));
    let ids = values("repository_id");
    let repository = values("repository").into_iter().next().or_else(|| of_id(ids));
    let mut pairs = Vec::new();
    // A subject that nobody can have admits nobody.
    for subject in subjects.iter().filter(|subject| subject.contains(':') || *subject == "pull_request") {
        let named = by_name(subject, repository.as_deref())?;
        for audience in &audiences {
            let admitted = narrowed(&admitted(provider, audience, &named), &narrowing);
            pairs.extend(admitted.into_iter().map(|admitted| (subject.clone(), admitted)));
        }
    }
    Some(pairs)
}

/// A subject of any template as one of the default template without ids.
fn by_name(subject: &str, claimed: Option<&str>) -> Option<String> {
    let mut words = subject.split(':');
    let (mut repository, mut context, mut owner) = (claimed.map(str::to_owned), None, None);
    while let Some(key) = words.next() {
        match key {
            "pull_request" => context = Some(key.to_owned()),
            "ref" | "environment" => context = Some(format!("{key}:{}", words.next()?)),
            "repo" => {
                let (owner, name) = words.next()?.split_once('/')?;
                let plain = |text: &str| text.split('@').next().unwrap_or_default().to_owned();
                repository = Some(format!("{}/{}", plain(owner), plain(name)));
            }
            "repository" => repository = Some(words.next()?.to_owned()),
            "repository_id" => {
                let id = words.next()?;
                repository = repository.or_else(|| named(&json!(id)));
            }
            "repository_owner" => owner = Some(words.next()?),
            _ => return None,
        }
    }
    let repository = repository.or_else(|| owner.map(|owner| format!("{owner}/*")));
    Some(format!("repo:{}:{}", repository?, context?))
}

/// What declared or attached policies grant: a managed policy by its ARN, an inline one by its document.
pub(crate) fn declared_permissions(properties: &Value) -> BTreeSet<String> {
    let managed = texts(&properties["ManagedPolicyArns"]);
    managed.into_iter().chain(declared_inline(properties).into_values()).collect()
}

/// Inline documents by name.
pub(crate) fn declared_inline(properties: &Value) -> BTreeMap<String, String> {
    let document = |policy: &Value| normal(&super::cloudformation::strings(&policy["PolicyDocument"])).to_string();
    let name = |policy: &Value| policy["PolicyName"].as_str().unwrap_or_default().to_owned();
    one_or_many(&properties["Policies"]).into_iter().map(|policy| (name(policy), document(policy))).collect()
}

pub(crate) fn granted_permissions(role: &Object) -> BTreeSet<String> {
    role.facets
        .iter()
        .filter_map(|(facet, value)| match facet.split_once(' ') {
            Some(("attached", arn)) => Some(arn.to_owned()),
            Some(("inline", _)) => Some(normal(&serde_json::from_str(value).unwrap_or_default()).to_string()),
            _ => None,
        })
        .collect()
}

/// A document as IAM means it: a list of one is that one, and lists of strings are sets.
pub(crate) fn normal(document: &Value) -> Value {
    match document {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), normal(value))).collect(),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(normal).collect();
            list.sort_by_key(ToString::to_string);
            list.dedup();
            if list.len() == 1 { list.remove(0) } else { Value::Array(list) }
        }
        other => other.clone(),
    }
}

fn texts(value: &Value) -> BTreeSet<String> {
    one_or_many(value).into_iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn tags(properties: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    one_or_many(&properties["Tags"]).into_iter().map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
}

/// Whether a role's author wants changes by hand to be repaired.
pub(crate) fn is_repaired(kind: &str, properties: &Value) -> bool {
    kind == ROLE && properties["OnDrift"] == "Repair"
}

/// The name of the secret with the declaration of a role.
pub(crate) fn secret_of_role(physical: &str) -> String {
    format!("github-trust/role/{}", digest(&[&physical.to_lowercase()], 26))
}

/// What is wrong about the secret with the declaration of a role: it is there where the author wants it, and the role has its
/// digest.
pub(crate) fn wrong_declaration(physical: &str, properties: &Value, snapshot: &Snapshot) -> Option<String> {
    let name = secret_of_role(physical);
    let secret = snapshot.objects.iter().find(|(id, _)| id.kind == Kind::Memory && id.name == name);
    let role = find(ROLE, physical, properties, snapshot);
    let settings = role.and_then(|(_, role)| role.facets.get("tag github-trust:settings")).cloned().unwrap_or_default();
    let words: Vec<&str> = settings.split(' ').filter(|word| word.starts_with("OnDrift")).collect();
    match (is_repaired(ROLE, properties), secret) {
        (true, Some((_, secret))) => {
            let word = format!("OnDrift={}", digest(&[&secret.facets["value"]], 13));
            (words != [word.as_str()]).then(|| format!("the role {physical} has {words:?} instead of {word}"))
        }
        (true, None) => Some(format!("the declaration of the role {physical} is not kept")),
        (false, Some(_)) => Some(format!("the declaration of the role {physical} is still kept")),
        (false, None) => (!words.is_empty()).then(|| format!("the role {physical} has {words:?}")),
    }
}

/// The object that a resource stands for.
pub(crate) fn find<'a>(
    kind: &str,
    physical: &str,
    properties: &Value,
    snapshot: &'a Snapshot,
) -> Option<(&'a Id, &'a Object)> {
    let (wanted, name) = match kind {
        PROVIDER => (Kind::Provider, provider_arn(properties)),
        ROLE => (Kind::Role, physical.to_owned()),
        _ => {
            let part = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
            (Kind::Entry, format!("{} {}", part("ClusterName"), part("PrincipalArn")))
        }
    };
    snapshot.objects.iter().find(|(id, _)| id.kind == wanted && id.name.eq_ignore_ascii_case(&name))
}

/// What is not as the author said; nothing, if all is. `authors` tells leftovers of ours from what others added.
pub(crate) fn differences(
    kind: &str,
    physical: &str,
    properties: &Value,
    snapshot: &Snapshot,
    authors: Option<&Authors>,
) -> Vec<String> {
    let properties = &super::cloudformation::strings(properties);
    let Some((id, object)) = find(kind, physical, properties, snapshot) else {
        return vec![format!("{kind} {physical} is not there")];
    };
    let mut comparison = Comparison { id, object, properties, items: Vec::new(), wrong: Vec::new() };
    for (key, value) in tags(properties) {
        comparison.expect(&format!("tag {key}"), &value);
    }
    match kind {
        PROVIDER => comparison.provider(),
        ROLE => comparison.role(physical),
        _ => comparison.entry(),
    }
    comparison.nothing_missing();
    if let (Some(authors), ROLE | ENTRY) = (authors, kind) {
        comparison.nothing_left_over(authors);
    }
    comparison.wrong
}

/// A declaration held against the object that should be like it.
struct Comparison<'a> {
    id: &'a Id,
    object: &'a Object,
    properties: &'a Value,
    /// Facets of the object that must be there because an item of a list says so.
    items: Vec<String>,
    wrong: Vec<String>,
}

impl Comparison<'_> {
    fn facet(&self, name: &str) -> Option<&str> {
        self.object.facets.get(name).map(String::as_str)
    }

    fn expect(&mut self, name: &str, wanted: &str) {
        if self.facet(name) != Some(wanted) {
            self.wrong.push(format!("{}: {name} is {:?} instead of {wanted:?}", self.id, self.facet(name)));
        }
    }

    fn expect_set(&mut self, what: &str, found: &BTreeSet<String>, wanted: &BTreeSet<String>) {
        if found != wanted {
            self.wrong.push(format!("{}: {what} is {found:?} instead of {wanted:?}", self.id));
        }
    }

    fn words(&self, name: &str) -> BTreeSet<String> {
        self.facet(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    fn provider(&mut self) {
        self.items.extend(client_ids(self.properties).iter().map(|id| format!("client id {id}")));
        if !self.properties["ThumbprintList"].is_null() {
            let lower = |set: BTreeSet<String>| set.iter().map(|one| one.to_lowercase()).collect();
            let (found, wanted): (BTreeSet<String>, BTreeSet<String>) =
                (lower(self.words("thumbprints")), lower(texts(&self.properties["ThumbprintList"])));
            // Others may pin more.
            let ours: BTreeSet<String> = found.intersection(&wanted).cloned().collect();
            self.expect_set("thumbprints", &ours, &wanted);
        }
    }

    fn role(&mut self, physical: &str) {
        let settings = [
            ("Description", "description"),
            ("MaxSessionDuration", "max session"),
            ("PermissionsBoundary", "boundary"),
        ];
        for (property, name) in settings {
            if let Some(wanted) = self.properties[property].as_str() {
                self.expect(name, wanted);
            }
        }
        let path = self.properties["Path"].as_str().unwrap_or("/");
        self.expect("arn", &format!("arn:{PARTITION}:iam::{ACCOUNT}:role{path}{physical}"));
        let found = trusted_subjects(self.facet("trust").unwrap_or_default());
        // What another entry covers is left out.
        let declared = declared_subjects(self.properties);
        let missing = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
            one.iter().find(|one| !other.iter().any(|other| covers(other, one))).cloned()
        };
        if let Some(wrong) = missing(&found, &declared).or_else(|| missing(&declared, &found)) {
            self.wrong.push(format!("{}: it admits {found:?} instead of {declared:?}: {wrong}", self.id));
        }
        self.items.extend(texts(&self.properties["ManagedPolicyArns"]).iter().map(|arn| format!("attached {arn}")));
        for policy in one_or_many(&self.properties["Policies"]) {
            let name = format!("inline {}", policy["PolicyName"].as_str().unwrap_or_default());
            let found: Value =
                self.facet(&name).map_or(json!(null), |text| serde_json::from_str(text).unwrap_or_default());
            if normal(&found) != normal(&policy["PolicyDocument"]) {
                self.wrong.push(format!("{}: {name} is {found} instead of {}", self.id, policy["PolicyDocument"]));
            }
            self.items.push(name);
        }
    }

    fn entry(&mut self) {
        self.expect("type", self.properties["Type"].as_str().unwrap_or("STANDARD"));
        if let Some(username) = self.properties["Username"].as_str() {
            self.expect("username", username);
        }
        if !self.properties["KubernetesGroups"].is_null() {
            self.expect_set("groups", &self.words("groups"), &texts(&self.properties["KubernetesGroups"]));
        }
        for policy in one_or_many(&self.properties["AccessPolicies"]) {
            let name = format!("policy {}", policy["PolicyArn"].as_str().unwrap_or_default());
            let mut wanted: BTreeSet<String> = ["cluster".to_owned()].into();
            if policy["AccessScope"]["Type"] == "namespace" {
                wanted = texts(&policy["AccessScope"]["Namespaces"]);
                wanted.insert("namespaces".to_owned());
            }
            self.expect_set(&name, &self.words(&name), &wanted);
            self.items.push(name);
        }
    }

    fn nothing_missing(&mut self) {
        let missing: Vec<String> = self.items.iter().filter(|name| self.facet(name).is_none()).cloned().collect();
        self.wrong.extend(missing.iter().map(|name| format!("{}: {name} is missing", self.id)));
    }

    fn nothing_left_over(&mut self, authors: &Authors) {
        let tags: Vec<String> = tags(self.properties).into_keys().map(|key| format!("tag {key}")).collect();
        for name in self.object.facets.keys() {
            let listed = ["attached ", "inline ", "policy "].iter().any(|list| name.starts_with(list));
            let tag = name.starts_with("tag ") && !name.starts_with("tag github-trust:");
            let declared = self.items.contains(name) || tags.contains(name);
            let ours = authors.get(&(self.id.clone(), name.clone())).is_some_and(Author::is_ours);
            if (listed || tag) && !declared && ours {
                self.wrong.push(format!("{}: {name} was ours and is declared no longer", self.id));
            }
        }
    }
}

/// Whether an entry still lets in the role that it names. A role that another resource made, or a person, does not get it.
pub(crate) fn lets_in(properties: &Value, snapshot: &Snapshot) -> bool {
    let Some((_, entry)) = find(ENTRY, "", properties, snapshot) else { return false };
    let principal = properties["PrincipalArn"].as_str().unwrap_or_default();
    let role = snapshot
        .objects
        .iter()
        .find(|(id, object)| id.kind == Kind::Role && object.facets.get("arn").is_some_and(|arn| arn == principal));
    let tags = |object: &Object| {
        let tags = object.facets.iter().filter_map(|(name, value)| Some((name.strip_prefix("tag ")?, value)));
        tags.map(|(key, value)| (key.to_owned(), value.clone())).collect::<Tags>()
    };
    role.is_none_or(|(id, role)| {
        let maker = Owner::of_tags(&tags(role)).map(|owner| owner.lasting_digest(20));
        let known = entry.facets.get("tag github-trust:role-id").and_then(|role| role.split(' ').nth(1));
        entry.facets.get("bound to") == Some(&id.serial) || known != maker.as_deref()
    })
}
