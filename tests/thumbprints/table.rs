//! The table: what servers send, what `openssl` makes of it, and what we do.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use github_trust::resources::oidc_provider::thumbprint::{
    CaCertificate, CertificateProblem, ProbeError, ProbeLimits, ProbeResult, Roots,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::attempts::counted;

use super::network::Loopback;
use super::parties::{Kind, Party, key, root};
use super::rows::{Expected, Row, row, rows, usual};
use super::{NOW, looked, openssl};

#[tokio::test]
async fn row_32_a_thumbprint_is_as_openssl_shows_it_or_the_chain_refused() {
    let openssl = openssl::is_there();
    let mut table = String::new();
    let (mut taken, mut refused, mut compared, mut verified) = (0, 0, 0, 0);
    for (number, (group, rows)) in rows().into_iter().enumerate() {
        writeln!(table, "{}# {group}\n", if number == 0 { "" } else { "\n" }).unwrap();
        for row in rows {
            let (network, servers) = network(&row).await;
            let ca = row
                .ca
                .as_ref()
                .map(|cas| CaCertificate::parse(&cas.iter().map(Party::pem).collect::<String>()).unwrap());
            let public = Roots::of(row.public.iter().map(|party| party.der.clone()));
            let public = if row.public.is_empty() { Roots::of([root("Nobody").der]) } else { public };
            let result = looked(&network, &public, ca.as_ref(), &ProbeLimits::default()).await;
            writeln!(table, "{}", row.name).unwrap();
            describe(&row, &mut table);
            match &row.expected {
                Expected::Taken(_) => taken += 1,
                Expected::Refused(_) => refused += 1,
            }
            let verdict = check(&row, &result);
            verified += as_rustls_does(&row, &servers, &result);
            writeln!(table, "{verdict}\n").unwrap();
            if openssl {
                compared += compare(&row, &servers).await;
            }
        }
    }
    println!(
        "{taken} chains taken, {refused} refused; {compared} connections compared with openssl, {verified} chains with rustls"
    );
    write!(table, "\n{taken} taken, {refused} refused\n").unwrap();
    counted("owner of an issuer's name in DNS", "chains of certificates", refused);
    insta::assert_snapshot!(table);
}

/// Where a row's servers are: the host they belong to, their place on the loopback interface, their chains.
type Places = Vec<(&'static str, SocketAddr, Vec<Vec<Party>>)>;

pub(super) async fn network(row: &Row) -> (Loopback, Places) {
    let mut network = Loopback::default();
    let mut places = Vec::new();
    let mut number = 0;
    for (host, port, servers) in &row.servers {
        for server in servers {
            number += 1;
            let (address, on): (SocketAddr, _) = if row.ipv6 {
                (format!("[2001:db8::{number}]:{port}").parse().unwrap(), "::1")
            } else {
                (format!("203.0.113.{number}:{port}").parse().unwrap(), "127.0.0.1")
            };
            let Some(server) = server else {
                network.names.entry((*host).to_owned()).or_default().push(address);
                continue;
            };
            let place = match server.listen(on).await {
                Ok(place) => place,
                Err(error) => {
                    eprintln!("NO IPv6 ON THIS MACHINE ({error}): the row runs over IPv4");
                    server.listen("127.0.0.1").await.unwrap()
                }
            };
            network.put(host, address, place);
            places.push((*host, place, server.chains.clone()));
        }
    }
    (network, places)
}

fn labels<'a>(parties: impl IntoIterator<Item = &'a Party>) -> String {
    parties.into_iter().map(|party| party.label.as_str()).collect::<Vec<_>>().join(", ")
}

fn describe(row: &Row, table: &mut String) {
    for (host, port, servers) in &row.servers {
        for server in servers {
            let place = if *port == 443 { (*host).to_owned() } else { format!("{host}:{port}") };
            let Some(server) = server else {
                writeln!(table, "  sends     {place}: nothing").unwrap();
                continue;
            };
            let chains: Vec<String> = server.chains.iter().map(labels_of).collect();
            writeln!(table, "  sends     {place}: {}", chains.join(" / or ")).unwrap();
        }
    }
    let trusted = match &row.ca {
        Some(cas) => format!("{} (given)", labels(cas)),
        None => labels(&row.public),
    };
    writeln!(table, "  trusted   {trusted}").unwrap();
    let mut last: Vec<&str> = row.chains().map(|chain| chain.last().unwrap().label.as_str()).collect();
    last.dedup();
    let verdict = row.differs.unwrap_or(match row.expected {
        Expected::Taken(_) => "accepts",
        Expected::Refused(_) => "refuses",
    });
    writeln!(table, "  openssl   shows {} last; {verdict}", last.join(", ")).unwrap();
}

fn labels_of(chain: &Vec<Party>) -> String {
    labels(if chain.len() > 10 { &chain[..2] } else { chain })
}

fn check(row: &Row, result: &Result<ProbeResult, ProbeError>) -> String {
    match (&row.expected, result) {
        (Expected::Taken(expected), Ok(look)) => {
            let mut found: Vec<String> = look.thumbprints.iter().map(|one| row.label(&one.hex)).collect();
            found.sort();
            assert_eq!(found, *expected, "{}", row.name);
            let mut text = format!("  taken     {}", found.join(", "));
            if !look.publicly_trusted {
                text.push_str("\n  private");
            }
            for (title, list) in [("left out ", &look.left_out), ("expiring ", &look.expiring)] {
                // The keys, and so the order, are new each time.
                let labels: std::collections::BTreeSet<String> = list.iter().map(|one| row.label(&one.hex)).collect();
                for label in labels {
                    write!(text, "\n  {title} {label}").unwrap();
                }
            }
            for (address, why) in &look.unreached {
                write!(text, "\n  unreached {address}: {why}").unwrap();
            }
            assert_eq!(look.publicly_trusted, row.ca.is_none() || !row.public.is_empty(), "{}", row.name);
            text
        }
        (Expected::Refused(expected), Err(error)) => {
            let mut text = error.to_string();
            assert!(text.contains(expected), "{}: {text}", row.name);
            // Keys are new each time.
            for party in row.parties() {
                text = text.replace(&party.thumbprint(), "<thumbprint>");
            }
            if let ProbeError::TooMany { found } = error {
                text = format!("there are {} thumbprints and IAM keeps 5: …", found.len());
            }
            format!("  refused   {text}")
        }
        (_, Ok(look)) => panic!("{} was taken: {look:#?}", row.name),
        (_, Err(error)) => panic!("{} was refused: {error}", row.name),
    }
}

/// No chain is accepted that rustls' own verifier does not accept, and none refused that it accepts. Gives how many it was
/// asked about.
fn as_rustls_does(row: &Row, servers: &Places, result: &Result<ProbeResult, ProbeError>) -> usize {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(row.ca.as_ref().unwrap_or(&row.public).iter().map(|party| party.der.clone()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() else { return 0 };
    let accepts = |host: &str, chain: &Vec<Party>| {
        let served: Vec<CertificateDer<'_>> = chain.iter().map(|party| party.der.clone()).collect();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        verifier.verify_server_cert(&served[0], &served[1..], &name, &[], now).is_ok()
    };
    // The exception: a server's own certificate that the author gave is accepted although it is a CA's.
    let is_given = |chain: &Vec<Party>| row.ca.iter().flatten().any(|given| given.der == chain[0].der);
    let chains: Vec<_> =
        servers.iter().flat_map(|(host, _, chains)| chains.iter().map(move |chain| (host, chain))).collect();
    if chains.iter().any(|(_, chain)| is_given(chain)) {
        return 0;
    }
    let accepted = chains.iter().all(|(host, chain)| accepts(host, chain));
    let untrusted = match result {
        // Neither is about what the certificates say.
        Err(ProbeError::Untrusted { certificate, .. }) => {
            !matches!(certificate.problem, CertificateProblem::KeyNotHeld | CertificateProblem::TooMany)
        }
        _ => false,
    };
    assert_eq!(accepted, !untrusted, "{}: rustls' verdict", row.name);
    chains.len()
}

/// Runs `openssl` against the same servers. Gives how many connections it made.
async fn compare(row: &Row, servers: &Places) -> usize {
    let trusted = row.ca.as_ref().unwrap_or(&row.public);
    let mut connections = 0;
    let mut all_verified = true;
    for (host, place, chains) in servers {
        let (host, place, trusted, file) = (*host, *place, trusted.clone(), format!("trusted-{}", place.port()));
        for _ in chains {
            let (trusted, file) = (trusted.clone(), file.clone());
            let shown =
                tokio::task::spawn_blocking(move || openssl::connect(place, host, &trusted, &file)).await.unwrap();
            connections += 1;
            all_verified &= shown.verified;
            // Where the handshake fails it may show nothing.
            let Some(last) = shown.last else {
                assert!(matches!(row.expected, Expected::Refused(_)), "{}", row.name);
                continue;
            };
            let sent_last = chains.iter().any(|chain| chain.last().unwrap().thumbprint() == last);
            assert!(sent_last, "{}: openssl shows another certificate last than was sent last", row.name);
            let Expected::Taken(taken) = &row.expected else { continue };
            let last = row.label(&last);
            assert!(
                taken.contains(&last) || row.left_out.contains(&last),
                "{}: openssl shows {last} last, and we take {taken:?}",
                row.name
            );
        }
    }
    let accepted = matches!(row.expected, Expected::Taken(_));
    assert_eq!(all_verified, accepted != row.differs.is_some(), "{}: openssl's verdict", row.name);
    connections
}

#[tokio::test]
async fn row_32_what_ends_within_thirty_days_is_told() {
    use time::macros::datetime;
    let root = root("Root");
    let named = |label, not_after| root.ca_with(label, key(Kind::P256), |params| params.not_after = not_after);
    let (soon, later) =
        (named("Soon", datetime!(2026-07-01 00:00 UTC)), named("Later", datetime!(2026-07-01 00:00:01 UTC)));
    let (of_soon, of_later) = (soon.server(), later.server());
    let row = row("expiring", &[&of_soon, &soon]).also(&[&of_later, &later]).public(&[&root]);
    let (network, _) = network(&row).await;
    let public = Roots::of([root.der.clone()]);
    let look = looked(&network, &public, None, &ProbeLimits::default()).await.unwrap();
    let subjects: Vec<&str> = look.expiring.iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(subjects, ["CN=Soon"]);
    let text = look.expiring[0].to_string();
    let expected =
        format!("{} (\"CN=Soon\", until 2026-07-01T00:00:00Z, sent by github.example.com)", soon.thumbprint());
    assert_eq!(text, expected);
}

#[tokio::test]
async fn row_32_without_any_known_ca_nothing_is_accepted() {
    let (_, intermediate, server) = usual();
    let (network, _) = network(&row("no roots", &[&server, &intermediate])).await;
    let refused = looked(&network, &Roots::of([]), None, &ProbeLimits::default()).await.unwrap_err();
    assert_eq!(refused, ProbeError::NoRoots);
}
