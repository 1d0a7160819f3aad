//! What a strategy means for hosts that were chosen: who builds for which of them, and where they fetch from.

use crate::dash::words::first_of;
use crate::fleet::{Fleet, Strategy};

/// Names of hosts that are shown of those for which one host builds.
const SHOWN: usize = 3;

/// Hosts for which one host builds.
struct BuiltTogether<'a> {
    /// Who builds; none where hosts.toml names nobody.
    builder: Option<&'a str>,
    /// The hosts, without the one that builds, which has its system already when that is built.
    hosts: Vec<String>,
}

impl BuiltTogether<'_> {
    /// Returns the hosts, and whether they are several.
    fn named(&self) -> (String, bool) {
        (first_of(&self.hosts, SHOWN), self.hosts.len() > 1)
    }
}

/// Returns the chosen hosts by the host that builds for them, in the order of the chosen ones.
fn by_builder<'a>(fleet: &'a Fleet, hosts: &[String]) -> Vec<BuiltTogether<'a>> {
    let mut groups: Vec<BuiltTogether<'a>> = Vec::new();
    for host in hosts.iter().filter_map(|name| fleet.host(name)) {
        let builder = fleet.builder_of(host);
        let index = groups.iter().position(|group| group.builder == builder);
        let index = index.unwrap_or_else(|| {
            groups.push(BuiltTogether { builder, hosts: Vec::new() });
            groups.len() - 1
        });
        if builder != Some(&host.name) {
            groups[index].hosts.push(host.name.clone());
        }
    }
    groups
}

/// Says what a strategy does for the chosen hosts; without one, which strategies hosts.toml says for them.
pub(in crate::dash) fn strategy_words(
    fleet: &Fleet,
    strategy: Option<Strategy>,
    hosts: &[String],
) -> String {
    match strategy {
        Some(Strategy::ViaCache) => format!("via-cache: {}", via_cache(fleet, hosts)),
        Some(Strategy::Push) => format!("push: {}", push(fleet, hosts)),
        Some(Strategy::Auto) => {
            "auto: the best way for each host now; the plan says which and why".to_owned()
        }
        Some(Strategy::Direct) => "direct: each host builds its own system".to_owned(),
        None => {
            let hosts = hosts.iter().filter_map(|name| fleet.host(name));
            let mut words: Vec<&str> = hosts.map(|host| fleet.strategy_of(host).word()).collect();
            words.sort_unstable();
            words.dedup();
            format!("as configured: {}", words.join(", "))
        }
    }
}

fn via_cache(fleet: &Fleet, hosts: &[String]) -> String {
    let groups = by_builder(fleet, hosts);
    let tier = |builder: &str| fleet.tier_of(builder).map(|tier| tier.name.as_str());
    if let [BuiltTogether { builder: Some(builder), hosts }] = &groups[..]
        && !hosts.is_empty()
    {
        return match tier(builder) {
            Some(tier) => format!("build on {builder}, hosts fetch from {tier}"),
            None => format!("build on {builder}, whose store no cache serves"),
        };
    }
    let said = groups.iter().map(|group| {
        let Some(builder) = group.builder else { return without_builder(group) };
        if group.hosts.is_empty() {
            return builds_its_own(builder);
        }
        let (names, several) = group.named();
        let (build, fetch) = if several { ("build", "fetch") } else { ("builds", "fetches") };
        match tier(builder) {
            Some(tier) => format!("{names} {build} on {builder} and {fetch} from {tier}"),
            None => format!("{names} {build} on {builder}, whose store no cache serves"),
        }
    });
    said.collect::<Vec<_>>().join("; ")
}

fn push(fleet: &Fleet, hosts: &[String]) -> String {
    let groups = by_builder(fleet, hosts);
    if let [BuiltTogether { builder: Some(builder), hosts }] = &groups[..]
        && !hosts.is_empty()
    {
        return format!("build on {builder}, which copies to the hosts over ssh");
    }
    let said = groups.iter().map(|group| {
        let Some(builder) = group.builder else { return without_builder(group) };
        if group.hosts.is_empty() {
            return builds_its_own(builder);
        }
        let (names, several) = group.named();
        let them = if several { "them" } else { "it" };
        format!("{builder} builds for {names} and copies to {them} over ssh")
    });
    said.collect::<Vec<_>>().join("; ")
}

fn without_builder(group: &BuiltTogether<'_>) -> String {
    let (names, several) = group.named();
    format!("{names} {} no builder in hosts.toml", if several { "have" } else { "has" })
}

fn builds_its_own(builder: &str) -> String {
    format!("{builder} builds its own system")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const FLEET: &str = "[fleet]\nbuilder = \"p620\"\n[hosts.p620]\n[hosts.a]\n[hosts.b]\n\
                         [hosts.c]\nbuilder = \"arm\"\n[hosts.d]\nbuilder = \"old\"\n[hosts.arm]\n[hosts.old]\n";
    const TIERS: &str = "[[tiers]]\nname = \"main\"\nkind = \"nix-serve\"\nurl = \"http://p620\"\nhost = \"p620\"\n\
                         [[tiers]]\nname = \"small\"\nkind = \"nix-serve\"\nurl = \"http://arm\"\nhost = \"arm\"\n";

    fn words(file: &str, strategy: Strategy, hosts: &[&str]) -> String {
        let fleet = crate::config::parse(file, Path::new("/f/hosts.toml"), None).unwrap();
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        strategy_words(&fleet, Some(strategy), &hosts)
    }

    #[test]
    fn each_builder_and_cache_of_the_chosen_hosts_is_said() {
        let file = format!("{FLEET}{TIERS}");
        let via = |hosts: &[&str]| words(&file, Strategy::ViaCache, hosts);
        assert_eq!(via(&["p620", "a"]), "via-cache: build on p620, hosts fetch from main");
        assert_eq!(via(&["c"]), "via-cache: build on arm, hosts fetch from small");
        assert_eq!(via(&["d"]), "via-cache: build on old, whose store no cache serves");
        assert_eq!(via(&["p620"]), "via-cache: p620 builds its own system");
        let all = "via-cache: a, b build on p620 and fetch from main; c builds on arm and fetches from small; \
                   d builds on old, whose store no cache serves";
        assert_eq!(via(&["p620", "a", "b", "c", "d"]), all);
        let push = |hosts: &[&str]| words(&file, Strategy::Push, hosts);
        assert_eq!(push(&["c"]), "push: build on arm, which copies to the hosts over ssh");
        let both = "push: p620 builds for a, b and copies to them over ssh; arm builds for c and copies to it over ssh";
        assert_eq!(push(&["a", "b", "c"]), both);
    }

    #[test]
    fn a_fleet_without_a_builder_says_so() {
        let file = FLEET.replace("builder = \"p620\"\n", "");
        let via = words(&file, Strategy::ViaCache, &["a", "b"]);
        assert_eq!(via, "via-cache: a, b have no builder in hosts.toml");
        assert_eq!(words(&file, Strategy::Push, &["a"]), "push: a has no builder in hosts.toml");
    }
}
