//! What servers send, what they are trusted by, and what becomes of it.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    NameConstraints, SanType,
};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use super::HOST;
use super::network::{Script, Server};
use super::parties::{EARLIER, END, Kind, LATER, Party, key, root, root_by, self_signed};

const TLS12_ONLY: &[&SupportedProtocolVersion] = &[&TLS12];
const TLS13_ONLY: &[&SupportedProtocolVersion] = &[&TLS13];
const JWKS_HOST: &str = "keys.example.com";

pub(super) enum Expected {
    /// These certificates, by their labels.
    Taken(Vec<String>),
    /// With a reason that has this in it.
    Refused(&'static str),
}

pub(super) struct Row {
    pub(super) name: &'static str,
    /// Host, port, and one server for each of its addresses; nobody is where there is none.
    pub(super) servers: Vec<(&'static str, u16, Vec<Option<Server>>)>,
    pub(super) public: Vec<Party>,
    pub(super) ca: Option<Vec<Party>>,
    pub(super) ipv6: bool,
    pub(super) expected: Expected,
    /// What is last in a chain and gives no thumbprint all the same.
    pub(super) left_out: Vec<String>,
    /// Why `openssl` comes to another verdict.
    pub(super) differs: Option<&'static str>,
}

pub(super) fn row(name: &'static str, chain: &[&Party]) -> Row {
    Row {
        name,
        servers: vec![(HOST, 443, vec![Some(Server::new(chain))])],
        public: Vec::new(),
        ca: None,
        ipv6: false,
        expected: Expected::Refused("no expectation"),
        left_out: Vec::new(),
        differs: None,
    }
}

impl Row {
    pub(super) fn public(mut self, roots: &[&Party]) -> Self {
        self.public = roots.iter().copied().cloned().collect();
        self
    }

    fn given(mut self, cas: &[&Party]) -> Self {
        self.ca = Some(cas.iter().copied().cloned().collect());
        self
    }

    fn first(&mut self) -> &mut Server {
        self.servers[0].2[0].as_mut().unwrap()
    }

    fn only(mut self, version: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.first().versions = version;
        self
    }

    /// The same address, another chain, turn by turn.
    fn or(mut self, chain: &[&Party]) -> Self {
        self.first().chains.push(chain.iter().copied().cloned().collect());
        self
    }

    /// One more address of the host.
    pub(super) fn also(mut self, chain: &[&Party]) -> Self {
        self.servers[0].2.push(Some(Server::new(chain)));
        self
    }

    fn nobody(mut self) -> Self {
        self.servers[0].2.insert(0, None);
        self
    }

    fn keys_at(mut self, host: &'static str, port: u16, chain: &[&Party]) -> Self {
        let place = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
        self.first().script = Script::configuration(&format!("https://{place}/keys"));
        self.servers.push((host, port, vec![Some(Server::new(chain))]));
        self
    }

    fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    fn takes(mut self, parties: &[&Party]) -> Self {
        let mut labels: Vec<String> = parties.iter().map(|party| party.label.clone()).collect();
        labels.sort();
        self.expected = Expected::Taken(labels);
        self
    }

    fn but_not(mut self, party: &Party) -> Self {
        self.left_out.push(party.label.clone());
        self
    }

    fn refused(mut self, why: &'static str) -> Self {
        self.expected = Expected::Refused(why);
        self
    }

    fn unlike_openssl(mut self, why: &'static str) -> Self {
        self.differs = Some(why);
        self
    }

    pub(super) fn chains(&self) -> impl Iterator<Item = &Vec<Party>> {
        self.servers.iter().flat_map(|(_, _, servers)| servers).flatten().flat_map(|server| &server.chains)
    }

    pub(super) fn parties(&self) -> impl Iterator<Item = &Party> {
        self.chains().flatten()
    }

    pub(super) fn label(&self, hex: &str) -> String {
        self.parties().find(|party| party.thumbprint() == hex).map(|party| party.label.clone()).unwrap()
    }
}

/// A chain, the usual one: one root, one intermediate.
pub(super) fn usual() -> (Party, Party, Party) {
    let root = root("Root");
    let intermediate = root.ca("Intermediate");
    let server = intermediate.server();
    (root, intermediate, server)
}

fn lengths_and_orders() -> Vec<Row> {
    let (root, intermediate, server) = usual();
    let one = root.ca("Intermediate 1");
    let two = one.ca("Intermediate 2");
    let three = two.ca("Intermediate 3");
    let (end_of_two, end_of_three) = (two.server(), three.server());
    let mut deep = vec![root.ca("Intermediate 1")];
    for number in 2..=7 {
        deep.push(deep.last().unwrap().ca(&format!("Intermediate {number}")));
    }
    let end_of_six = deep[5].server();
    let end_of_seven = deep[6].server();
    let mut six: Vec<&Party> = deep[..6].iter().rev().collect();
    six.insert(0, &end_of_six);
    let mut seven: Vec<&Party> = deep.iter().rev().collect();
    seven.insert(0, &end_of_seven);
    let mut seventeen = vec![&server];
    seventeen.resize(17, &intermediate);
    let direct = root.server();
    let stranger = super::parties::root("Stranger").ca("Stranger's intermediate");

    vec![
        row("one intermediate", &[&server, &intermediate]).takes(&[&intermediate]),
        row("two intermediates", &[&end_of_two, &two, &one]).takes(&[&one]),
        row("three intermediates", &[&end_of_three, &three, &two, &one]).takes(&[&one]),
        row("six intermediates", &six).takes(&[&deep[0]]),
        row("seven intermediates", &seven)
            .refused("has more than 6 CAs above it")
            .unlike_openssl("accepts, up to 100 deep"),
        row("no intermediate", &[&direct]).takes(&[&direct]),
        row("the root is sent too", &[&server, &intermediate, &root]).takes(&[&intermediate, &root]),
        row("the root is sent too, after two intermediates", &[&end_of_two, &two, &one, &root]).takes(&[&one, &root]),
        row("only the root is sent with it", &[&direct, &root]).takes(&[&direct, &root]),
        row("out of order", &[&end_of_two, &one, &two]).takes(&[&one, &two]),
        row("out of order, the root first", &[&end_of_two, &root, &two, &one]).takes(&[&one, &root]),
        row("out of order, the root last", &[&end_of_two, &one, &two, &root]).takes(&[&one, &two, &root]),
        row("an intermediate twice", &[&server, &intermediate, &intermediate]).takes(&[&intermediate]),
        row("the server's own again at the end", &[&server, &intermediate, &server]).takes(&[&intermediate, &server]),
        row("a stranger in between", &[&end_of_two, &stranger, &two, &one]).takes(&[&one]),
        row("a stranger at the end", &[&server, &intermediate, &stranger]).takes(&[&intermediate]).but_not(&stranger),
        row("a stranger's root at the end", &[&server, &intermediate, &super::parties::root("Stranger")])
            .takes(&[&intermediate])
            .but_not(&super::parties::root("Stranger")),
        row("seventeen certificates", &seventeen)
            .refused("certificate 17 of 17 (\"CN=Intermediate\") is one too many")
            .unlike_openssl("accepts"),
    ]
    .into_iter()
    .map(|row| row.public(&[&root]))
    .collect()
}

fn keys_and_versions() -> Vec<Row> {
    let all = |name, kinds: [Kind; 3]| {
        let root = root_by("Root", key(kinds[0]));
        let intermediate = root.ca_with("Intermediate", key(kinds[1]), |_| {});
        let server = intermediate.server_with(key(kinds[2]), |_| {});
        row(name, &[&server, &intermediate]).public(&[&root]).takes(&[&intermediate])
    };
    let (root, intermediate, server) = usual();
    let usual = |name| row(name, &[&server, &intermediate]).public(&[&root]).takes(&[&intermediate]);
    let wildcard = intermediate.server_for("Server", &["*.example.com"]);
    let many: Vec<String> = (0..200).map(|number| format!("host-{number}.example.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain([HOST]).collect();
    let many = intermediate.server_for("Server", &many);
    vec![
        all("RSA", [Kind::Rsa(0), Kind::Rsa(1), Kind::Rsa(2)]),
        all("ECDSA with P-384", [Kind::P384; 3]),
        all("Ed25519", [Kind::Ed25519; 3]),
        all("an RSA root, an ECDSA server", [Kind::Rsa(0), Kind::P384, Kind::P256]),
        all("an ECDSA root, an RSA server", [Kind::P384, Kind::P256, Kind::Rsa(0)]),
        usual("TLS 1.2 only").only(TLS12_ONLY),
        usual("TLS 1.3 only").only(TLS13_ONLY),
        usual("IPv6").ipv6(),
        row("a wildcard", &[&wildcard, &intermediate]).public(&[&root]).takes(&[&intermediate]),
        row("for 201 names", &[&many, &intermediate]).public(&[&root]).takes(&[&intermediate]),
    ]
}

fn crosses() -> Vec<Row> {
    let (old, new) = (root("Old root"), root("New root"));
    // An intermediate of both.
    let intermediate = new.ca("Intermediate");
    let by_old = intermediate.also_signed_by(&old);
    let server = intermediate.server();
    // A root that an older one has signed.
    let crossed = new.also_signed_by(&old);
    let expired = {
        let mut expired = old.ca_with("New root", std::sync::Arc::clone(&new.key), |params| params.not_after = EARLIER);
        expired.label = format!("{}, expired", crossed.label);
        expired
    };
    let for_clients = {
        let purpose =
            |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let mut other = old.ca_with("New root", std::sync::Arc::clone(&new.key), purpose);
        other.label = format!("{}, for clients", crossed.label);
        other
    };
    let forged = crossed.forged();
    let two = [&server, &intermediate, &by_old];
    let root_of_root = [&server, &intermediate, &crossed];
    vec![
        row("two intermediates of one key, both roots known", &two)
            .public(&[&old, &new])
            .takes(&[&intermediate, &by_old]),
        row("two intermediates of one key, the first one's root known", &two)
            .public(&[&new])
            .takes(&[&intermediate])
            .but_not(&by_old),
        row("two intermediates of one key, the second one's root known", &two)
            .public(&[&old])
            .unlike_openssl("refuses: it takes the first that fits and does not go back")
            .takes(&[&by_old]),
        row("a root signed by an older one, both known", &root_of_root).public(&[&old, &new]).takes(&[&crossed]),
        row("a root signed by an older one, the new one known", &root_of_root)
            .public(&[&new])
            .takes(&[&intermediate])
            .but_not(&crossed),
        row("a root signed by an older one, the old one known", &root_of_root).public(&[&old]).takes(&[&crossed]),
        row("a root signed by an older one, and the older one sent", &[&server, &intermediate, &crossed, &old])
            .public(&[&old, &new])
            .takes(&[&crossed, &old]),
        row("a root signed by an older one, expired", &[&server, &intermediate, &expired])
            .public(&[&old, &new])
            .takes(&[&intermediate])
            .but_not(&expired),
        row("a root signed by an older one, forged", &[&server, &intermediate, &forged])
            .public(&[&old, &new])
            .takes(&[&intermediate])
            .but_not(&forged),
        row("a root signed by an older one, for clients", &[&server, &intermediate, &for_clients])
            .public(&[&old, &new])
            .takes(&[&intermediate])
            .but_not(&for_clients),
    ]
}

/// Connections or addresses that show different chains.
fn several_chains() -> Vec<Row> {
    let (old, new) = (root("Old root"), root("New root"));
    let intermediate = new.ca("Intermediate");
    let by_old = intermediate.also_signed_by(&old);
    let server = intermediate.server();
    let (other, third) = (new.ca("Other intermediate"), new.ca("Third intermediate"));
    let (by_other, by_third) = (other.server(), third.server());
    vec![
        row("another intermediate each time", &[&server, &intermediate])
            .or(&[&by_other, &other])
            .public(&[&new])
            .takes(&[&intermediate, &other]),
        row("two addresses, one chain", &[&server, &intermediate])
            .also(&[&server, &intermediate])
            .public(&[&new])
            .takes(&[&intermediate]),
        row("two addresses, two intermediates", &[&server, &intermediate])
            .also(&[&by_other, &other])
            .public(&[&new])
            .takes(&[&intermediate, &other]),
        row("two addresses, two roots", &[&server, &intermediate])
            .also(&[&server, &by_old])
            .public(&[&old, &new])
            .takes(&[&intermediate, &by_old]),
        row("an address with nobody, and one with a server", &[&server, &intermediate])
            .also(&[&by_third, &third])
            .nobody()
            .public(&[&new])
            .takes(&[&intermediate, &third]),
    ]
}

/// webpki checks a hundred signatures and no more. Certificates of one CA that differ make one path more for each of each
/// CA below and above them.
fn labyrinths() -> Vec<Row> {
    let (root, namesake) = (root("Root"), root("Root"));
    let variants = |signer: &Party, ca: &Party| -> Vec<Party> {
        let variant = |number: i64| {
            let key = std::sync::Arc::clone(&ca.key);
            let mut party =
                signer.ca_with(&ca.label, key, |params| params.not_after = END - time::Duration::seconds(number));
            party.label = format!("{}, variant {number}", ca.label);
            party
        };
        (1..=4).map(variant).collect()
    };
    let top = root.ca("Top");
    let middle = top.ca("Middle");
    let bottom = middle.ca("Bottom");
    let server = bottom.server();
    let (tops, middles, bottoms) = (variants(&namesake, &top), variants(&top, &middle), variants(&middle, &bottom));
    let above: Vec<&Party> = [&middle].into_iter().chain(&middles).chain([&top]).chain(&tops).collect();
    let forged: Vec<Party> = bottoms.iter().map(Party::forged).collect();
    let first: Vec<&Party> = [&server, &bottom].into_iter().chain(&bottoms).chain(above.iter().copied()).collect();
    let last: Vec<&Party> = [&server].into_iter().chain(&forged).chain([&bottom]).chain(above).collect();
    vec![
        row("a labyrinth with a way at its beginning", &first).public(&[&root]).takes(&[&top]).but_not(&tops[3]),
        row("a labyrinth with a way at its end", &last).public(&[&root]).refused("MaximumSignatureChecksExceeded"),
    ]
}

fn hosts() -> Vec<Row> {
    let (root, intermediate, server) = usual();
    let (of_keys, other) = (root.ca("Intermediate of the keys"), super::parties::root("Other root"));
    let keys = of_keys.server_for("Keys", &[JWKS_HOST]);
    let same = intermediate.server_for("Keys", &[JWKS_HOST]);
    let foreign = other.server_for("Keys", &[JWKS_HOST]);
    let alternate = of_keys.server();
    let usual = |name| row(name, &[&server, &intermediate]).public(&[&root]);
    let several: Vec<Party> = (1..=6).map(|number| root.ca(&format!("Intermediate {number}"))).collect();
    let servers: Vec<Party> = several.iter().map(Party::server).collect();
    let spread = |name, keys: &[&Party]| {
        let mut row = row(name, &[&servers[0], &several[0]]).public(&[&root]);
        for number in 1..4 {
            row = row.also(&[&servers[number], &several[number]]);
        }
        row.keys_at(JWKS_HOST, 443, keys)
    };
    let fifth = several[4].server_for("Keys", &[JWKS_HOST]);
    let both = [&fifth, &several[4], &root];
    vec![
        usual("the keys on another host").keys_at(JWKS_HOST, 443, &[&keys, &of_keys]).takes(&[&intermediate, &of_keys]),
        usual("the keys on another host, the same intermediate")
            .keys_at(JWKS_HOST, 443, &[&same, &intermediate])
            .takes(&[&intermediate]),
        usual("the keys on another port")
            .keys_at(HOST, 8443, &[&alternate, &of_keys])
            .takes(&[&intermediate, &of_keys]),
        usual("the keys on another host, which nobody knows").keys_at(JWKS_HOST, 443, &[&foreign]).refused(
            "keys.example.com (203.0.113.2:443): certificate 1 of 1 (\"CN=Keys\") is signed by \"CN=Other root\"",
        ),
        usual("the keys on another host, which shows this one's certificate")
            .keys_at(JWKS_HOST, 443, &[&server, &intermediate])
            .refused("is not for keys.example.com but for github.example.com"),
        spread("five thumbprints in all", &[&fifth, &several[4]]).takes(&several[..5].iter().collect::<Vec<_>>()),
        spread("six thumbprints in all", &both)
            .refused("there are 6 thumbprints and IAM keeps 5")
            .unlike_openssl("accepts each chain by itself"),
        usual("a second address with an unknown CA").also(&[&other.server()]).refused(
            "github.example.com (203.0.113.2:443): certificate 1 of 1 (\"CN=Server\") is signed by \"CN=Other root\"",
        ),
    ]
}

fn own_cas() -> Vec<Row> {
    let (root, intermediate, server) = usual();
    let (other, public) = (super::parties::root("Other root"), super::parties::root("Public root"));
    let chain = [&server, &intermediate];
    let single = self_signed(|_| {});
    let single_ca = self_signed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let named = self_signed(|params| {
        params.subject_alt_names = vec![SanType::DnsName("other.example.com".try_into().unwrap())];
    });
    let old = self_signed(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = EARLIER;
    });
    let stolen = single_ca.with_key_of(&other);
    let crossed = intermediate.also_signed_by(&public);
    vec![
        row("an own CA, given", &chain).given(&[&root]).takes(&[&intermediate]),
        row("an own CA, given, and sent", &[&server, &intermediate, &root])
            .given(&[&root])
            .takes(&[&intermediate, &root]),
        row("an own CA, given beside another", &chain).given(&[&other, &root]).takes(&[&intermediate]),
        row("an own intermediate, given", &chain).given(&[&intermediate]).takes(&[&intermediate]),
        row("an own CA, given, of a server that public CAs vouch for too", &[&server, &intermediate, &crossed])
            .given(&[&root])
            .public(&[&public])
            .takes(&[&intermediate])
            .but_not(&crossed),
        row("an own CA, not given", &chain)
            .public(&[&public])
            .refused("is signed by \"CN=Root\", which the server did not send"),
        row("an own CA, not given, and sent", &[&server, &intermediate, &root])
            .public(&[&public])
            .refused("certificate 3 of 3 (\"CN=Root\") signs itself and is no trusted CA"),
        row("another CA given", &chain).given(&[&other]).refused("is signed by \"CN=Root\""),
        row("another CA given, of a public server", &chain)
            .given(&[&other])
            .public(&[&root])
            .refused("is signed by \"CN=Root\""),
        row("signed by itself, given", &[&single]).given(&[&single]).takes(&[&single]),
        row("signed by itself and marked as a CA, given", &[&single_ca]).given(&[&single_ca]).takes(&[&single_ca]),
        row("signed by itself, not given", &[&single])
            .public(&[&public])
            .refused("certificate 1 of 1 (\"CN=Server\") signs itself"),
        row("signed by itself, another one given", &[&self_signed(|_| {})])
            .given(&[&single])
            .refused("certificate 1 of 1 (\"CN=Server\") signs itself and is no trusted CA"),
        row("signed by itself, given, for another name", &[&named])
            .given(&[&named])
            .refused("is not for github.example.com but for other.example.com"),
        row("signed by itself, given, expired", &[&old]).given(&[&old]).refused("expired on 2026-05-31T23:59:59Z"),
        row("signed by itself, given, shown by somebody else", &[&stolen])
            .given(&[&single_ca])
            .refused("does not hold the private key"),
    ]
}

fn dates_and_names() -> Vec<Row> {
    let (root, intermediate, server) = usual();
    let ended = intermediate.server_with(key(Kind::P256), |params| params.not_after = EARLIER);
    let early = intermediate.server_with(key(Kind::P256), |params| params.not_before = LATER);
    let ca_ended = root.ca_with("Intermediate", key(Kind::P256), |params| params.not_after = EARLIER);
    let ca_early = root.ca_with("Intermediate", key(Kind::P256), |params| params.not_before = LATER);
    let last_second = root.ca_with("Intermediate", key(Kind::P256), |params| params.not_after = LATER);
    let named = |hosts: &[&str]| intermediate.server_for("Server", hosts);
    let only_address = intermediate.server_with(key(Kind::P256), |params| {
        params.subject_alt_names = vec![SanType::IpAddress([203, 0, 113, 1].into())];
    });
    let no_name = intermediate.server_with(key(Kind::P256), |params| params.subject_alt_names = Vec::new());
    let (of_ended, of_early, of_last) = (ca_ended.server(), ca_early.server(), last_second.server());
    let with = |name, server: &Party| row(name, &[server, &intermediate]);
    let elsewhere = "is not for github.example.com but for";
    vec![
        with("an expired server", &ended).refused("certificate 1 of 2 (\"CN=Server\") expired on 2026-05-31T23:59:59Z"),
        with("a server of tomorrow", &early)
            .refused("certificate 1 of 2 (\"CN=Server\") is not valid before 2026-06-01T00:00:01Z"),
        row("an expired intermediate", &[&of_ended, &ca_ended])
            .refused("certificate 2 of 2 (\"CN=Intermediate\") expired on 2026-05-31T23:59:59Z"),
        row("an expired intermediate, the root sent", &[&of_ended, &ca_ended, &root])
            .refused("certificate 2 of 3 (\"CN=Intermediate\") expired on 2026-05-31T23:59:59Z"),
        row("an intermediate of tomorrow", &[&of_early, &ca_early])
            .refused("certificate 2 of 2 (\"CN=Intermediate\") is not valid before 2026-06-01T00:00:01Z"),
        row("an intermediate in its last second", &[&of_last, &last_second]).takes(&[&last_second]),
        with("another name", &named(&["other.example.com"])).refused(elsewhere),
        with("the name with something behind it", &named(&["github.example.com.evil.example"])).refused(elsewhere),
        with("a wildcard one level up", &named(&["*.com"])).refused(elsewhere),
        with("a wildcard one level down", &named(&["*.github.example.com"])).refused(elsewhere),
        with("an address and no name", &only_address).refused("is not for github.example.com but for 203.0.113.1"),
        with("a common name and no other", &no_name).refused("is not for github.example.com but for no host name"),
        with("an expired server beside a sound one", &server)
            .also(&[&ended, &intermediate])
            .refused("github.example.com (203.0.113.2:443): certificate 1 of 2 (\"CN=Server\") expired"),
    ]
    .into_iter()
    .map(|row| row.public(&[&root]))
    .collect()
}

fn forgeries() -> Vec<Row> {
    let (root, intermediate, server) = usual();
    let other = super::parties::root("Other root");
    let namesake = super::parties::root("Root");
    let of_namesake = namesake.ca("Intermediate");
    let by_namesake = of_namesake.server();
    vec![
        row("a changed server", &[&server.forged(), &intermediate])
            .refused("certificate 1 of 2 (\"CN=Server\") has a signature that is not \"CN=Intermediate\"'s"),
        row("a changed intermediate", &[&server, &intermediate.forged()])
            .refused("certificate 2 of 2 (\"CN=Intermediate\") has a signature that is not \"CN=Root\"'s"),
        row("a changed intermediate, the root sent", &[&server, &intermediate.forged(), &root])
            .refused("certificate 2 of 3 (\"CN=Intermediate\") has a signature that is not \"CN=Root\"'s"),
        row("a root of the same name", &[&by_namesake, &of_namesake])
            .refused("certificate 2 of 2 (\"CN=Intermediate\") has a signature that is not \"CN=Root\"'s"),
        row("a root of the same name, sent", &[&by_namesake, &of_namesake, &namesake])
            .refused("certificate 3 of 3 (\"CN=Root\") signs itself and is no trusted CA"),
        row("somebody else's certificate", &[&server.with_key_of(&other), &intermediate])
            .refused("certificate 1 of 2 (\"CN=Server\") is not the server's own: it does not hold the private key"),
        row("somebody else's certificate, TLS 1.2", &[&server.with_key_of(&other), &intermediate])
            .only(TLS12_ONLY)
            .refused("it does not hold the private key"),
        row("no intermediate where one is needed", &[&server]).refused(
            "certificate 1 of 1 (\"CN=Server\") is signed by \"CN=Intermediate\", which the server did not send",
        ),
        row("the wrong intermediate", &[&server, &other.ca("Intermediate")])
            .refused("certificate 1 of 2 (\"CN=Server\") has a signature that is not \"CN=Intermediate\"'s"),
        row("the intermediate first", &[&intermediate.with_key_of(&server), &server])
            .refused("certificate 1 of 2 (\"CN=Intermediate\") is the server's own but a CA's"),
    ]
    .into_iter()
    .map(|row| row.public(&[&root]))
    .collect()
}

fn misissued() -> Vec<Row> {
    let (root, intermediate, server) = usual();
    let no_ca = root.ca_with("Intermediate", key(Kind::P256), |params| params.is_ca = IsCa::ExplicitNoCa);
    let no_more = root.ca_with("Intermediate 1", key(Kind::P256), |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below = no_more.ca("Intermediate 2");
    let constrained = |permitted: &str| {
        root.ca_with("Intermediate", key(Kind::P256), |params| {
            let permitted_subtrees = vec![GeneralSubtree::DnsName(permitted.to_owned())];
            params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        })
    };
    let (elsewhere, here) = (constrained("example.org"), constrained("example.com"));
    let client = intermediate.server_with(key(Kind::P256), |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let critical = intermediate.server_with(key(Kind::P256), |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    let (of_no_ca, of_below, of_elsewhere, of_here) =
        (no_ca.server(), below.server(), elsewhere.server(), here.server());
    let garbage = server.with_der(b"no certificate");
    vec![
        row("an intermediate that is no CA", &[&of_no_ca, &no_ca])
            .refused("certificate 2 of 2 (\"CN=Intermediate\") is used as a CA's but is none"),
        row("an intermediate below one that allows none", &[&of_below, &below, &no_more])
            .refused("certificate 3 of 3 (\"CN=Intermediate 1\") allows fewer CAs below it than there are"),
        row("a name that the CA may not sign", &[&of_elsewhere, &elsewhere])
            .refused("certificate 1 of 2 (\"CN=Server\") has a name that \"CN=Intermediate\" may not sign"),
        row("a name that the CA may sign", &[&of_here, &here]).takes(&[&here]),
        row("a client's certificate", &[&client, &intermediate])
            .refused("certificate 1 of 2 (\"CN=Server\") is not for TLS servers"),
        row("an unknown critical extension", &[&critical, &intermediate]).refused("certificate 1 of 2"),
        row("no certificate at all", &[&garbage]).refused("certificate 1 of 1 (\"\") cannot be read"),
    ]
    .into_iter()
    .map(|row| row.public(&[&root]))
    .collect()
}

pub(super) fn rows() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("Lengths and orders", lengths_and_orders()),
        ("Keys, versions, names", keys_and_versions()),
        ("Cross-signed", crosses().into_iter().chain(several_chains()).collect()),
        ("Labyrinths", labyrinths()),
        ("Hosts", hosts()),
        ("Own CAs", own_cas()),
        ("Dates and names", dates_and_names()),
        ("Forged and misissued", forgeries().into_iter().chain(misissued()).collect()),
    ]
}
