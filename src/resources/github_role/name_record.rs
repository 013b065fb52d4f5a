//! The names that a role trusts or trusted, with the ids that they had, recorded in tags of the role: users, of whom the policy
//! holds ids only, and repositories and owners that are no longer in the policy. A rollback may bring them back, or an author.
//! Beside them stand the subject templates of repositories, which no subject tells for sure.
//! Names are those of the GitHub that the policy is for. Those of another one have a mark, because each GitHub has its own ids.

use std::collections::{BTreeMap, BTreeSet};

use crate::github::subject_facts::SubjectFormat;
use crate::ownership::{TAG_QUOTA, Tags, digest};

/// Names with their ids, the newest first: a record that has no room for all forgets the oldest, and says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameRecord {
    /// Absent where no version wrote a record.
    names: Option<Vec<(String, u64)>>,
    /// The format of the subjects that repositories had when they left the policy, by their keys.
    formats: BTreeMap<String, SubjectFormat>,
    /// The subject templates of repositories that have another one than the default, by their template keys.
    templates: BTreeMap<String, Vec<String>>,
    /// The number of names, from the newest on, that stand before the templates.
    first: usize,
    /// The number of tags that it may take.
    limit: usize,
    /// True if names were forgotten.
    is_cut: bool,
}

impl Default for NameRecord {
    fn default() -> Self {
        let (formats, templates) = (BTreeMap::new(), BTreeMap::new());
        Self { names: None, formats, templates, first: 0, limit: PIECES, is_cut: false }
    }
}

/// The tag of the first piece. The others have a number behind it.
const KEY: &str = "github-trust:names";
/// Begins the first piece, before the number of pieces.
const BEGIN: &str = "=";
/// Stands behind the number of pieces, where names were forgotten or not.
const CUT: [&str; 2] = [".", "+"];
/// The largest number of pieces. With all of them, the names of the largest trust policy have room.
const PIECES: usize = 9;
/// The tags of a role that are ours beside the pieces, and two for an adoption or a hand-over.
const BESIDE: usize = 8;
/// A tag takes no brackets.
const BOT: (&str, &str) = ("[bot]", "+bot");
/// The longest value of a tag.
const VALUE: usize = 256;
/// Begins the key of a repository.
const REPOSITORY: char = '/';
/// The characters of the digest of a repository's name, five bits each.
const DIGEST: usize = 6;
/// Stands behind the id of a repository that had subjects of this format.
const FORMATS: [(char, SubjectFormat); 2] = [('c', SubjectFormat::Classic), ('i', SubjectFormat::Immutable)];
/// Begins a word with a template, and each claim of it.
const CLAIM: char = ':';
/// The longest word with a template, in characters.
const TEMPLATE_WORD: usize = 200;
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

/// The key of a repository's template: of its key and its id, because another repository may have the name later. Where no id is
/// known, the key alone.
pub(super) fn template_key(name_key: &str, id: Option<u64>) -> String {
    let Some(id) = id else { return name_key.to_owned() };
    let (name, mark) = name_key.split_once(ELSEWHERE).unwrap_or((name_key, ""));
    let mark = if mark.is_empty() { String::new() } else { format!("{ELSEWHERE}{mark}") };
    format!("{REPOSITORY}{}{mark}", digest(&[name, &id.to_string()], DIGEST))
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

    /// The same record with the formats of its repositories.
    pub(super) fn with_formats(mut self, mut formats: BTreeMap<String, SubjectFormat>) -> Self {
        formats.retain(|known, _| self.iter().any(|(name, _)| name == known));
        self.formats = formats;
        self
    }

    /// The same record with the templates of repositories. A tag has no room for a template of more than some 190 characters.
    pub(super) fn with_templates(mut self, mut templates: BTreeMap<String, Vec<String>>) -> Self {
        templates.retain(|_, keys| is_written(keys));
        if !templates.is_empty() {
            self.names.get_or_insert_default();
        }
        self.templates = templates;
        self
    }

    /// The same record on a role with a number of tags that its author declares, which leave room for fewer names.
    pub(super) fn beside(self, declared_tags: usize) -> Self {
        let limit = TAG_QUOTA.saturating_sub(BESIDE + declared_tags).clamp(1, PIECES);
        Self { limit, ..self }
    }

    /// The same record with room for this number of names before templates have any.
    pub(super) fn with_first(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// The number of templates for which there is no room.
    pub(super) fn unwritten_templates(&self) -> usize {
        self.templates.len() - Self::read(&self.write()).templates.len()
    }

    /// The formats of repositories, by their keys.
    pub(super) fn formats(&self) -> &BTreeMap<String, SubjectFormat> {
        &self.formats
    }

    /// The format of the subjects that a repository had when it left the policy.
    pub(super) fn format(&self, name: &str) -> Option<SubjectFormat> {
        self.formats.get(&key(name)).copied()
    }

    /// The templates of repositories, by their template keys.
    pub(super) fn templates(&self) -> &BTreeMap<String, Vec<String>> {
        &self.templates
    }

    /// The claims of the template of a repository with this id, if it is another one than the default.
    pub(super) fn template(&self, name: &str, id: Option<u64>) -> Option<&Vec<String>> {
        let recorded = |id| self.templates.get(&template_key(&key(name), id));
        recorded(id).or_else(|| recorded(None))
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
        let (mut names, mut formats, mut templates) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            if let Some(keys) = name.strip_prefix(CLAIM) {
                let keys: Vec<String> = keys.split(CLAIM).map(str::to_owned).collect();
                let repositories = value.split(REPOSITORY).filter(|digest| !digest.is_empty());
                templates.extend(repositories.map(|digest| (format!("{REPOSITORY}{digest}"), keys.clone())));
                continue;
            }
            let format = FORMATS.into_iter().find(|(mark, _)| value.ends_with(*mark));
            if let Ok(id) = value.trim_end_matches(|mark: char| mark.is_ascii_lowercase()).parse() {
                let name = name.replace(BOT.1, BOT.0);
                formats.extend(format.map(|(_, format)| (name.clone(), format)));
                names.push((name, id));
            }
        }
        let names = Self::of(names.iter().map(|(name, id)| (name.as_str(), *id)));
        Self { formats, templates, is_cut, ..names }
    }

    /// The same record beside a policy for another GitHub: a name at `from` gets a mark, and one at `to` loses it.
    pub(super) fn moved(&self, from: &str, to: &str) -> Self {
        if from == to {
            return self.clone();
        }
        let (theirs, ours) = (digest(&[from], MARK).to_lowercase(), digest(&[to], MARK).to_lowercase());
        let moved = |name: &String| match name.split_once(ELSEWHERE) {
            None => format!("{name}{ELSEWHERE}{theirs}"),
            Some((plain, mark)) if mark == ours => plain.to_owned(),
            Some(_) => name.clone(),
        };
        Self {
            names: self.names.as_ref().map(|names| names.iter().map(|(name, id)| (moved(name), *id)).collect()),
            formats: self.formats.iter().map(|(name, format)| (moved(name), *format)).collect(),
            templates: self.templates.iter().map(|(name, keys)| (moved(name), keys.clone())).collect(),
            ..self.clone()
        }
    }

    /// Both together, this one's names first.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let both = || Self::of(self.iter().chain(other.iter()));
        let (mut formats, mut templates) = (other.formats.clone(), other.templates.clone());
        formats.extend(self.formats.clone());
        templates.extend(self.templates.clone());
        Self {
            names: self.names.as_ref().or(other.names.as_ref()).and_then(|_| both().names),
            formats,
            templates,
            first: self.first.max(other.first),
            limit: self.limit.min(other.limit),
            is_cut: self.is_cut || other.is_cut,
        }
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

    /// The words of each piece, and the number of names in them. Where not all have room, present names come before templates.
    fn pieces(&self) -> (Vec<String>, usize) {
        let (pieces, names, has_all) = self.pieces_with(0);
        if has_all {
            return (pieces, names);
        }
        let (pieces, names, _) = self.pieces_with(self.first);
        (pieces, names)
    }

    /// The pieces with this number of names before the templates, the number of names in them, and true if everything has room.
    fn pieces_with(&self, first: usize) -> (Vec<String>, usize, bool) {
        let name = |(name, id): (&str, u64)| {
            let format = self.formats.get(name);
            let mark = FORMATS.iter().find(|(_, known)| Some(known) == format).map(|(mark, _)| *mark);
            format!(" {}={id}{}", name.replace(BOT.0, BOT.1), mark.map(String::from).unwrap_or_default())
        };
        let mut pieces = vec![String::new()];
        let mut add = |word: &String| {
            let full = pieces.len() == self.limit;
            match pieces.last_mut().filter(|last| BEGIN.len() + 2 + last.len() + word.len() <= VALUE) {
                Some(last) => *last += word,
                None if full => return false,
                None => pieces.push(word.clone()),
            }
            true
        };
        let names: Vec<String> = self.iter().map(name).collect();
        let (before, behind) = names.split_at(first.min(names.len()));
        let mut written = before.iter().take_while(|word| add(word)).count();
        let templates = self.template_words();
        // After a long template, a shorter one may have room.
        let recorded = templates.iter().filter(|word| add(word)).count();
        if written == before.len() {
            written += behind.iter().take_while(|word| add(word)).count();
        }
        (pieces, written, written == names.len() && recorded == templates.len())
    }

    /// A word for each template, with the repositories that have it.
    fn template_words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut by_keys: BTreeMap<&Vec<String>, Vec<&String>> = BTreeMap::new();
        for (name, keys) in &self.templates {
            by_keys.entry(keys).or_default().push(name);
        }
        for (keys, names) in by_keys {
            let begin = format!(" {CLAIM}{}=", keys.join(&CLAIM.to_string()));
            let mut word = begin.clone();
            for name in names {
                if word.len() > TEMPLATE_WORD {
                    words.push(std::mem::replace(&mut word, begin.clone()));
                }
                word += name;
            }
            words.push(word);
        }
        words
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

/// Returns true for a template that a tag can have.
fn is_written(keys: &[String]) -> bool {
    let is_claim = |key: &String| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    keys.iter().all(is_claim) && keys.iter().map(|key| key.len() + 1).sum::<usize>() + 2 <= TEMPLATE_WORD
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
    fn formats_and_templates_of_repositories_survive_the_tags() {
        let keys = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let formats = [("acme/app", SubjectFormat::Classic), ("acme/web", SubjectFormat::Immutable)];
        let templates = [("acme/web", "repo context ref"), ("acme/ci", "repo context ref"), ("acme/one", "repo")];
        let record = NameRecord::of([("acme/app", 44), ("acme/web", 55), ("acme/old", 33), ("octocat", 11)])
            .with_formats(formats.map(|(name, format)| (key(name), format)).into())
            .with_templates(templates.map(|(name, template)| (key(name), keys(template))).into());
        let read = NameRecord::read(&record.write());
        assert_eq!(read, record);
        for (name, format) in formats {
            assert_eq!(read.format(&name.to_uppercase()), Some(format), "{name}");
        }
        for (name, template) in templates {
            assert_eq!(read.template(&name.to_uppercase(), None), Some(&keys(template)), "{name}");
        }
        assert_eq!(
            (read.format("acme/old"), read.format("acme/none"), read.template("acme/app", None)),
            (None, None, None)
        );
        let alone = NameRecord::default().with_templates([(key("acme/app"), keys("repo context ref"))].into());
        assert_eq!(NameRecord::read(&alone.write()), alone);
        let templates =
            (0..4).map(|index| (key(&format!("acme/{index}")), vec!["repository_owner".to_owned(); 6 + index]));
        let crowded = NameRecord::of([("octocat", 11)]).with_templates(templates.collect()).beside(43);
        let read = NameRecord::read(&crowded.write());
        assert!(crowded.write().len() == 1 && read.templates().len() == 2, "{:?}", crowded.write());
        assert_eq!((read.ids("octocat"), read.is_cut(), crowded.unwritten_templates()), ([11].into(), false, 2));
        let names: Vec<String> = (0..9).map(|index| format!("octocat-{index}")).collect();
        let many = NameRecord::of(names.iter().map(|name| (name.as_str(), 1_234_567)));
        let many = many.with_templates(crowded.templates().clone()).beside(43);
        let (later, present) = (NameRecord::read(&many.write()), NameRecord::read(&many.with_first(9).write()));
        assert_eq!((later.templates().len(), present.templates().len()), (2, 0));
        assert!(later.is_cut() && !present.is_cut() && present.iter().count() == 9, "{present:?}");
        let unwritten = [keys("repo repo_property_$"), vec!["repository_owner".to_owned(); 20]];
        for keys in unwritten {
            let none = NameRecord::default().with_templates([(key("acme/app"), keys)].into());
            assert_eq!(none.write(), Tags::new());
        }
    }

    #[test]
    fn a_template_of_many_repositories_takes_few_tags() {
        let keys = ["repo", "context", "job_workflow_ref"].map(str::to_owned).to_vec();
        let templates: BTreeMap<String, Vec<String>> =
            (0..116).map(|index| (key(&format!("octo-org/repository-{index}")), keys.clone())).collect();
        let record = NameRecord::of([("octocat", 11)]).with_templates(templates);
        let tags = record.write();
        assert!(tags.len() <= 5 && tags.values().all(|value| value.len() <= VALUE), "{tags:?}");
        assert_eq!(NameRecord::read(&tags), record);
    }

    #[test]
    fn tags_of_an_author_leave_room_for_fewer_names() {
        let names: Vec<String> = (0..200).map(|index| format!("user-{index}")).collect();
        for (declared, pieces) in [(0, 9), (33, 9), (34, 8), (41, 1), (43, 1)] {
            let record = NameRecord::of(names.iter().map(|name| (name.as_str(), 7))).beside(declared);
            assert_eq!(record.write().len(), pieces, "{declared}");
            assert!(record.union(&NameRecord::of([])).write().len() == pieces && record.room() > 15);
        }
    }

    #[test]
    fn names_of_another_github_stay_marked_until_the_policy_is_for_it_again() {
        let keys = vec!["repo".to_owned(), "ref".to_owned()];
        let record =
            NameRecord::of([("acme/app", 44), ("octocat", 11)]).with_templates([(key("acme/app"), keys)].into());
        let there = NameRecord::read(&record.moved("github.com", "acme.ghe.com").write());
        assert!(there.ids("acme/app").is_empty() && there.ids("octocat").is_empty() && there.accounts().is_empty());
        assert!(there.template("acme/app", None).is_none());
        let both = there.union(&NameRecord::of([("octocat", 22)]));
        assert_eq!((both.accounts(), both.ids("octocat")), (["octocat"].into(), [22].into()));
        let third = both.moved("acme.ghe.com", "github.example.com");
        assert!(third.accounts().is_empty());
        let back = NameRecord::read(&third.moved("github.example.com", "github.com").write());
        assert_eq!((back.ids("acme/app"), back.ids("octocat")), ([44].into(), [11].into()));
        assert_eq!(back.templates(), record.templates());
        assert_eq!(record.moved("github.com", "github.com"), record);
    }

    #[test]
    fn many_names_take_several_tags_and_the_oldest_are_forgotten_last() {
        let names: Vec<String> = (0..200).map(|index| format!("octo-org/repository-{index:03}")).collect();
        let formats = || names.iter().map(|name| (key(name), SubjectFormat::Immutable)).collect();
        let record = |count: usize| {
            NameRecord::of(names[..count].iter().map(|name| (name.as_str(), 456_789_000))).with_formats(formats())
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
