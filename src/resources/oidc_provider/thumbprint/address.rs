//! The addresses that an issuer must not have: a host name must not lead this function to an address that only it can
//! reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The range of an address that is not to be connected to. Where private addresses are allowed, those of the link, of
/// this machine, of instance metadata and of no single host still are not: no issuer is there.
pub(super) fn refused(address: IpAddr, private_allowed: bool) -> Option<&'static str> {
    let address = match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => address,
            None => return refused_v6(address, private_allowed),
        },
    };
    never(address).or_else(|| private(address).filter(|_| !private_allowed))
}

fn never(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("unspecified (0.0.0.0/8)"),
        [127, ..] => Some("loopback (127.0.0.0/8)"),
        [169, 254, ..] => Some("link-local (169.254.0.0/16)"),
        [224..=239, ..] => Some("multicast (224.0.0.0/4)"),
        [240..=255, ..] => Some("reserved (240.0.0.0/4)"),
        _ => None,
    }
}

fn private(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [10, ..] => Some("private (10.0.0.0/8)"),
        [172, 16..=31, ..] => Some("private (172.16.0.0/12)"),
        [192, 168, ..] => Some("private (192.168.0.0/16)"),
        [100, 64..=127, ..] => Some("shared (100.64.0.0/10)"),
        [198, 18 | 19, ..] => Some("for benchmarks (198.18.0.0/15)"),
        _ => None,
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            v4(high, low)
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        _ => None,
    }
}

/// The IPv4 address behind a network's own NAT64 prefix (RFC 8215), of 48 or of 96 bits (RFC 6052).
fn behind_local_nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 1, high, middle, low, last_high, last_low] = address.segments() else { return None };
    Some(match (last_high, last_low) {
        (0, 0) => Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(middle & 0xff) << 8 | u32::from(low >> 8)),
        _ => Ipv4Addr::from_bits(u32::from(last_high) << 16 | u32::from(last_low)),
    })
}

fn refused_v6(address: Ipv6Addr, private_allowed: bool) -> Option<&'static str> {
    let nat64 = behind_local_nat64(address);
    let [first, second, ..] = address.segments();
    let always = match (first, second) {
        _ if address.is_unspecified() => Some("unspecified (::)"),
        _ if address.is_loopback() => Some("loopback (::1)"),
        // Instance metadata and pod identity: fd00:ec2::254, fd00:ec2::23.
        (0xfd00, 0x0ec2) => Some("AWS's own (fd00:ec2::/32)"),
        (0xfe80..=0xfebf, _) => Some("link-local (fe80::/10)"),
        (0xfec0..=0xfeff, _) => Some("site-local (fec0::/10)"),
        (0xff00.., _) => Some("multicast (ff00::/8)"),
        // Teredo hides an IPv4 address.
        (0x2001, 0) => Some("Teredo (2001::/32)"),
        _ => nat64.and_then(never),
    };
    let private = match first {
        0xfc00..=0xfdff => Some("private (fc00::/7)"),
        _ => nat64.map(|_| "private (64:ff9b:1::/48)"),
    };
    always.or(private.filter(|_| !private_allowed))
}
