//! The links between roles and the entries at their sides.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::admitted_repositories::Source;
use crate::audit::permission_groups::Group;
use crate::audit::report::Report;

/// An entry at the right: its rank, and its words.
pub(super) type Right = (usize, String);

/// The entries at the left and at the right, each with the roles that it is linked to.
pub(super) struct Links {
    pub(super) sources: BTreeMap<Source, BTreeSet<usize>>,
    pub(super) rights: BTreeMap<Right, BTreeSet<usize>>,
}

impl Links {
    pub(super) fn of(report: &Report) -> Self {
        let mut links = Self { sources: BTreeMap::new(), rights: BTreeMap::new() };
        for (number, role) in report.roles.iter().enumerate() {
            for source in &role.sources {
                links.sources.entry(source.clone()).or_default().insert(number);
            }
            let groups = role.permissions.iter().map(|group| (*group as usize, group_words(*group).to_owned()));
            let clusters = role.clusters.iter().map(|access| (usize::MAX, format!("Cluster {}", access.cluster)));
            for right in groups.chain(clusters) {
                links.rights.entry(right).or_default().insert(number);
            }
        }
        links
    }

    /// The names of the entries that a role is linked to, with blanks between them.
    pub(super) fn of_role(&self, role: usize) -> String {
        let sources = self.sources.values().enumerate().map(|(number, roles)| (format!("s{number}"), roles));
        let rights = self.rights.values().enumerate().map(|(number, roles)| (format!("p{number}"), roles));
        let linked = sources.chain(rights).filter(|(_, roles)| roles.contains(&role)).map(|(name, _)| name);
        linked.collect::<Vec<_>>().join(" ")
    }
}

/// A source as people read it.
pub(super) fn source_words(source: &Source) -> String {
    let Source { owner, repository } = source;
    match (owner.as_str(), repository.as_str()) {
        ("*", _) => "Anybody at GitHub".to_owned(),
        (owner, "*") => format!("{owner}/*"),
        (owner, repository) => format!("{owner}/{repository}"),
    }
}

/// A group of permissions as people read it.
pub(super) fn group_words(group: Group) -> &'static str {
    match group {
        Group::Administrator => "Everything (administrator)",
        Group::Iam => "Permissions of others (iam)",
        Group::Data => "Data and secrets (data)",
        Group::Deploy => "Code, stacks and clusters (deploy)",
        Group::Other => "Other actions (other)",
    }
}
