//! Names and addresses of a lab: which hosts there are, and how a lab's name becomes a network that no other lab has.

use std::net::Ipv4Addr;

use super::error::LabError;

/// One host of the practice fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabHost {
    /// Its name in the flake and in hosts.toml.
    pub name: &'static str,
    /// The last number of its address.
    pub number: u8,
    /// Whom ssh logs in as.
    pub user: &'static str,
}

/// The four hosts of every lab, builder first.
pub const HOSTS: [LabHost; 4] = [
    LabHost { name: "p620", number: 10, user: "root" },
    LabHost { name: "razer", number: 11, user: "me" },
    LabHost { name: "samsung", number: 12, user: "root" },
    LabHost { name: "p510", number: 13, user: "root" },
];

/// Every host that a lab may have, the four first. The others are laptops like samsung, named by their place.
pub const ALL: [LabHost; 20] = [
    HOSTS[0],
    HOSTS[1],
    HOSTS[2],
    HOSTS[3],
    LabHost { name: "node05", number: 14, user: "root" },
    LabHost { name: "node06", number: 15, user: "root" },
    LabHost { name: "node07", number: 16, user: "root" },
    LabHost { name: "node08", number: 17, user: "root" },
    LabHost { name: "node09", number: 18, user: "root" },
    LabHost { name: "node10", number: 19, user: "root" },
    LabHost { name: "node11", number: 20, user: "root" },
    LabHost { name: "node12", number: 21, user: "root" },
    LabHost { name: "node13", number: 22, user: "root" },
    LabHost { name: "node14", number: 23, user: "root" },
    LabHost { name: "node15", number: 24, user: "root" },
    LabHost { name: "node16", number: 25, user: "root" },
    LabHost { name: "node17", number: 26, user: "root" },
    LabHost { name: "node18", number: 27, user: "root" },
    LabHost { name: "node19", number: 28, user: "root" },
    LabHost { name: "node20", number: 29, user: "root" },
];

/// The first hosts of all: what a lab of that many has. Never fewer than the four.
pub fn first(count: u8) -> &'static [LabHost] {
    static EVERY: [LabHost; 20] = ALL;
    &EVERY[..usize::from(count).clamp(HOSTS.len(), EVERY.len())]
}

/// What the last number of a host's second address is more than that of its first.
const SECOND_OFFSET: u8 = 100;

/// Where a system that moves sshd has it listen.
pub(crate) const MOVED_PORT: u16 = 2222;

/// The last number of the address of the static cache.
const STATIC_NUMBER: u8 = 40;

/// The last number of the address of the SeaweedFS cluster.
const WEED_NUMBER: u8 = 50;

/// Finds a host by name, in any lab.
pub fn host(name: &str) -> Result<LabHost, LabError> {
    host_of(&ALL, name)
}

/// Finds a host by name among those of one lab.
pub(crate) fn host_of(hosts: &[LabHost], name: &str) -> Result<LabHost, LabError> {
    hosts.iter().copied().find(|host| host.name == name).ok_or_else(|| {
        let names: Vec<&str> = hosts.iter().map(|host| host.name).collect();
        LabError::NoSuchHost { name: name.to_owned(), known: names.join(", ") }
    })
}

/// Whether a text can name a lab: it becomes part of file names.
pub fn check_name(name: &str) -> Result<(), LabError> {
    let fits = (1..=32).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits { Ok(()) } else { Err(LabError::BadName(name.to_owned())) }
}

/// The 64-bit FNV-1a hash: names networks and seeds, protects nothing.
pub(crate) fn fnv(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter().chain(std::iter::once(&0))) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// The networks a lab of this name may use, the likeliest first: a name nearly always gets the same one.
pub fn subnet_candidates(name: &str) -> impl Iterator<Item = u8> {
    let first = (fnv(&[name.as_bytes()]) % 254) as u8;
    (0..254_u8).map(move |step| ((u16::from(first) + u16::from(step)) % 254) as u8 + 1)
}

/// The network of one lab: 10.213.N.0/24, and everything that is named after N.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet(pub u8);

impl Subnet {
    fn address(self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.0, number)
    }

    /// The operator's own address in it.
    pub fn operator(self) -> Ipv4Addr {
        self.address(1)
    }

    /// A host's address.
    pub fn of(self, host: LabHost) -> Ipv4Addr {
        self.address(host.number)
    }

    /// A host's second address, as a private network's would be.
    pub fn second_of(self, host: LabHost) -> Ipv4Addr {
        self.address(host.number + SECOND_OFFSET)
    }

    /// The address of the static cache.
    pub fn static_cache(self) -> Ipv4Addr {
        self.address(STATIC_NUMBER)
    }

    /// The address of the SeaweedFS cluster.
    pub fn weed(self) -> Ipv4Addr {
        self.address(WEED_NUMBER)
    }

    /// The operator's interface; also the beginning of every other name.
    pub fn prefix(self) -> String {
        format!("nd-{}", self.0)
    }

    /// A network namespace: of a host, of `static`, or of the bridge (`net`).
    pub fn namespace(self, of: &str) -> String {
        format!("nd-{}-{of}", self.0)
    }

    /// Where p620's cache answers.
    pub fn builder_cache_url(self) -> String {
        format!("http://{}:5000", self.of(HOSTS[0]))
    }

    /// Where the static cache answers.
    pub fn static_cache_url(self) -> String {
        format!("http://{}", self.static_cache())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_always_begins_with_the_same_network() {
        let first = subnet_candidates("practice").next();
        assert_eq!(first, subnet_candidates("practice").next());
        assert_ne!(first, subnet_candidates("other").next());
    }

    #[test]
    fn every_network_is_a_candidate_once() {
        let mut all: Vec<u8> = subnet_candidates("practice").collect();
        all.sort_unstable();
        assert_eq!(all, (1..=254).collect::<Vec<u8>>());
    }

    #[test]
    fn names_that_would_leave_the_state_directory_are_refused() {
        assert!(check_name("e2e-1").is_ok());
        for bad in ["", "..", "a/b", "1a", "Practice", "a b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_two_hosts_share_a_name_or_an_address_and_none_has_that_of_a_cache() {
        let numbers: Vec<u8> =
            ALL.iter().flat_map(|host| [host.number, host.number + SECOND_OFFSET]).collect();
        let all: Vec<u8> = numbers.iter().copied().chain([1, STATIC_NUMBER, WEED_NUMBER]).collect();
        let different: std::collections::BTreeSet<u8> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len());
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|host| host.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_lab_has_the_four_hosts_and_at_most_twenty() {
        assert_eq!(first(0), HOSTS);
        assert_eq!(first(12).len(), 12);
        assert_eq!(first(12).last().map(|host| host.name), Some("node12"));
        assert_eq!(first(255).len(), 20);
        let error = host_of(first(4), "node05").unwrap_err().to_string();
        assert!(error.contains("its hosts are p620, razer, samsung, p510"), "{error}");
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        assert!(Subnet(254).prefix().len() <= 15);
    }
}
