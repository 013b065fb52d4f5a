//! Random declarations, repositories and jobs.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::jobs::{
    ACTORS, BRANCHES, ENVIRONMENTS, Event, ORGANISATION, RENAMED, RandomJob, Repo, TAGS, TIERS, TITLES, WORKFLOWS,
    repos, templates,
};
use super::number;
use crate::github::facts::SubjectFormat;

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

/// An entry of whole subjects: of any repository, in any form, with any context, and made by any template.
fn whole_subjects(server: bool) -> impl Strategy<Value = Value> {
    let ids =
        move |name: &str| repos(server).into_iter().find(|repo| repo.name == name).map(|repo| (repo.owner_id, repo.id));
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
    // What a template puts around the repository and the context, which stand for `R` and `C`.
    let forms: Vec<&str> = [
        "R:C",
        "R:C:ref:refs/heads/main",
        "R:C:job_workflow_ref:acme/ci/.github/workflows/d.yml@refs/heads/main",
        "R:C:repo_property_tier:gold",
        "repo_property_tier:gold:R:C",
        "repository_owner:O:C:repository_id:I",
    ]
    .into_iter()
    .take(if server { 5 } else { 6 })
    .collect();
    let subject = (select(vec!["acme/app", "acme/app2", "acme2/app"]), any::<bool>(), select(forms), context).prop_map(
        move |(name, has_ids, form, context)| {
            let (owner_id, id) = ids(name).unwrap_or_default();
            let (owner, short) = name.split_once('/').unwrap_or_default();
            let repo = if has_ids && !server {
                format!("repo:{owner}@{owner_id}/{short}@{id}")
            } else {
                format!("repo:{name}")
            };
            // Nothing stands behind a wildcard for everything else.
            let form = if context == "*" { "R:C" } else { form };
            form.replace(":O:", &format!(":{owner}:"))
                .replace(":I", &format!(":{id}"))
                .replace('C', context)
                .replace('R', &repo)
        },
    );
    let narrowing = if server { f64::MIN_POSITIVE } else { 0.2 };
    let narrowed = (
        some("Actors", &["octocat", "22"], narrowing),
        some("Workflows", &["acme/ci/.github/workflows/d.yml@refs/heads/main"], narrowing),
        some("Refs", &["refs/heads/main", "refs/heads/release/*", "refs/tags/v1"], narrowing),
    );
    (prop::collection::vec(subject, 1..4), narrowed).prop_map(|(subjects, (actors, workflows, refs))| {
        let mut entry = json!({"Subjects": subjects});
        for (name, value) in [actors, workflows, refs] {
            if !value.is_null() {
                entry[name] = value;
            }
        }
        entry
    })
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
