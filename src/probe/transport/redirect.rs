//! Which redirects are followed. Pure.
//!
//! A server that redirects chooses what is asked next, and of whom: a SeaweedFS master deletes a
//! collection on a plain GET, and services that listen on loopback trust whoever reaches them. So a
//! redirect leads only to the same request elsewhere, or to a nar or a log in a storage, by an
//! address that is signed; and never from farther away to something nearer.

use crate::probe::transport::request::matches;
use crate::probe::transport::{DeclaredRequest, Method};
use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most redirects that are followed in a row.
pub(in crate::probe) const REDIRECTS: usize = 3;

/// What may lie in a storage under another path: the pattern of the request, and the patterns of
/// the paths that it may lead to. Attic keeps parts of nars as chunks, GitHub logs of jobs as files.
const STORAGE: &[(&str, &[&str])] = &[
    ("*/nar/*", &["*.nar", "*.nar.*", "*.chunk"]),
    ("*/actions/jobs/*/logs", &["*/logs/*", "*/actions-results/*"]),
];

/// Names of the parameters that hold the signature of an address: of S3, old and new, of Azure and of
/// Google.
const SIGNATURES: [&str; 4] = ["x-amz-signature", "signature", "sig", "x-goog-signature"];

/// How far away an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Reach {
    /// Anywhere in the world.
    Public,
    /// In a network that is somebody's own (RFC 1918, RFC 6598, RFC 4193).
    Private,
    /// On the same link only, such as the metadata service of a cloud.
    LinkLocal,
    /// The machine itself.
    Loopback,
    /// No address that a server has.
    Nowhere,
}

impl Reach {
    /// Returns how far away an address is; one that has an IPv4 address in it is judged by that.
    pub(in crate::probe) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match embedded(address) {
                Some(inner) => Self::of_v4(inner),
                None => Self::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            // Connecting to 0.0.0.0 reaches the machine itself.
            [0 | 127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [10, ..] | [192, 168, ..] | [192, 0, 0, _] | [198, 18 | 19, ..] => Self::Private,
            [172, second, ..] if (16..32).contains(&second) => Self::Private,
            [100, second, ..] if (64..128).contains(&second) => Self::Private,
            [224..=255, ..] => Self::Nowhere,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::Loopback,
            [first, ..] if first & 0xff00 == 0xff00 => Self::Nowhere,
            [first, ..] if first & 0xffc0 == 0xfe80 => Self::LinkLocal,
            // Unique local addresses, the old site-local ones, and a network's own NAT64.
            [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => Self::Private,
            [0x64, 0xff9b, 1, ..] => Self::Private,
            _ => Self::Public,
        }
    }

    /// Returns whether a server at such an address may send us to one at another.
    pub(in crate::probe) fn may_send_to(self, to: Self) -> bool {
        match (self, to) {
            (from, Self::Public) => from != Self::Nowhere,
            (from, Self::Private) => !matches!(from, Self::Nowhere | Self::Public),
            (from, Self::LinkLocal | Self::Loopback) => from == to,
            (_, Self::Nowhere) => false,
        }
    }

    /// Returns what a sentence calls such an address.
    pub(in crate::probe) fn words(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Private => "an address in a private network",
            Self::LinkLocal => "a link-local address",
            Self::Loopback => "a loopback address",
            Self::Nowhere => "no address of a server",
        }
    }
}

/// Returns the IPv4 address that an IPv6 address stands for (mapped, compatible, NAT64, 6to4).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(join(high, low))
        }
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// Says why an address that a server at `from` sent us to is not asked, when it is not.
pub(in crate::probe) fn too_near(from: Reach, to: Reach) -> Option<String> {
    (!from.may_send_to(to)).then(|| format!("a server at {} sends to {}", from.words(), to.words()))
}

/// Checks that a redirect of a declared request leads to the same request elsewhere, or to where
/// storages keep it; returns why not.
pub(in crate::probe) fn leads_on(
    declared: &[DeclaredRequest],
    method: Method,
    from: &Url,
    to: &Url,
) -> Result<(), String> {
    if !matches!(to.scheme(), "http" | "https") {
        return Err(format!("{} is neither http nor https", to.scheme()));
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err("it has a user name or password in it".to_owned());
    }
    if climbs(to.path()) {
        return Err("its path has .. in it".to_owned());
    }
    let same = |pattern: &str| matches(pattern, from.path()) && matches(pattern, to.path());
    let in_storage = |(asked, kept): &(&str, &[&str])| {
        matches(asked, from.path()) && kept.iter().any(|pattern| matches(pattern, to.path()))
    };
    if declared.iter().any(|(known, pattern)| *known == method && same(pattern))
        || is_signed(to) && STORAGE.iter().any(in_storage)
    {
        return Ok(());
    }
    Err("it is not the kind of address that nixdash asked for".to_owned())
}

/// Returns whether a path has a step upwards in it, written plainly or not.
pub(in crate::probe) fn climbs(path: &str) -> bool {
    let mut plain = path.to_ascii_lowercase();
    // Twice: who decodes once more than we do is not led astray either.
    for _ in 0..2 {
        plain = plain.replace("%25", "%").replace("%2e", ".").replace("%2f", "/");
        plain = plain.replace("%5c", "/").replace('\\', "/");
    }
    plain.split('/').any(|step| step == "..")
}

/// Returns whether an address carries a signature of its own.
fn is_signed(url: &Url) -> bool {
    url.query_pairs().any(|(name, value)| {
        !value.is_empty() && SIGNATURES.iter().any(|known| name.eq_ignore_ascii_case(known))
    })
}

/// Returns an address as it may be shown: without query, user and password.
pub(in crate::probe) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &[DeclaredRequest] = &[
        (Method::Get, "*/nix-cache-info"),
        (Method::Get, "*.narinfo"),
        (Method::Get, "*/nar/*"),
        (Method::Get, "*/actions/jobs/*/logs"),
        (Method::Head, "*/"),
    ];

    #[test]
    fn addresses_are_known_by_how_far_away_they_are() {
        for (address, reach) in [
            ("1.1.1.1", Reach::Public),
            ("172.15.0.1", Reach::Public),
            ("172.31.0.1", Reach::Private),
            ("10.0.0.5", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.2", Reach::Private),
            ("100.128.0.2", Reach::Public),
            ("169.254.169.254", Reach::LinkLocal),
            ("127.0.0.53", Reach::Loopback),
            ("0.0.0.0", Reach::Loopback),
            ("224.0.0.1", Reach::Nowhere),
            ("255.255.255.255", Reach::Nowhere),
            ("2606:4700::1111", Reach::Public),
            ("fd7a:115c:a1e0::1", Reach::Private),
            ("fe80::1", Reach::LinkLocal),
            ("::1", Reach::Loopback),
            ("::", Reach::Loopback),
            ("ff02::1", Reach::Nowhere),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("::127.0.0.1", Reach::Loopback),
            ("::ffff:10.0.0.1", Reach::Private),
            ("64:ff9b::7f00:1", Reach::Loopback),
            ("2002:a9fe:a9fe::1", Reach::LinkLocal),
        ] {
            assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
        }
    }

    #[test]
    fn nobody_sends_us_to_something_nearer() {
        use Reach::{LinkLocal, Loopback, Nowhere, Private, Public};
        let all = [Public, Private, LinkLocal, Loopback, Nowhere];
        let allowed = |from: Reach| all.into_iter().filter(move |to| from.may_send_to(*to));
        let allowed = |from| allowed(from).collect::<Vec<Reach>>();
        assert_eq!(allowed(Public), [Public]);
        assert_eq!(allowed(Private), [Public, Private]);
        assert_eq!(allowed(LinkLocal), [Public, Private, LinkLocal]);
        assert_eq!(allowed(Loopback), [Public, Private, Loopback]);
        assert_eq!(allowed(Nowhere), []);
    }

    #[test]
    fn a_redirect_leads_to_the_same_request_or_to_a_signed_storage() {
        for (from, to, leads) in [
            ("http://a/nix-cache-info", "https://a/nix-cache-info", true),
            ("http://a/nix-cache-info", "https://b/mirror/nix-cache-info", true),
            ("http://a/x.narinfo", "http://b/x.narinfo", true),
            ("http://a/x.narinfo", "http://b:9333/col/delete?collection=nix", false),
            ("http://a/x.narinfo", "http://b:9333/col/delete?a=x.narinfo&sig=1", false),
            ("http://a/x.narinfo", "http://b/nix-cache-info", false),
            ("http://a/x.narinfo", "gopher://b/x.narinfo", false),
            ("http://a/x.narinfo", "http://u:p@b/x.narinfo", false),
            ("http://a/nar/x.nar.xz", "http://b/k/x.nar.xz?X-Amz-Signature=1", true),
            ("http://a/nar/x.nar.xz", "http://b/k/1234.chunk?X-Amz-Signature=1", true),
            ("http://a/nar/x.nar.xz", "http://b/k/1234.chunk?X-Amz-Signature=", false),
            ("http://a/nar/x.nar.xz", "http://b/k/1234.chunk", false),
            ("http://a/nar/x.nar.xz", "http://b/vol/vacuum?sig=1", false),
            ("http://a/nar/x.nar.xz", "http://b/nar/..%2f..%2fcol/delete", false),
            ("http://a/nar/x.nar.xz", "http://b/nar/%252e%252e/col/delete", false),
            ("http://a/r/actions/jobs/1/logs", "http://b/actions-results/1?sig=1", true),
        ] {
            let url = |text: &str| Url::parse(text).unwrap();
            let found = leads_on(KIND, Method::Get, &url(from), &url(to));
            assert_eq!(found.is_ok(), leads, "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn what_is_shown_of_an_address_is_no_secret() {
        let url = Url::parse("http://u:hunter2@h:81/a?X-Amz-Signature=1").unwrap();
        assert_eq!(shown(&url), "http://h:81/a");
    }
}
