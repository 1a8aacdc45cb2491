//! Which addresses a connection may go to.
//!
//! An image reference is input from anybody who may create a Pod. Without this check it is a probe into the
//! network of the service (attack 48). The check is made on the address that is connected to, so a name that
//! answers differently the second time gains nothing.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What a client may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressRule {
    /// Public addresses only.
    Public,
    /// Public, private and loopback addresses.
    PrivateToo,
}

/// An address that the rule refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRefused {
    /// The address.
    pub address: IpAddr,
    class: AddressClass,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AddressClass {
    Public,
    Private,
    /// Link-local and instance metadata: no registry lives there, but credentials of the machine do.
    Never,
}

impl AddressRule {
    /// Refuses an address that this rule does not allow.
    pub fn check(self, address: IpAddr) -> Result<(), AddressRefused> {
        let class = classify(address);
        match (class, self) {
            (AddressClass::Public, _) | (AddressClass::Private, Self::PrivateToo) => Ok(()),
            _ => Err(AddressRefused { address, class }),
        }
    }
}

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            AddressClass::Never => write!(f, "{} is a link-local or metadata address", self.address),
            _ => write!(f, "{} is a private address and the registry's entry does not say private: true", self.address),
        }
    }
}

impl std::error::Error for AddressRefused {}

/// Metadata services outside of the link-local range, as their clouds document them.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    let [a, b, c, _] = address.octets();
    if address.is_link_local() || address.is_multicast() || address.is_broadcast() || METADATA_V4.contains(&address) {
        return AddressClass::Never;
    }
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0);
    let benchmark = a == 198 && (18..20).contains(&b);
    // 0/8 reaches the host itself; 240/4 is reserved and routed only privately where at all.
    if address.is_private() || address.is_loopback() || shared || protocol || benchmark || a == 0 || a >= 240 {
        return AddressClass::Private;
    }
    AddressClass::Public
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    let segments = address.segments();
    if address.is_unicast_link_local() || address.is_multicast() || METADATA_V6.contains(&address) {
        return AddressClass::Never;
    }
    if address.is_loopback() || address.is_unspecified() || address.is_unique_local() {
        return AddressClass::Private;
    }
    // fec0::/10, site-local, is deprecated but still routed privately.
    if segments[0] & 0xffc0 == 0xfec0 {
        return AddressClass::Private;
    }
    let low = |hi: u16, lo: u16| {
        let [a, b] = hi.to_be_bytes();
        let [c, d] = lo.to_be_bytes();
        classify_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // ::ffff:a.b.c.d (mapped) and ::a.b.c.d (compatible) are the IPv4 address itself.
        [0, 0, 0, 0, 0, 0xffff | 0, hi, lo] => low(hi, lo),
        // 6to4 carries its IPv4 address in the second and third group.
        [0x2002, hi, lo, ..] => low(hi, lo),
        // NAT64: the network translates, so what is behind is never known to be public.
        [0x64, 0xff9b, .., hi, lo] => match low(hi, lo) {
            AddressClass::Never => AddressClass::Never,
            _ => AddressClass::Private,
        },
        _ => AddressClass::Public,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(address: &str, public: bool, private: bool) {
        let ip: IpAddr = address.parse().unwrap();
        assert_eq!(AddressRule::Public.check(ip).is_ok(), public, "public rule, {address}");
        assert_eq!(AddressRule::PrivateToo.check(ip).is_ok(), private, "private rule, {address}");
    }

    #[test]
    fn attack_48_probes_by_address() {
        for address in
            ["1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "2002:101:101::"]
        {
            check(address, true, true);
        }
        for address in ["8.18.0.1", "8.64.0.1", "100.128.0.1", "192.0.1.1", "198.17.255.255", "198.20.0.1"] {
            check(address, true, true);
        }
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "127.255.0.9",
            "0.0.0.0",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "240.0.0.1",
            "::1",
            "::",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::1.1.1.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2002:a00:1::",
        ] {
            check(address, false, true);
        }
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
        ] {
            check(address, false, false);
        }
    }
    #[test]
    fn a_refusal_says_whether_an_entry_would_help() {
        let say = |address: &str| AddressRule::Public.check(address.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(say("169.254.169.254"), "169.254.169.254 is a link-local or metadata address");
        assert!(say("10.0.0.1").ends_with("does not say private: true"));
    }
}
