//! Random declarations, repositories and jobs.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::jobs::{
    ACTORS, BRANCHES, ENVIRONMENTS, Event, ORGANISATION, RENAMED, RandomJob, Repo, TAGS, TIERS, TITLES, WORKFLOWS,
    repos, templates,
};
use super::number;
use crate::github::subject_facts::SubjectFormat;

/// The number of tokens that each declaration is tried with, unless `TRUST_TOKENS` says another.
const TOKENS: usize = 40;

fn some(
    name: &'static str,
    values: &[&'static str],
    percent: f64,
) -> impl Strategy<Value = (&'static str, Value)> + use<> {
    let values = values.to_vec();
    let count = values.len();
    let chosen = subsequence(values, 1..=count).prop_map(|values| json!(values));
    prop::option::weighted(percent, chosen).prop_map(move |value| (name, value.unwrap_or(Value::Null)))
}

pub(super) fn entries(server: bool) -> impl Strategy<Value = Vec<Value>> {
    let environments: &[&str] =
        if server { &["prod", "prod-*", "pr*"] } else { &["prod", "prod-*", "a:b", "a%3Ab", "main", "a?b", "*b"] };
    // STS reads none of these claims of an Enterprise Server.
    let narrowing = if server { f64::MIN_POSITIVE } else { 0.3 };
    let entry = (
        select(vec!["acme/app", "acme/app2", "acme2/app", ORGANISATION]),
        some("Branches", &["main", "release/*", "release/1", "release/2/?", "main*", "x-${y}"], 0.6),
        some("Tags", &["v1", "v*", "*"], 0.3),
        some("Environments", environments, 0.4),
        (any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.1)),
        some(
            "Workflows",
            &[
                "acme/ci/.github/workflows/d.yml@refs/heads/main",
                "acme/ci/.github/workflows/d.yml@refs/heads/release/*",
                "acme/app/.github/workflows/plan.yml@refs/pull/*/merge",
            ],
            narrowing,
        ),
        some("Actors", &["octocat", "22"], narrowing),
        prop::bool::weighted(narrowing / 2.0),
        (
            some(
                "Refs",
                &["refs/heads/main", "refs/heads/release/*", "refs/pull/*/merge", "refs/tags/v1"],
                narrowing / 2.0,
            ),
            some("Values", &["gold", "gold*"], 0.1),
            some("Values", &["Deploy", "Deploy*"], narrowing / 2.0),
        ),
    );
    let entry = entry.prop_map(
        |(
            repository,
            branches,
            tags,
            environments,
            (pulls, refs, all),
            workflows,
            actors,
            enterprise,
            (narrowed, tiers, titles),
        )| {
            let mut entry = json!({"Repository": repository, "PullRequests": pulls, "AnyRef": refs, "AllJobs": all});
            let claims: Vec<Value> = [("repo_property_tier", tiers.1), ("workflow", titles.1)]
                .into_iter()
                .filter(|(_, values)| !values.is_null())
                .map(|(name, values)| json!({"Name": name, "Values": values}))
                .collect();
            if !claims.is_empty() {
                entry["TemplateClaims"] = json!(claims);
            }
            for (name, value) in [branches, tags, environments, workflows, actors, narrowed] {
                if !value.is_null() {
                    entry[name] = value;
                }
            }
            if enterprise {
                entry["EnterpriseId"] = json!("77");
            }
            entry
        },
    );
    prop::collection::vec(prop_oneof![5 => entry.boxed(), 1 => whole_subjects(server).boxed()], 1..4)
}

/// An entry of whole subjects: of any repositories, in any form, with any context, made by any template; or of one
/// repository, which the entry says beside them, by its name or its id.
fn whole_subjects(server: bool) -> impl Strategy<Value = Value> {
    let context = select(vec![
        "ref:refs/heads/main",
        "ref:refs/heads/release/*",
        "ref:refs/heads/x-${y}",
        "ref:refs/tags/v1",
        "environment:prod",
        "environment:prod-*",
        "pull_request",
        "*",
    ]);
    // What a template puts around the repository and the context, which stand for `R` and `C`. The last ones pin no repository.
    let forms = [
        "R:C",
        "R:C:ref:refs/heads/main",
        "R:C:job_workflow_ref:acme/ci/.github/workflows/d.yml@refs/heads/main",
        "R:C:repo_property_tier:gold",
        "repo_property_tier:gold:R:C",
        "R:C:enterprise_id:77",
        "R:C:actor:octocat",
        "repository_owner:O:C:repository_id:I",
        "repository_owner:O:C",
        "C:job_workflow_ref:acme/ci/.github/workflows/d.yml@refs/heads/main",
    ];
    // STS reads no id in tokens of an Enterprise Server, and no user.
    let (alone, beside) = if server { (6, 6) } else { (8, forms.len()) };
    let names = vec!["acme/app", "acme/app2", "acme2/app"];
    let subjects = move |names: Vec<&'static str>, forms: &[&'static str]| {
        let subject = (select(names), any::<bool>(), select(forms.to_vec()), context.clone());
        prop::collection::vec(subject.prop_map(move |drawn| whole_subject(server, drawn)), 1..4)
    };
    let of_one = {
        let (subjects, forms) = (subjects.clone(), forms[..beside].to_vec());
        (select(names.clone()), any::<bool>()).prop_flat_map(move |(name, by_id)| {
            let id = repos(server).into_iter().find(|repo| repo.name == name).unwrap().id;
            let member =
                if by_id && !server { ("RepositoryId", id.to_string()) } else { ("Repository", name.to_owned()) };
            (subjects(vec![name], &forms), Just(Some(member)))
        })
    };
    let whole = prop_oneof![(subjects(names, &forms[..alone]), Just(None)), of_one];
    let narrowing = if server { f64::MIN_POSITIVE } else { 0.2 };
    let narrowed = (
        some("Actors", &["octocat", "22"], narrowing),
        some("Workflows", &["acme/ci/.github/workflows/d.yml@refs/heads/main"], narrowing),
        some("Refs", &["refs/heads/main", "refs/heads/release/*", "refs/tags/v1"], narrowing),
        prop::bool::weighted(narrowing / 2.0),
    );
    (whole, narrowed).prop_map(|((subjects, beside), (actors, workflows, refs, enterprise))| {
        let mut entry = json!({"Subjects": subjects});
        if let Some((member, value)) = beside {
            entry[member] = json!(value);
        }
        // A user's name counts beside the id only.
        let says_user = subjects.iter().any(|subject| subject.contains(":actor:"));
        let actors = if says_user { ("Actors", json!(["octocat"])) } else { actors };
        if enterprise {
            entry["EnterpriseId"] = json!("77");
        }
        for (name, value) in [actors, workflows, refs] {
            if !value.is_null() {
                entry[name] = value;
            }
        }
        entry
    })
}

fn whole_subject(server: bool, (name, has_ids, form, context): (&str, bool, &str, &str)) -> String {
    let meant = repos(server).into_iter().find(|repo| repo.name == name).unwrap();
    let (owner, short) = name.split_once('/').unwrap();
    let repo = if has_ids && !server {
        format!("repo:{owner}@{}/{short}@{}", meant.owner_id, meant.id)
    } else {
        format!("repo:{name}")
    };
    // Nothing stands behind a wildcard for everything else, and no job is on two refs.
    let is_on_two = form.contains(":ref:") && context.starts_with("ref:") && !form.ends_with(context);
    let form = if context == "*" || is_on_two { "R:C" } else { form };
    let form = form.replace(":O:", &format!(":{owner}:")).replace(":I", &format!(":{}", meant.id));
    form.replace('C', context).replace('R', &repo)
}

/// Every repository with a form and a template of its own, and jobs in any of them.
pub(super) fn worlds(server: bool) -> impl Strategy<Value = (Vec<Repo>, Vec<RandomJob>)> {
    let count = repos(server).len();
    let traits =
        prop::collection::vec((any::<bool>(), any::<bool>(), prop::option::weighted(0.3, select(templates()))), count);
    traits.prop_flat_map(move |traits| {
        let mut repos: Vec<Repo> = repos(server)
            .into_iter()
            .zip(traits)
            .map(|(mut repo, (immutable, form_is_known, template))| {
                if immutable && !server {
                    repo.form = SubjectFormat::Immutable;
                }
                repo.form_is_known = form_is_known;
                repo.template = template.flatten();
                repo
            })
            .collect();
        let before = repos[0].clone();
        for repo in repos.iter_mut().filter(|repo| (repo.id, repo.name) == RENAMED) {
            *repo = Repo { name: repo.name, ..before.clone() };
        }
        let event = prop_oneof![
            4 => select(BRANCHES.to_vec()).prop_map(Event::Branch),
            1 => select(TAGS.to_vec()).prop_map(Event::Tag),
            1 => Just(Event::PullRequest),
            1 => Just(Event::Merged),
        ];
        let job = (
            select(repos.clone()),
            event,
            prop::option::weighted(0.4, select(ENVIRONMENTS.to_vec())),
            select(WORKFLOWS.to_vec()),
            select(ACTORS.to_vec()),
            select(vec![77_u64, 78]),
            prop_oneof![9 => Just("sts.amazonaws.com"), 1 => Just("https://github.com/acme")],
            (select(TIERS.to_vec()), select(TITLES.to_vec())),
        );
        let job =
            job.prop_map(|(repo, event, environment, workflow, (_, actor), enterprise, audience, (tier, title))| {
                RandomJob { repo, event, environment, workflow, actor, enterprise, audience, tier, title }
            });
        (Just(repos), prop::collection::vec(job, number("TRUST_TOKENS").unwrap_or(TOKENS)))
    })
}
