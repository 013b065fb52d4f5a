//! The names that a role trusts or trusted, with the ids that they had, recorded in tags of the role: users, of whom the policy
//! holds ids only, and repositories and owners that are no longer in the policy. A rollback may bring them back, or an author.
//! Names are those of the GitHub that the policy is for. Those of another one have a mark, because each GitHub has its own ids.

use std::collections::{BTreeMap, BTreeSet};

use crate::github::subject_facts::SubjectFormat;
use crate::ownership::{Tags, digest};

/// Names with their ids, the newest first: a record that has no room for all forgets the oldest, and says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameRecord {
    /// Absent where no version wrote a record.
    names: Option<Vec<(String, u64)>>,
    /// The subjects that repositories had when they left the policy, by their keys.
    subjects: BTreeMap<String, FormerSubjects>,
    /// True if names were forgotten.
    is_cut: bool,
}

/// The subjects that a repository had when it left the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FormerSubjects {
    /// Their format, where they had one.
    pub(super) format: Option<SubjectFormat>,
    /// True if they were of another template than the default one.
    pub(super) has_template: bool,
}

/// The tag of the first piece. The others have a number behind it.
const KEY: &str = "github-trust:names";
/// Begins the first piece, before the number of pieces.
const BEGIN: &str = "=";
/// Stands behind the number of pieces, where names were forgotten or not.
const CUT: [&str; 2] = [".", "+"];
/// The number of pieces. With all of them, the names of the largest trust policy have room.
pub(super) const PIECES: usize = 9;
/// A tag takes no brackets.
const BOT: (&str, &str) = ("[bot]", "+bot");
/// The longest value of a tag.
const VALUE: usize = 256;
/// Begins the key of a repository.
const REPOSITORY: char = '/';
/// The characters of the digest of a repository's name, five bits each.
const DIGEST: usize = 6;
/// Stands behind the id of a repository that had these subjects.
const MARKS: [(char, FormerSubjects); 5] = {
    const fn of(format: Option<SubjectFormat>, has_template: bool) -> FormerSubjects {
        FormerSubjects { format, has_template }
    }
    [
        ('c', of(Some(SubjectFormat::Classic), false)),
        ('i', of(Some(SubjectFormat::Immutable), false)),
        ('d', of(Some(SubjectFormat::Classic), true)),
        ('j', of(Some(SubjectFormat::Immutable), true)),
        ('t', of(None, true)),
    ]
};
/// Begins the mark of a name at another GitHub.
const ELSEWHERE: char = '@';
/// The characters of that mark.
const MARK: usize = 3;

/// The key of a name, which GitHub takes in any case: an account is its own, and a repository its digest, which is shorter.
pub(super) fn key(name: &str) -> String {
    let name = name.to_lowercase();
    match name.find(REPOSITORY) {
        None | Some(0) => name,
        Some(_) => format!("{REPOSITORY}{}", digest(&[&name], DIGEST)),
    }
}

pub(super) fn is_account(key: &str) -> bool {
    !key.contains(REPOSITORY)
}

impl NameRecord {
    /// A record of these names or keys, the newest first.
    pub(crate) fn of<'a>(names: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let mut known = Vec::new();
        for (name, id) in names {
            let pair = (key(name), id);
            if !known.contains(&pair) {
                known.push(pair);
            }
        }
        Self { names: Some(known), ..Self::default() }
    }

    /// A record that has forgotten names, or none.
    pub(super) fn cut_if(is_cut: bool) -> Self {
        Self { is_cut, ..Self::default() }
    }

    /// The same record with the subjects of its repositories.
    pub(super) fn with_subjects(mut self, mut subjects: BTreeMap<String, FormerSubjects>) -> Self {
        subjects.retain(|known, _| self.iter().any(|(name, _)| name == known));
        self.subjects = subjects;
        self
    }

    /// The subjects of repositories, by their keys.
    pub(super) fn subjects(&self) -> &BTreeMap<String, FormerSubjects> {
        &self.subjects
    }

    /// The subjects that a repository had when it left the policy.
    pub(super) fn former_subjects(&self, name: &str) -> FormerSubjects {
        self.subjects.get(&key(name)).copied().unwrap_or_default()
    }

    pub(crate) fn read(tags: &Tags) -> Self {
        let piece = |index: usize| tags.get(&tag(index)).map(String::as_str);
        let Some((head, first)) = piece(0).and_then(|first| first.strip_prefix(BEGIN)?.split_at_checked(2)) else {
            return Self::default();
        };
        let count: usize = head.get(..1).and_then(|count| count.parse().ok()).unwrap_or_default();
        let pieces: Vec<Option<&str>> = (1..count).map(piece).collect();
        // A piece that somebody removed holds names that are forgotten.
        let is_cut = head.ends_with(CUT[1]) || pieces.contains(&None);
        let words = [Some(first)].into_iter().chain(pieces).flatten().flat_map(|piece| piece.split(' '));
        let (mut names, mut subjects) = (Vec::new(), BTreeMap::new());
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let former = MARKS.into_iter().find(|(mark, _)| value.ends_with(*mark));
            if let Ok(id) = value.trim_end_matches(MARKS.map(|(mark, _)| mark)).parse() {
                let name = name.replace(BOT.1, BOT.0);
                subjects.extend(former.map(|(_, former)| (name.clone(), former)));
                names.push((name, id));
            }
        }
        Self { subjects, is_cut, ..Self::of(names.iter().map(|(name, id)| (name.as_str(), *id))) }
    }

    /// The same record beside a policy for another GitHub: a name at `from` gets a mark, and one at `to` loses it.
    pub(super) fn moved(&self, from: &str, to: &str) -> Self {
        if from == to {
            return self.clone();
        }
        let (theirs, ours) = (digest(&[from], MARK).to_lowercase(), digest(&[to], MARK).to_lowercase());
        let moved = |(name, id): &(String, u64)| match name.split_once(ELSEWHERE) {
            None => (format!("{name}{ELSEWHERE}{theirs}"), *id),
            Some((plain, mark)) if mark == ours => (plain.to_owned(), *id),
            Some(_) => (name.clone(), *id),
        };
        let names = self.names.as_ref().map(|names| names.iter().map(moved).collect());
        let subjects = self.subjects.iter().map(|(name, known)| (moved(&(name.clone(), 0)).0, *known)).collect();
        Self { names, subjects, is_cut: self.is_cut }
    }

    /// Both together, this one's names first.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let both = || Self::of(self.iter().chain(other.iter()));
        let names = self.names.as_ref().or(other.names.as_ref()).and_then(|_| both().names);
        let subjects =
            other.subjects.iter().chain(&self.subjects).map(|(name, known)| (name.clone(), *known)).collect();
        Self { names, is_cut: self.is_cut || other.is_cut, subjects }
    }

    /// The ids that a name had.
    pub(crate) fn ids(&self, name: &str) -> BTreeSet<u64> {
        let name = key(name);
        self.iter().filter(|(known, _)| *known == name).map(|(_, id)| id).collect()
    }

    /// The newest of the ids that a name had, of those that count.
    pub(super) fn newest(&self, name: &str, counts: impl Fn(u64) -> bool) -> Option<u64> {
        let name = key(name);
        self.iter().find(|(known, id)| *known == name && counts(*id)).map(|(_, id)| id)
    }

    /// Returns true if an account that is not recorded was not trusted as a user.
    pub(crate) fn is_whole(&self) -> bool {
        self.names.is_some() && !self.is_cut
    }

    /// Returns true if a name that is not recorded may have been trusted.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The keys of the names with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().flatten().map(|(name, id)| (name.as_str(), *id))
    }

    /// The accounts at the policy's GitHub.
    pub(super) fn accounts(&self) -> BTreeSet<&str> {
        self.iter().map(|(name, _)| name).filter(|name| is_account(name) && !name.contains(ELSEWHERE)).collect()
    }

    /// The number of names that have room, from the newest on.
    pub(super) fn room(&self) -> usize {
        self.pieces().1
    }

    /// The words of each piece, and the number of names in them.
    fn pieces(&self) -> (Vec<String>, usize) {
        let mut pieces = vec![String::new()];
        for (count, (name, id)) in self.iter().enumerate() {
            let former = self.subjects.get(name);
            let mark = MARKS.iter().find(|(_, known)| Some(known) == former).map(|(mark, _)| *mark);
            let word = format!(" {}={id}{}", name.replace(BOT.0, BOT.1), mark.map(String::from).unwrap_or_default());
            let full = pieces.len() == PIECES;
            match pieces.last_mut().filter(|last| BEGIN.len() + 2 + last.len() + word.len() <= VALUE) {
                Some(last) => *last += &word,
                None if full => return (pieces, count),
                None => pieces.push(word),
            }
        }
        (pieces, self.iter().count())
    }

    /// The tags; none without a record.
    pub(super) fn write(&self) -> Tags {
        if self.names.is_none() {
            return Tags::new();
        }
        let (pieces, room) = self.pieces();
        let is_cut = self.is_cut || room < self.iter().count();
        let head = format!("{BEGIN}{}{}", pieces.len(), CUT[usize::from(is_cut)]);
        let value = |(index, piece): (usize, &String)| {
            let value = if index == 0 { format!("{head}{piece}") } else { piece.trim_start().to_owned() };
            (tag(index), value)
        };
        pieces.iter().enumerate().map(value).collect()
    }
}

fn tag(index: usize) -> String {
    if index == 0 { KEY.to_owned() } else { format!("{KEY}:{index}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_ids_survive_the_tags() {
        let record = NameRecord::of([("acme/App", 44), ("Octocat", 11), ("dependabot[bot]", 22)]);
        let tags = record.write();
        assert_eq!(tags.len(), 1);
        assert!(tags[KEY].starts_with("=1. /") && tags[KEY].ends_with("=44 octocat=11 dependabot+bot=22"), "{tags:?}");
        let read = NameRecord::read(&tags);
        assert_eq!(read, record);
        assert_eq!((read.ids("OCTOCAT"), read.ids("dependabot[bot]")), ([11].into(), [22].into()));
        assert_eq!((read.ids("ACME/app"), read.ids("acme/ap")), ([44].into(), [].into()));
        assert!(read.is_whole() && read.ids("mona").is_empty());
        assert!(!NameRecord::read(&Tags::new()).is_whole());
        assert_eq!(NameRecord::read(&NameRecord::of([]).write()), NameRecord::of([]));
        let both = record.union(&NameRecord::of([("octocat", 33)]));
        assert_eq!(NameRecord::read(&both.write()).ids("octocat"), [11, 33].into());
        assert_eq!(NameRecord::default().write(), Tags::new());
    }

    #[test]
    fn the_subjects_of_repositories_survive_the_tags() {
        let of = |format, has_template| FormerSubjects { format, has_template };
        let (classic, immutable) = (Some(SubjectFormat::Classic), Some(SubjectFormat::Immutable));
        let all = [("acme/app", of(classic, false)), ("acme/web", of(immutable, true)), ("acme/ci", of(None, true))];
        let known = all.map(|(name, former)| (key(name), former)).into_iter().collect();
        let names = [("acme/app", 44), ("acme/web", 55), ("acme/ci", 66), ("acme/old", 33), ("octocat", 11)];
        let record = NameRecord::of(names).with_subjects(known);
        let read = NameRecord::read(&record.write());
        assert_eq!(read, record);
        for (name, former) in all {
            assert_eq!(read.former_subjects(&name.to_uppercase()), former, "{name}");
        }
        assert_eq!(read.former_subjects("acme/old"), FormerSubjects::default());
        assert_eq!(read.former_subjects("acme/none"), FormerSubjects::default(), "it is not recorded");
    }

    #[test]
    fn names_of_another_github_stay_marked_until_the_policy_is_for_it_again() {
        let record = NameRecord::of([("acme/app", 44), ("octocat", 11)]);
        let there = NameRecord::read(&record.moved("github.com", "acme.ghe.com").write());
        assert!(there.ids("acme/app").is_empty() && there.ids("octocat").is_empty() && there.accounts().is_empty());
        let both = there.union(&NameRecord::of([("octocat", 22)]));
        assert_eq!((both.accounts(), both.ids("octocat")), (["octocat"].into(), [22].into()));
        let third = both.moved("acme.ghe.com", "github.example.com");
        assert!(third.accounts().is_empty());
        let back = NameRecord::read(&third.moved("github.example.com", "github.com").write());
        assert_eq!((back.ids("acme/app"), back.ids("octocat")), ([44].into(), [11].into()));
        assert_eq!(record.moved("github.com", "github.com"), record);
    }

    #[test]
    fn many_names_take_several_tags_and_the_oldest_are_forgotten_last() {
        let names: Vec<String> = (0..200).map(|index| format!("octo-org/repository-{index:03}")).collect();
        let former = FormerSubjects { format: Some(SubjectFormat::Immutable), has_template: true };
        let subjects = || names.iter().map(|name| (key(name), former)).collect();
        let record = |count: usize| {
            NameRecord::of(names[..count].iter().map(|name| (name.as_str(), 456_789_000))).with_subjects(subjects())
        };
        let room = record(200).room();
        assert!(room > 116 && room < 200, "{room}: the largest trust policy names 116 repositories and their owner");
        let tags = record(room).write();
        assert!(tags.len() == PIECES && tags.values().all(|value| value.len() <= VALUE), "{tags:?}");
        let read = NameRecord::read(&tags);
        assert!(read.is_whole() && names[..room].iter().all(|name| read.ids(name) == [456_789_000].into()));
        let read = NameRecord::read(&record(200).write());
        assert!(read.is_cut() && names[..room].iter().all(|name| read.ids(name) == [456_789_000].into()));
        assert!(NameRecord::read(&read.write()).is_cut(), "it stays known");
    }

    #[test]
    fn a_piece_that_somebody_removed_is_known_to_be_missing() {
        let names: Vec<String> = (0..60).map(|index| format!("user-{index}")).collect();
        let mut tags = NameRecord::of(names.iter().map(|name| (name.as_str(), 7))).write();
        assert!(NameRecord::read(&tags).is_whole());
        tags.remove(&tag(2));
        assert!(NameRecord::read(&tags).is_cut());
    }
}
