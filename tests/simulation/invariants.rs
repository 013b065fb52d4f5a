//! What must never happen (I1 to I9), checked from outside: by what CloudFormation sent, what Lambda ran, which calls
//! were made, and what is in the account. None of it asks the code under test, and ownership is known by who acted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::account::{Account, Id, Kind, Object, Snapshot};
use super::answer::Verdict;
use super::author::Author;
use super::calls::Call;
use super::cloud::{Cloud, Witness};
use super::cloudformation::{RequestType, Resource, Sent};
use super::expected_state::{self, Authors, ENTRY, PROVIDER, ROLE};
use super::grants;
use super::hands::Hands;
use super::iam::FETCHED_THUMBPRINT;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// `I1` … `I9`.
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// A resource that a stack has.
pub(crate) struct Living {
    pub(crate) stack: String,
    pub(crate) logical: String,
    pub(crate) resource: Resource,
}

/// A request, and what was there when it was sent.
struct Known {
    sent: Sent,
    before: Snapshot,
}

/// Everything that the invariants need to remember.
#[derive(Default)]
pub(crate) struct Ledger {
    requests: BTreeMap<String, Known>,
    authors: Authors,
    /// Resources that were answered with SUCCESS and that nothing has been asked of since.
    resting: BTreeMap<(String, String), Sent>,
    /// Client ids that were taken from somebody by a call that was under way for long. The owner that took them gives them back as
    /// soon as it sees that they are claimed; until everything has ended there is time for that.
    taken: Vec<(Sent, String, String)>,
    /// Resources that were answered with SUCCESS while a duplicate still ran.
    unchecked: Vec<Sent>,
    /// Thumbprints that somebody has vouched for.
    verified: BTreeSet<String>,
    /// What Deletes that failed were about: it is left, and their failure says so.
    undeleted: BTreeSet<Id>,
    /// Objects that their resources let go (`DeletionPolicy: Retain`).
    let_go: BTreeSet<Id>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) hands: Hands,
}

pub(crate) fn lock(ledger: &Arc<Mutex<Ledger>>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Shows the ledger what happens in a cloud.
pub(crate) struct Watch(pub(crate) Arc<Mutex<Ledger>>);

impl Watch {
    pub(crate) fn over(cloud: &Cloud) -> Arc<Mutex<Ledger>> {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let mut state = cloud.state();
        lock(&ledger).attribute(&Snapshot::default(), &state.account.snapshot(), &Author::Someone);
        state.witnesses.push(Box::new(Self(Arc::clone(&ledger))));
        ledger
    }
}

impl Witness for Watch {
    fn changed(&mut self, before: &Snapshot, after: &Snapshot, call: &Call) {
        let mut ledger = lock(&self.0);
        ledger.nothing_foreign(before, after, call);
        ledger.attribute(before, after, &call.author);
        ledger.never_too_much_nor_too_little(before, after, call);
        ledger.bounded_from_birth(before, after, call);
        ledger.thumbprints_in_order(after, call);
        ledger.others_keep_what_they_have(before, after, call);
        let request = call.request.as_ref().and_then(|request| ledger.requests.get(request));
        let request = request.map(|known| known.sent.clone());
        for stranger in ledger.hands.strangers(before, after, request.as_ref()) {
            ledger.violated("I9", format!("{stranger} (call {})", call.number));
        }
    }

    fn changed_by_hand(&mut self, before: &Snapshot, after: &Snapshot) {
        let mut ledger = lock(&self.0);
        ledger.attribute(before, after, &Author::Someone);
        ledger.hands.changed_by_hand(before, after);
    }
}

impl Ledger {
    /// A name that changes hands opens no role that is there already.
    pub(crate) fn changed_at_github(&mut self, account: &Account, now: &Snapshot) {
        self.hands.show(account);
        for stranger in self.hands.new_strangers(now) {
            self.violated("I9", format!("{stranger} (a change at GitHub)"));
        }
    }

    pub(crate) fn violated(&mut self, invariant: &'static str, what: impl Into<String>) {
        let violation = Violation { invariant, what: what.into() };
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    /// A resource lets go of its object, which another resource may take over.
    pub(crate) fn lets_go(&mut self, stack: &str, logical: &str, ids: impl IntoIterator<Item = Id>) {
        self.resting.remove(&(stack.to_owned(), logical.to_owned()));
        self.let_go.extend(ids);
    }

    /// CloudFormation has sent a request.
    pub(crate) fn sent(&mut self, sent: &Sent, before: Snapshot) {
        self.resting.remove(&(sent.stack.clone(), sent.logical.clone()));
        if let Some(list) = sent.properties["ThumbprintList"].as_array() {
            self.verified.extend(list.iter().filter_map(|one| one.as_str()).map(str::to_lowercase));
        }
        self.requests.insert(sent.id.clone(), Known { sent: sent.clone(), before });
    }

    /// CloudFormation has made up its mind about a request.
    pub(crate) fn judged(&mut self, sent: &Sent, verdict: &Verdict, now: &Snapshot, alone: bool) {
        let key = (sent.stack.clone(), sent.logical.clone());
        match (sent.kind, verdict) {
            (RequestType::Delete, Verdict::Success { .. }) => {}
            (RequestType::Delete, _) => {
                let physical = sent.physical.as_deref().unwrap_or_default();
                let left = expected_state::find(&sent.resource_type, physical, &sent.properties, now);
                if let Some((id, _)) = left {
                    self.undeleted.insert(id.clone());
                    let secret = expected_state::secret_of_role(&id.name);
                    let is_its = |id: &&Id| id.kind == Kind::Memory && id.name == secret;
                    self.undeleted.extend(now.objects.keys().filter(is_its).cloned());
                } else {
                    // Under an id that was never ours: whatever the resource has made.
                    let author = Author::resource(&sent.stack, &sent.logical);
                    let made = now.objects.iter().filter(|(_, object)| object.made_by == author);
                    self.undeleted.extend(made.map(|(id, _)| id.clone()));
                }
            }
            (_, Verdict::Success { physical, data }) => {
                if alone {
                    self.names_are_told(sent, physical, data, now);
                }
                let mut resting = sent.clone();
                resting.physical = Some(physical.clone());
                // A duplicate that still runs may take the long way round; then it counts where it ends.
                if alone {
                    self.as_promised(&resting, now);
                } else {
                    self.unchecked.push(resting.clone());
                }
                self.resting.insert(key, resting);
            }
            _ => {}
        }
    }

    /// I9, too: the answer tells of names that no id pins.
    fn names_are_told(&mut self, sent: &Sent, physical: &str, data: &Value, now: &Snapshot) {
        let role = expected_state::find(&sent.resource_type, physical, &sent.properties, now);
        let Some((id, role)) = role.filter(|(id, _)| id.kind == Kind::Role) else { return };
        let names = self.hands.trusted_by_name(role);
        let warning = data["Warning"].as_str().unwrap_or_default();
        if !names.is_empty() && !["by name alone", "see the function's log"].iter().any(|told| warning.contains(told)) {
            self.violated("I9", format!("{id} trusts {names:?} by name alone, and the answer says {warning:?}"));
        }
    }

    /// Nothing runs any more: what could not be checked when it was answered is checked now, unless more was asked since.
    pub(crate) fn settled(&mut self, now: &Snapshot) {
        for sent in std::mem::take(&mut self.unchecked) {
            let resting = self.resting.get(&(sent.stack.clone(), sent.logical.clone()));
            if resting.is_some_and(|resting| resting.id == sent.id) {
                self.as_promised(&sent, now);
            }
        }
        for (sent, wrong, message) in std::mem::take(&mut self.taken) {
            let resting = self.resting.get(&(sent.stack.clone(), sent.logical.clone()));
            let physical = sent.physical.as_deref().unwrap_or_default();
            let still = expected_state::differences(&sent.resource_type, physical, &sent.properties, now, None);
            if resting.is_some_and(|resting| resting.id == sent.id) && still.contains(&wrong) {
                self.violated("I3", message);
            }
        }
    }

    /// I4, by what is really there and not by what a replica shows. A snapshot shows no object at GitHub.
    fn as_promised(&mut self, sent: &Sent, now: &Snapshot) {
        if ![PROVIDER, ROLE, ENTRY].contains(&&*sent.resource_type) {
            return;
        }
        let physical = sent.physical.as_deref().unwrap_or_default();
        let mut wrong =
            expected_state::differences(&sent.resource_type, physical, &sent.properties, now, Some(&self.authors));
        // A rollback leaves an entry whose role somebody else has made again.
        if sent.resource_type == ENTRY && !sent.rolls_back && !expected_state::lets_in(&sent.properties, now) {
            wrong.push("the entry is bound to a role that is no more".to_owned());
        }
        if sent.resource_type == ROLE {
            wrong.extend(expected_state::wrong_declaration(physical, &sent.properties, now));
        }
        for wrong in wrong {
            self.violated("I4", format!("after SUCCESS of {:?} {}: {wrong}", sent.kind, sent.logical));
        }
    }

    /// Notes who set what.
    fn attribute(&mut self, before: &Snapshot, after: &Snapshot, author: &Author) {
        for (id, object) in &after.objects {
            let known = before.objects.get(id);
            for (facet, value) in &object.facets {
                if known.and_then(|known| known.facets.get(facet)) != Some(value) {
                    let author = if self.comes_back(id, facet) { &Author::Someone } else { author };
                    self.authors.insert((id.clone(), facet.clone()), author.clone());
                    if facet == "thumbprints" && !author.is_ours() {
                        self.verified.extend(value.split(' ').map(str::to_lowercase));
                    }
                }
            }
        }
    }

    /// What others had put on an entry is theirs also after the entry was made again.
    fn comes_back(&self, id: &Id, facet: &str) -> bool {
        let same = |(known, of): &(Id, String)| {
            known.kind == Kind::Entry && known.name == id.name && known.serial != id.serial && of == facet
        };
        self.authors.iter().any(|(key, author)| same(key) && *author == Author::Someone)
    }

    fn is_foreign(&self, id: &Id, facet: &str) -> bool {
        self.authors.get(&(id.clone(), facet.to_owned())).is_none_or(|author| !author.is_ours())
    }

    /// I3: roles and entries belong to the one resource that made them; a provider is shared, and of what others put
    /// into it nothing is touched.
    fn nothing_foreign(&mut self, before: &Snapshot, after: &Snapshot, call: &Call) {
        for change in before.changes_to(after) {
            let Some(object) = before.objects.get(&change.id) else { continue };
            let belongs = object.made_by == call.author;
            let allowed = match (change.id.kind, &change.facet) {
                _ if belongs || self.let_go.contains(&change.id) => true,
                // Shared: what we added may go, and the object with it, if one of us made it.
                (Kind::Provider, None) => object.made_by.is_ours(),
                (Kind::Provider, Some(facet)) => change.before.is_none() || !self.is_foreign(&change.id, facet),
                // The schedule repairs roles of ours whose authors want that.
                (Kind::Role, Some(_)) if call.author == Author::Upkeep => {
                    let settings = object.facets.get("tag github-trust:settings");
                    object.made_by.is_ours() && settings.is_some_and(|settings| settings.contains("OnDrift="))
                }
                // The schedule makes entries of ours again, in the name of whose they are.
                (Kind::Entry | Kind::Memory, _) => {
                    object.made_by.is_ours() && [&object.made_by, &call.author].contains(&&Author::Upkeep)
                }
                _ => false,
            };
            if !allowed {
                self.violated(
                    "I3",
                    format!(
                        "{change}, by {:?} with {} (call {}); it was made by {:?}",
                        call.author, call.action, call.number, object.made_by
                    ),
                );
            }
        }
    }

    /// I3, too: what one resource was promised, no event of another takes away.
    fn others_keep_what_they_have(&mut self, before: &Snapshot, after: &Snapshot, call: &Call) {
        let broken: Vec<(Sent, String, String)> = self
            .resting
            .iter()
            .filter(|((stack, logical), _)| call.author != Author::resource(stack, logical))
            .flat_map(|((stack, logical), sent)| {
                let physical = sent.physical.as_deref().unwrap_or_default();
                let wrong = |snapshot| {
                    expected_state::differences(&sent.resource_type, physical, &sent.properties, snapshot, None)
                };
                let was = wrong(before);
                // The schedule brings back what was there, whatever others had made of it.
                let restoring = call.author == Author::Upkeep;
                let new = wrong(after)
                    .into_iter()
                    .filter(move |wrong| !was.contains(wrong) && (!restoring || wrong.ends_with("is not there")));
                new.map(move |wrong| {
                    let message = format!(
                        "{:?} took from {logical} of {stack} with {} (call {}): {wrong}",
                        call.author, call.action, call.number
                    );
                    (sent.clone(), wrong, message)
                })
            })
            .collect();
        // An entry that the schedule makes again is not there for a moment; it let nobody in before.
        let may_be_given_back =
            call.action == "RemoveClientIDFromOpenIDConnectProvider" || call.author == Author::Upkeep;
        for (sent, wrong, message) in broken {
            if may_be_given_back {
                self.taken.push((sent, wrong, message));
            } else {
                self.violated("I3", message);
            }
        }
    }

    /// I5, by the state in which the request found the role and the one it asks for.
    fn never_too_much_nor_too_little(&mut self, before: &Snapshot, after: &Snapshot, call: &Call) {
        let Some(known) = call.request.as_ref().and_then(|request| self.requests.get(request)) else { return };
        if known.sent.resource_type != ROLE {
            return;
        }
        let mut found = Vec::new();
        for (id, role) in after.objects.iter().filter(|(id, _)| id.kind == Kind::Role) {
            if before.objects.get(id) == Some(role) {
                continue;
            }
            // A Delete can overtake the Create whose work it takes away, and be overtaken by its next attempt; each of its
            // calls may leave what was there, and grant nothing.
            let old = match known.sent.kind {
                RequestType::Delete => before.objects.get(id),
                _ => known.before.objects.get(id),
            };
            let old_grants = old.map(grants::of_role).unwrap_or_default();
            let new_grants = match known.sent.kind {
                RequestType::Delete => BTreeSet::new(),
                // What an Update finds under another id than the known one was left by a replacement, and is to go.
                RequestType::Update if known.before.objects.contains_key(id) && is_left_over(&known.sent, id, role) => {
                    BTreeSet::new()
                }
                _ => grants::declared(&known.sent.properties, boundary(old)),
            };
            let now = grants::of_role(role);
            // What others attached is theirs to answer for.
            let theirs = self.permissions_of_others(id, role);
            let own = now.iter().filter(|grant| !theirs.contains(&grant.permission)).cloned().collect();
            let excused = old.map(|old| grants::passed_on(old, &known.sent.properties)).unwrap_or_default();
            let mut lost = grants::too_little(&old_grants, &new_grants, &now);
            lost.retain(|grant| !excused.contains(&grant.permission));
            // What is of a form that GitHub sends no longer has let in nobody before.
            let old_trust = old.and_then(|old| old.facets.get("trust")).map(String::as_str).unwrap_or_default();
            lost.retain(|grant| self.hands.sends(old_trust, &grant.subject));
            if old.is_some_and(|old| grants::declares_others(old, &known.sent.properties)) {
                lost.clear();
            }
            let wrong = [
                (
                    "grants",
                    grants::too_much(&old_grants, &new_grants, &own),
                    "neither the old nor the new state grants",
                ),
                ("lost", lost, "both the old and the new state grant"),
            ];
            for (what, grants, why) in wrong {
                if !grants.is_empty() {
                    found.push(format!(
                        "{id} {what} {grants:?}, which {why}, after {} (call {})",
                        call.action, call.number
                    ));
                }
            }
        }
        for what in found {
            self.violated("I5", what);
        }
    }

    fn permissions_of_others(&self, id: &Id, role: &Object) -> BTreeSet<String> {
        let theirs = role.facets.iter().filter(|(facet, _)| self.is_foreign(id, facet));
        let theirs = theirs.map(|(facet, value)| (facet.clone(), value.clone())).collect();
        expected_state::granted_permissions(&Object { made_by: role.made_by.clone(), facets: theirs })
    }

    /// I6.
    fn bounded_from_birth(&mut self, before: &Snapshot, after: &Snapshot, call: &Call) {
        let Some(known) = call.request.as_ref().and_then(|request| self.requests.get(request)) else { return };
        let Some(wanted) = known.sent.properties["PermissionsBoundary"].as_str() else { return };
        let born = after.objects.iter().find(|(id, role)| {
            id.kind == Kind::Role && !before.objects.contains_key(*id) && boundary(Some(role)) != wanted
        });
        if let Some((id, _)) = born {
            self.violated("I6", format!("{id} was born without its boundary {wanted} (call {})", call.number));
        }
    }

    /// Thumbprints of certificates that verify, or that somebody pins.
    pub(crate) fn vouch_for(&mut self, thumbprints: &BTreeSet<String>) {
        self.verified.extend(thumbprints.iter().cloned());
    }

    /// I8.
    fn thumbprints_in_order(&mut self, after: &Snapshot, call: &Call) {
        let mut found = Vec::new();
        for (id, provider) in after.objects.iter().filter(|(id, _)| id.kind == Kind::Provider) {
            if self.is_foreign(id, "thumbprints") {
                continue;
            }
            let list: Vec<&str> = provider.facets["thumbprints"].split(' ').filter(|one| !one.is_empty()).collect();
            if !(1..=5).contains(&list.len()) {
                found.push(format!("{id} has {} thumbprints (call {})", list.len(), call.number));
            }
            for one in list {
                if one != FETCHED_THUMBPRINT && !self.verified.contains(&one.to_lowercase()) {
                    found.push(format!("{id} has the thumbprint {one}, which nobody verified (call {})", call.number));
                }
            }
        }
        for what in found {
            self.violated("I8", what);
        }
    }

    /// I2, when the dust has settled: every object of ours is what a living resource stands for.
    pub(crate) fn nothing_left(&mut self, now: &Snapshot, living: &[Living]) {
        let mut found = Vec::new();
        for (id, object) in &now.objects {
            let (stack, logical) = match &object.made_by {
                Author::Resource { stack, logical } => (stack.as_str(), logical.as_str()),
                Author::Upkeep => ("the schedule", "something"),
                Author::Someone => continue,
            };
            let stands = living.iter().any(|Living { stack: of, logical: named, resource }| {
                let of_schedule = object.made_by == Author::Upkeep;
                let owner = resource.kind == PROVIDER || of_schedule || of == stack && named == logical;
                let keeps = expected_state::is_repaired(&resource.kind, &resource.properties)
                    && id.kind == Kind::Memory
                    && id.name == expected_state::secret_of_role(&resource.physical);
                if owner && keeps {
                    return true;
                }
                let stands_for = expected_state::find(&resource.kind, &resource.physical, &resource.properties, now);
                owner && stands_for.is_some_and(|(found, _)| found == id)
            });
            let is_excused = self.undeleted.contains(id) || self.let_go.contains(id);
            if !stands && !is_excused && !trusted(id, now) {
                found.push(format!("{id} is left, made by {logical} of {stack}"));
            }
        }
        for what in found {
            self.violated("I2", what);
        }
    }

    /// I7: what was logged and answered holds no part of a pre-signed URL's query.
    pub(crate) fn nothing_leaked(&mut self, log: &str, cloud: &Cloud) {
        let marks = [
            "X-Amz-Signature",
            "X-Amz-Credential",
            "AWS4-HMAC-SHA256",
            "AKIAIOSFODNN7EXAMPLE",
            "0000000000000000000000000000000000000000",
        ];
        let uploads: Vec<String> = {
            let state = cloud.state();
            state.account.s3.uploads.iter().map(|upload| String::from_utf8_lossy(&upload.body).into_owned()).collect()
        };
        for (place, text) in
            std::iter::once(("the log", log)).chain(uploads.iter().map(|body| ("an answer", body.as_str())))
        {
            if let Some(mark) = marks.iter().find(|mark| text.contains(*mark)) {
                self.violated("I7", format!("{place} contains {mark}"));
            }
        }
    }
}

fn boundary(role: Option<&Object>) -> &str {
    role.and_then(|role| role.facets.get("boundary")).map(String::as_str).unwrap_or_default()
}

/// Whether a role has neither the name that an Update comes with nor one that its properties can lead to: what a name is
/// made of is the stack, the logical id and the path.
fn is_left_over(sent: &Sent, id: &Id, role: &Object) -> bool {
    let wanted = if let Some(name) = sent.properties["RoleName"].as_str() {
        id.name == name
    } else {
        let place = format!(":role{}{}", sent.properties["Path"].as_str().unwrap_or("/"), id.name);
        id.name.contains(&format!("-{}-", sent.logical)) && role.facets["arn"].ends_with(&place)
    };
    !wanted && sent.physical.as_deref() != Some(id.name.as_str())
}

/// A provider that a role still trusts stays.
fn trusted(id: &Id, now: &Snapshot) -> bool {
    let trusts =
        |role: &Object| role.facets.get("trust").is_some_and(|trust| trust.contains(&format!("\"{}\"", id.name)));
    id.kind == Kind::Provider && now.objects.iter().any(|(other, role)| other.kind == Kind::Role && trusts(role))
}
