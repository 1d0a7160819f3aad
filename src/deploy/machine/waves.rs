//! Which host is in which wave: decided once, when the plan is made, of the hosts that will change.

use crate::fleet::{Rollout, WaveRule};

/// A host that will change, as far as waves are concerned.
#[derive(Clone, Debug, Default)]
pub(super) struct WaveHost {
    /// Its tags.
    pub(super) tags: Vec<String>,
    /// Whether it activates only when every other host is done.
    pub(super) last: bool,
    /// Whether it is chosen behind the others where some of them are to be tried first.
    pub(super) protected: bool,
    /// Whether it goes back to a system that was confirmed there before: nothing has to be tried
    /// out first.
    pub(super) returns: bool,
    /// The hosts that must be done before it, by their place in the list.
    pub(super) after: Vec<usize>,
}

/// Returns the wave of each host, from 0, with no wave left out. `selected` is the number of hosts
/// that the run began with.
///
/// A host is never in an earlier wave than one that it waits for, and hosts that activate last are
/// in the last wave: so no wave waits for a later one.
pub(super) fn waves(rollout: &Rollout, selected: usize, hosts: &[WaveHost]) -> Vec<usize> {
    let last = with_followers(hosts);
    let mut left: Vec<usize> =
        (0..hosts.len()).filter(|host| !last[*host] && !hosts[*host].returns).collect();
    left.sort_by_key(|host| hosts[*host].protected);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for rule in &rollout.waves {
        let group: Vec<usize> = match rule {
            WaveRule::Tag(tag) => {
                left.iter().copied().filter(|host| hosts[*host].tags.contains(tag)).collect()
            }
            WaveRule::Some(quota) => {
                left.iter().copied().take(quota.of(hosts.len()).max(1)).collect()
            }
            WaveRule::Rest => left.clone(),
        };
        left.retain(|host| !group.contains(host));
        groups.push(group);
    }
    groups.push(left);
    groups.retain(|group| !group.is_empty());
    let canaries = rollout.canaries(selected);
    split_off_canaries(&mut groups, canaries, hosts);
    let has_steps = canaries > 0 || !rollout.waves.is_empty();
    if last.contains(&true) && (groups.is_empty() || groups.len() == 1 && has_steps) {
        groups.push(Vec::new());
    }
    let end = groups.len().saturating_sub(1);
    let mut wave = vec![0; hosts.len()];
    for (number, group) in groups.iter().enumerate() {
        for host in group {
            wave[*host] = number;
        }
    }
    for host in (0..hosts.len()).filter(|host| last[*host]) {
        wave[host] = end;
    }
    follow(&mut wave, hosts);
    without_gaps(&wave)
}

/// Returns which hosts activate last: those that say so, and whoever waits for one of them.
fn with_followers(hosts: &[WaveHost]) -> Vec<bool> {
    let mut last: Vec<bool> = hosts.iter().map(|host| host.last).collect();
    for _ in 0..hosts.len() {
        for host in 0..hosts.len() {
            last[host] |= hosts[host].after.iter().any(|other| last[*other]);
        }
    }
    last
}

/// Makes the first few hosts of the first wave a wave of their own; those that wait for nobody come
/// first.
fn split_off_canaries(groups: &mut Vec<Vec<usize>>, canaries: usize, hosts: &[WaveHost]) {
    let Some(first) = groups.first_mut().filter(|first| first.len() > canaries && canaries > 0)
    else {
        return;
    };
    let mut chosen = first.clone();
    chosen.sort_by_key(|host| !hosts[*host].after.is_empty());
    chosen.truncate(canaries);
    first.retain(|host| !chosen.contains(host));
    groups.insert(0, chosen);
}

/// Moves hosts to the wave of those that they wait for, where that is a later one.
fn follow(wave: &mut [usize], hosts: &[WaveHost]) {
    for _ in 0..hosts.len() {
        for host in 0..hosts.len() {
            let later = hosts[host].after.iter().map(|other| wave[*other]).max();
            wave[host] = wave[host].max(later.unwrap_or(0));
        }
    }
}

/// Numbers waves again, so that none is without a host.
fn without_gaps(wave: &[usize]) -> Vec<usize> {
    let mut used: Vec<usize> = wave.to_vec();
    used.sort_unstable();
    used.dedup();
    wave.iter().map(|number| used.binary_search(number).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Quota;
    use proptest::prelude::*;

    fn hosts(count: usize) -> Vec<WaveHost> {
        vec![WaveHost::default(); count]
    }

    #[test]
    fn a_run_of_four_has_a_canary_and_one_of_three_has_none() {
        let usual = Rollout::default();
        assert_eq!(waves(&usual, 4, &hosts(4)), [0, 1, 1, 1]);
        assert_eq!(waves(&usual, 3, &hosts(3)), [0, 0, 0]);
        assert_eq!(waves(&usual, 0, &[]), [0; 0]);
    }

    #[test]
    fn waves_are_taken_from_what_is_left_and_percentages_from_the_whole() {
        let rules = vec![
            WaveRule::Tag("edge".to_owned()),
            WaveRule::Some(Quota::Percent(50)),
            WaveRule::Some(Quota::Count(1)),
            WaveRule::Rest,
        ];
        let rollout =
            Rollout { waves: rules, canary: 0, canary_is_written: true, ..Rollout::default() };
        let mut hosts = hosts(8);
        hosts[5].tags = vec!["edge".to_owned()];
        assert_eq!(waves(&rollout, 8, &hosts), [1, 1, 1, 1, 2, 0, 3, 3]);
    }

    #[test]
    fn a_small_percentage_is_still_one_host() {
        let waves_of = vec![WaveRule::Some(Quota::Percent(10))];
        let rollout = Rollout { waves: waves_of, ..Rollout::default() };
        assert_eq!(waves(&rollout, 3, &hosts(3)), [0, 1, 1]);
    }

    #[test]
    fn who_serves_the_others_is_in_the_last_wave_and_is_no_canary() {
        let mut four = hosts(4);
        four[0].last = true;
        assert_eq!(waves(&Rollout::default(), 4, &four), [1, 0, 1, 1]);
        let mut two = hosts(2);
        two[0].last = true;
        assert_eq!(waves(&Rollout::default(), 4, &two), [1, 0], "the other one is the canary");
        assert_eq!(waves(&Rollout::default(), 2, &two), [0, 0]);
    }

    #[test]
    fn a_host_is_in_no_earlier_wave_than_the_one_it_waits_for() {
        let mut four = hosts(4);
        four[0].after = vec![3];
        assert_eq!(waves(&Rollout::default(), 4, &four), [1, 0, 1, 1], "it is no canary");
        let mut served = hosts(3);
        served[0].last = true;
        served[1].after = vec![0];
        let rollout = Rollout { canary: 1, canary_is_written: true, ..Rollout::default() };
        assert_eq!(waves(&rollout, 3, &served), [1, 1, 0]);
    }

    #[test]
    fn a_protected_host_is_no_canary_and_in_no_first_share_while_another_one_is_there() {
        let mut four = hosts(4);
        four[0].protected = true;
        assert_eq!(waves(&Rollout::default(), 4, &four), [1, 0, 1, 1]);
        let waves_of = vec![WaveRule::Some(Quota::Count(1))];
        let rollout = Rollout { waves: waves_of, ..Rollout::default() };
        assert_eq!(waves(&rollout, 4, &four), [1, 0, 1, 1]);
        // The builder is last; nothing else is there.
        four[1].last = true;
        for host in [2, 3] {
            four[host].after = vec![0];
        }
        assert_eq!(waves(&Rollout::default(), 4, &four)[0], 0, "the others wait for it");
        for host in &mut four {
            host.protected = true;
        }
        assert_eq!(waves(&Rollout::default(), 4, &four)[0], 0);
    }

    #[test]
    fn who_goes_back_to_a_system_that_was_confirmed_waits_for_no_canary() {
        let mut four = hosts(4);
        four[3].returns = true;
        assert_eq!(waves(&Rollout::default(), 4, &four), [0, 1, 1, 0]);
    }

    proptest! {
        #[test]
        fn no_wave_is_empty_and_none_waits_for_a_later_one(
            edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..20),
            lasts in prop::collection::vec(any::<bool>(), 12),
            rules in prop::collection::vec(0_usize..4, 0..4),
            canary in 0_usize..4,
            count in 1_usize..12,
        ) {
            let mut hosts = hosts(count);
            // An order has no circle: later ones wait for earlier ones.
            for (one, other) in edges {
                if one < other && other < count {
                    hosts[other].after.push(one);
                }
            }
            for (host, last) in hosts.iter_mut().zip(lasts) {
                host.last = last;
            }
            let rules = rules.into_iter().map(|kind| match kind {
                0 => WaveRule::Some(Quota::Percent(25)),
                1 => WaveRule::Some(Quota::Count(2)),
                2 => WaveRule::Tag("none".to_owned()),
                _ => WaveRule::Rest,
            });
            let rollout = Rollout {
                waves: rules.collect(), canary, canary_is_written: true, ..Rollout::default()
            };
            let found = waves(&rollout, count, &hosts);
            let highest = found.iter().copied().max().unwrap_or(0);
            for number in 0..=highest {
                prop_assert!(found.contains(&number), "wave {} is empty: {:?}", number, found);
            }
            for (host, wave) in hosts.iter().zip(&found) {
                for other in &host.after {
                    prop_assert!(found[*other] <= *wave);
                }
                if host.last {
                    prop_assert_eq!(*wave, highest);
                }
            }
        }
    }
}
