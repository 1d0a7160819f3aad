//! Whether the hosts of a fleet can be deployed in the way that `hosts.toml` chooses for them.

use crate::deploy::{Request, SetupError, setup};
use crate::fleet::{Fleet, Goal};

/// Why a host cannot be deployed in the way that is chosen for it, and what to do about it.
pub(super) type StrategyMistake = (String, String);

/// Returns why hosts cannot be deployed via-cache, each cause once. A fleet that names neither a flake
/// nor a builder is only looked at and needs no cache.
pub(super) fn mistakes(fleet: &Fleet) -> Vec<StrategyMistake> {
    if fleet.flake.is_none() && fleet.builder.is_none() {
        return Vec::new();
    }
    // A deploy refuses a fleet without a flake before it looks at anything else.
    let mut fleet = fleet.clone();
    fleet.flake.get_or_insert_with(|| ".".to_owned());
    let mut mistakes: Vec<(StrategyMistake, Vec<String>)> = Vec::new();
    for host in &fleet.hosts {
        let request = Request {
            set_aside: std::collections::BTreeMap::new(),
            degraded: std::collections::BTreeMap::new(),
            options: crate::fleet::RunOptions::default(),
            hosts: vec![host.name.clone()],
            goal: Goal::Switch,
            allow_protected: vec![host.name.clone()],
            asks: false,
            goals: std::collections::BTreeMap::new(),
            given: std::collections::BTreeMap::new(),
            reboot: None,
        };
        let Err(error) = setup(&fleet, &request) else { continue };
        let Some(mistake) = mistake(&error) else { continue };
        match mistakes.iter_mut().find(|(known, _)| *known == mistake) {
            Some((_, hosts)) => hosts.push(host.name.clone()),
            None => mistakes.push((mistake, vec![host.name.clone()])),
        }
    }
    let told = |((cause, hint), hosts): (StrategyMistake, Vec<String>)| {
        let verb = if hosts.len() == 1 { "is" } else { "are" };
        (format!("{} {verb} deployed via-cache, but {cause}", hosts.join(", ")), hint)
    };
    mistakes.into_iter().map(told).collect()
}

/// Says what of a refusal is a mistake of the file.
fn mistake(error: &SetupError) -> Option<StrategyMistake> {
    let direct = "or strategy = \"direct\", to [fleet] or to the host";
    match error {
        SetupError::NoBuilder { .. } => Some((
            "[fleet] names no builder".to_owned(),
            format!("add builder = \"NAME\" to [fleet], {direct}"),
        )),
        SetupError::NoTier { builder, .. } => Some((
            format!("no tier serves the store of its builder {builder}"),
            format!(
                "add [[tiers]] with kind = \"nix-serve\" or \"harmonia\" and host = \"{builder}\", {direct}"
            ),
        )),
        SetupError::NoKey { tier } => Some((
            format!("tier {tier} has no public_key, so nothing that it serves can be verified"),
            format!("add the public_key of tier {tier}, {direct}"),
        )),
        SetupError::SkipsCaches { .. }
        | SetupError::NoFile
        | SetupError::NoFlake
        | SetupError::Protected { .. }
        | SetupError::ReadOnly { .. }
        | SetupError::NothingToRestart { .. }
        | SetupError::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Returns the mistakes of a file with these lines.
    fn of(text: &str) -> Vec<StrategyMistake> {
        mistakes(&crate::config::parse(text, Path::new("/f/hosts.toml"), None).unwrap())
    }

    #[test]
    fn a_fleet_that_is_deployed_via_cache_needs_a_tier_of_its_builder_with_a_key() {
        let hosts = "[hosts.p620]\n[hosts.a]\nprotected = true\n[hosts.b]\n";
        let fleet = format!("[fleet]\nflake = \".\"\nbuilder = \"p620\"\n{hosts}");
        let found = of(&fleet);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0.starts_with("a, b are deployed via-cache, but no tier serves"));
        assert!(found[0].1.contains("host = \"p620\""), "{found:?}");
        let other = "[[tiers]]\nname = \"x\"\nkind = \"http\"\nurl = \"http://x\"\n";
        assert_eq!(of(&format!("{fleet}{other}")).len(), 1, "a tier of nobody's store");
        let tier = "[[tiers]]\nname = \"p620\"\nkind = \"nix-serve\"\nurl = \"http://p620\"\nhost = \"p620\"\n";
        let found = of(&format!("{fleet}{tier}"));
        assert!(found[0].0.contains("tier p620 has no public_key"), "{found:?}");
        let key = "public_key = \"p620-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=\"\n";
        assert_eq!(of(&format!("{fleet}{tier}{key}")), []);
        let found = of(&format!("[fleet]\nflake = \".\"\n{hosts}"));
        assert!(found[0].0.contains("names no builder"), "{found:?}");
        let found = of(&format!("[fleet]\nbuilder = \"p620\"\n{hosts}"));
        assert!(found[0].0.contains("no tier serves"), "{found:?}");
    }

    #[test]
    fn a_fleet_that_deploys_directly_or_is_only_looked_at_needs_no_tier() {
        assert_eq!(of("[fleet]\nflake = \".\"\nstrategy = \"direct\"\n[hosts.a]\n"), []);
        assert_eq!(of("[hosts.a]\n[hosts.b]\n"), []);
        assert_eq!(of("[[tiers]]\nname = \"x\"\nkind = \"http\"\nurl = \"http://x\"\n"), []);
    }
}
