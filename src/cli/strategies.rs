//! Whether the hosts of a fleet can be deployed in the way that `hosts.toml` chooses for them.

use crate::deploy::{Request, SetupError, setup};
use crate::fleet::{Fleet, Goal, Strategy, in_a_list};

/// Why a host cannot be deployed in the way that is chosen for it, and what to do about it.
pub(super) type StrategyMistake = (String, String);

/// Returns why hosts cannot be deployed in the way that is chosen for them, each cause once. A fleet that names neither a flake
/// nor a builder is only looked at and needs no cache.
pub(super) fn mistakes(fleet: &Fleet) -> Vec<StrategyMistake> {
    if fleet.flake.is_none() && fleet.builder.is_none() {
        return Vec::new();
    }
    // A deploy refuses a fleet without a flake before it looks at anything else.
    let mut fleet = fleet.clone();
    fleet.flake.get_or_insert_with(|| ".".to_owned());
    let mut mistakes: Vec<((Strategy, StrategyMistake), Vec<String>)> = Vec::new();
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
    let told = |((strategy, (cause, hint)), hosts): ((Strategy, StrategyMistake), Vec<String>)| {
        (format!("the strategy of {} is {strategy}, but {cause}", in_a_list(&hosts)), hint)
    };
    mistakes.into_iter().map(told).collect()
}

/// Says what of a refusal is a mistake of the file, and which strategy needs what is missing.
fn mistake(error: &SetupError) -> Option<(Strategy, StrategyMistake)> {
    let other =
        "or write strategy = \"push\" or strategy = \"direct\" into [fleet] or into the host";
    match error {
        SetupError::NoBuilder { strategy, .. } => Some((
            *strategy,
            (
                "[fleet] names no builder".to_owned(),
                "add builder = \"NAME\" to [fleet], or write strategy = \"direct\" into [fleet] or into the host"
                    .to_owned(),
            ),
        )),
        SetupError::NoTier { builder, .. } => Some((
            Strategy::ViaCache,
            (
                format!("no tier serves the store of the builder {builder}"),
                format!(
                    "add [[tiers]] with kind = \"nix-serve\" or \"harmonia\" and host = \"{builder}\", {other}"
                ),
            ),
        )),
        SetupError::NoKey { tier } => Some((
            Strategy::ViaCache,
            (
                format!("tier {tier} has no public_key, so nothing that it serves can be verified"),
                format!("add the public_key of tier {tier}, {other}"),
            ),
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
        let said = "the strategy of a and b is via-cache, but no tier serves the store of the builder p620";
        assert_eq!(found[0].0, said);
        assert!(found[0].1.contains("host = \"p620\""), "{found:?}");
        assert!(found[0].1.contains("strategy = \"push\" or strategy = \"direct\""), "{found:?}");
        let one = of(&fleet.replace("[hosts.b]\n", ""));
        assert!(one[0].0.starts_with("the strategy of a is via-cache"), "{one:?}");
        let push = of(&format!("[fleet]\nflake = \".\"\nstrategy = \"push\"\n{hosts}"));
        assert!(push[0].0.ends_with(" is push, but [fleet] names no builder"), "{push:?}");
        assert!(!push[0].1.contains("\"push\""), "a copy needs a builder too: {push:?}");
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
