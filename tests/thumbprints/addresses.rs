//! Where an issuer may be.

use std::net::{IpAddr, SocketAddr};

use github_trust::resources::oidc_provider::thumbprint::{ProbeError, ProbeLimits, Roots};

use crate::attempts::counted;

use super::network::{Loopback, Server};
use super::parties::root;
use super::{HOST, looked};

const PRIVATE: [&str; 15] = [
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "198.18.0.1",
    "fc00::1",
    "fdff:ffff::1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::140.82.112.3",
    "64:ff9b:1:8c52:70:300::",
    "2002:0a00:0001::1",
];
const NEVER: [&str; 28] = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "2001::1",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",
    "127.0.0.1",
    "127.1.2.3",
    "::1",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:0001::1",
];
const PUBLIC: [&str; 14] = [
    "140.82.112.3",
    "9.255.255.255",
    "11.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "169.253.255.255",
    "2606:50c0:8000::153",
    "fbff::1",
    "::ffff:140.82.112.3",
    "64:ff9b::140.82.112.3",
];

/// Whether a look went as far as to connect, for an issuer at these addresses.
async fn connects(addresses: &[&str], private_addresses: bool) -> Result<(), ProbeError> {
    let addresses = addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 443)).collect();
    let network = Loopback { names: [(HOST.to_owned(), addresses)].into(), ..Loopback::default() };
    let policy = ProbeLimits { private_addresses, ..ProbeLimits::default() };
    let error = looked(&network, &Roots::of([root("Root").der]), None, &policy).await.unwrap_err();
    let connected = network.connected.into_inner().unwrap();
    if matches!(error, ProbeError::Unreachable { .. }) {
        assert!(!connected.is_empty());
        return Ok(());
    }
    assert!(connected.is_empty(), "connected to {connected:?} before it was checked");
    Err(error)
}

#[tokio::test]
async fn row_31_private_addresses_are_refused_unless_allowed() {
    for address in PRIVATE {
        let error = connects(&[address], false).await.unwrap_err();
        let ProbeError::Address { address: found, .. } = &error else { panic!("{address}: {error}") };
        assert_eq!(*found, address.parse::<IpAddr>().unwrap());
        assert!(error.to_string().ends_with("unless this deployment allows private addresses"), "{error}");
        connects(&[address], true).await.unwrap();
    }
}

#[tokio::test]
async fn row_31_no_issuer_is_on_the_link_the_machine_or_at_metadata() {
    counted("owner of an issuer's name in DNS", "addresses inside", PRIVATE.len() + NEVER.len());
    for address in NEVER {
        for allowed in [false, true] {
            let error = connects(&[address], allowed).await.unwrap_err();
            assert!(matches!(error, ProbeError::Address { .. }), "{address}: {error}");
            assert!(error.to_string().ends_with("not connected to"), "{error}");
        }
    }
}

#[tokio::test]
async fn row_31_all_others_are_connected_to() {
    for address in PUBLIC {
        connects(&[address], false).await.unwrap();
    }
}

#[tokio::test]
async fn row_31_one_bad_address_among_good_ones_refuses_the_host() {
    let error = connects(&["140.82.112.3", "140.82.112.4", "10.0.0.1"], false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "github.example.com is at 10.0.0.1, which is private (10.0.0.0/8) and not connected to unless this deployment \
         allows private addresses"
    );
}

#[tokio::test]
async fn row_31_the_host_of_the_keys_is_held_to_the_same_rules() {
    let ca = root("Root");
    let mut network = Loopback::default();
    let mut server = Server::new(&[&ca.server()]);
    server.script = super::network::Script::configuration("https://keys.example.com/");
    let place = server.listen("127.0.0.1").await.unwrap();
    network.put(HOST, "203.0.113.1:443".parse().unwrap(), place);
    network.put("keys.example.com", "169.254.169.254:443".parse().unwrap(), place);
    let error = looked(&network, &Roots::of([ca.der]), None, &ProbeLimits::default()).await.unwrap_err();
    assert!(error.to_string().starts_with("keys.example.com is at 169.254.169.254"), "{error}");
    assert!(network.connected.lock().unwrap().iter().all(|address| address.ip() != IpAddr::from([169, 254, 169, 254])));
}

#[tokio::test]
async fn row_31_some_addresses_of_each_family_are_looked_at() {
    let v4 = (1..=9).map(|last| format!("203.0.113.{last}:443"));
    let v6 = (1..=9).map(|last| format!("[2001:db8::{last}]:443"));
    let ca = root("Root");
    let place = Server::new(&[&ca.server()]).listen("127.0.0.1").await.unwrap();
    let mut network = Loopback::default();
    for address in v6.chain(v4) {
        network.put(HOST, address.parse().unwrap(), place);
    }
    looked(&network, &Roots::of([ca.der]), None, &ProbeLimits::default()).await.unwrap();
    let mut connected: Vec<String> = network.connected.into_inner().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(connected.len(), 4 * 3, "three times at each address, once of which for the configuration");
    connected.sort();
    connected.dedup();
    assert_eq!(connected, ["203.0.113.1:443", "203.0.113.2:443", "[2001:db8::1]:443", "[2001:db8::2]:443"]);
}

#[tokio::test]
async fn row_31_a_host_without_an_address_is_told() {
    let network = Loopback::default();
    let error = looked(&network, &Roots::of([root("Root").der]), None, &ProbeLimits::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "github.example.com could not be resolved: no such host");
}
