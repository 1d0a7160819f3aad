//! Where a system is that somebody names: on the host that is to run it, on the host that builds, or in a
//! tier.

use super::scripts::{IS_SYSTEM, LISTING, VERIFY};
use crate::deploy::GivenPlace;
use crate::fleet::{Fleet, Host, StorePath, Tier};
use crate::probe::invalid_paths;
use crate::remote::{RemoteError, Script, ScriptRunner};
use futures_util::future::join_all;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A system is in none of the places that it could be deployed from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Everybody who could have it was asked, and nobody has it.
    #[error(
        "{system} was not found: it is not in the store of {asked}, and no tier that {host} can \
         ask serves it; build it first, or copy it to one of them with nix copy"
    )]
    Nowhere {
        /// The system.
        system: StorePath,
        /// The host that is to run it.
        host: String,
        /// The hosts whose stores were looked into.
        asked: String,
    },
    /// It is there, and is something else.
    #[error(
        "{path} on {on} is no system of NixOS: it has neither nixos-version nor \
         bin/switch-to-configuration; name a system such as /nix/store/…-nixos-system-samsung-26.05"
    )]
    NoSystem {
        /// What was named.
        path: StorePath,
        /// The host or tier that has it.
        on: String,
    },
    /// The host could not be asked.
    #[error("{0}")]
    Remote(#[from] RemoteError),
}

/// Finds the place that a system is deployed to a host from: the nearest one that has it.
pub async fn place_of(
    fleet: &Fleet,
    runner: &dyn ScriptRunner,
    host: &Host,
    system: &StorePath,
) -> Result<GivenPlace, PlaceError> {
    if is_valid(runner, &host.name, system).await? {
        look_for_system(runner, &host.name, system).await?;
        return Ok(GivenPlace::Host);
    }
    let builder = fleet.build_on(host).filter(|builder| *builder != host.name);
    let asked_builder = match builder {
        Some(builder) => is_valid(runner, builder, system).await,
        None => Ok(false),
    };
    if let (Some(builder), Ok(true)) = (builder, &asked_builder) {
        look_for_system(runner, builder, system).await?;
        return Ok(GivenPlace::Builder);
    }
    let asked = fleet.tiers.iter().filter(|tier| tier.url.starts_with("http"));
    let asked = asked.map(|tier| async move {
        let script = Script::new(VERIFY).root().arg(&tier.url).arg(system.hash());
        let output = runner.run(&host.name, &script).await.ok()?;
        let status = output.stdout.rsplit_once("\n--- status ")?.1;
        status.starts_with("200").then_some(tier)
    });
    if let Some(tier) = join_all(asked).await.into_iter().flatten().next() {
        look_for_system_in(runner, &host.name, tier, system).await?;
        return Ok(GivenPlace::Tier(tier.name.clone()));
    }
    // A builder that does not answer may have it.
    asked_builder?;
    let asked = [Some(host.name.as_str()), builder].into_iter().flatten();
    Err(PlaceError::Nowhere {
        system: system.clone(),
        host: host.name.clone(),
        asked: asked.collect::<Vec<_>>().join(" or "),
    })
}

/// Looks whether a path that a host has is a system: anything else would be verified and fetched in vain.
async fn look_for_system(
    runner: &dyn ScriptRunner,
    host: &str,
    path: &StorePath,
) -> Result<(), PlaceError> {
    let output = runner.run(host, &Script::new(IS_SYSTEM).arg(path.as_str())).await?;
    if output.stdout.trim() == "no" {
        return Err(PlaceError::NoSystem { path: path.clone(), on: host.to_owned() });
    }
    Ok(())
}

/// Looks whether a path that a tier has is a system, where the tier lists its files and says so now; else the host
/// looks when it has fetched it.
async fn look_for_system_in(
    runner: &dyn ScriptRunner,
    host: &str,
    tier: &Tier,
    path: &StorePath,
) -> Result<(), PlaceError> {
    let script = Script::new(LISTING).arg(&tier.url).arg(path.hash());
    let listing = match runner.run(host, &script).await {
        Ok(output) => output.stdout,
        Err(error) => {
            tracing::debug!(%error, "what a tier lists");
            return Ok(());
        }
    };
    if lists_system(&listing) == Some(false) {
        return Err(PlaceError::NoSystem { path: path.clone(), on: format!("tier {}", tier.name) });
    }
    Ok(())
}

/// The files of a path, as `nix copy` writes them beside a narinfo with `write-nar-listing`
/// (`src/libutil/nar-listing.cc`).
#[derive(Deserialize)]
struct FileListing {
    root: ListedFile,
}

/// A file or folder of a listing.
#[derive(Deserialize)]
struct ListedFile {
    /// What a folder holds; nothing of a file.
    #[serde(default)]
    entries: BTreeMap<String, ListedFile>,
}

/// Returns whether a listing is that of a system; nothing of a text that is no listing.
fn lists_system(text: &str) -> Option<bool> {
    let FileListing { root } = serde_json::from_str(text).ok()?;
    let switches = root.entries.get("bin").map(|bin| &bin.entries);
    let switches = switches.is_some_and(|bin| bin.contains_key("switch-to-configuration"));
    Some(switches || root.entries.contains_key("nixos-version"))
}

/// Returns whether a path is valid in a host's store.
async fn is_valid(
    runner: &dyn ScriptRunner,
    host: &str,
    path: &StorePath,
) -> Result<bool, RemoteError> {
    Ok(invalid_paths(runner, host, std::iter::once(path)).await?.is_empty())
}

/// Finds the place of what an earlier run was about: the system where it is, else the derivation that it
/// is built from, where the host that builds for it now still has it. Nothing where it must be evaluated
/// again, since everybody answered and nobody has it. The hosts are the one that is to run it and the one that
/// builds for it.
///
/// A host that does not answer may have it: the derivation is kept as the place then, and the run looks for
/// it. Fails where no derivation is known.
pub async fn place_again(
    runner: &dyn ScriptRunner,
    (host, builder): (&str, &str),
    system: &StorePath,
    drv: Option<&StorePath>,
) -> Result<Option<GivenPlace>, RemoteError> {
    // What is already fetched is verified all the same.
    let built = is_valid(runner, builder, system).await;
    if built == Ok(true) {
        return Ok(Some(GivenPlace::Builder));
    }
    let fetched = if host == builder { Ok(false) } else { is_valid(runner, host, system).await };
    if fetched == Ok(true) {
        return Ok(Some(GivenPlace::Host));
    }
    let Some(drv) = drv else {
        // What was given to the earlier run was not evaluated from the flake.
        built?;
        fetched?;
        return Ok(None);
    };
    if built.is_ok() && is_valid(runner, builder, drv).await == Ok(false) {
        return Ok(None);
    }
    Ok(Some(GivenPlace::Derivation(drv.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::{FakeRunner, Output, Trouble};

    #[test]
    fn a_system_is_told_from_what_else_is_in_the_store_under_a_real_shell() {
        let dir = tempfile::tempdir().unwrap();
        let says = |name: &str| {
            let output = std::process::Command::new("/bin/sh")
                .args(["-c", IS_SYSTEM, "is-system"])
                .arg(dir.path().join(name))
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        for name in ["system", "package"] {
            std::fs::create_dir_all(dir.path().join(name).join("bin")).unwrap();
        }
        std::fs::write(dir.path().join("system/nixos-version"), "26.05").unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(says("system"), "yes\n");
        for other in ["package", "file", "nothing"] {
            assert_eq!(says(other), "no\n", "{other}");
        }
    }

    #[tokio::test]
    async fn what_a_tier_lists_as_no_system_is_refused_and_what_it_does_not_list_is_not() {
        let text =
            "[hosts.samsung]\n[[tiers]]\nname = \"cache\"\nkind = \"http\"\nurl = \"http://c\"\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let host = fleet.host("samsung").unwrap();
        let path = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-less-695";
        let path = StorePath::parse(path).unwrap();
        let file = r#"{"type":"regular","size":3,"narOffset":9}"#;
        let folder = |name: &str| {
            format!(r#"{{"version":1,"root":{{"type":"directory","entries":{{{name}}}}}}}"#)
        };
        for (listing, is_refused) in [
            (folder(&format!(r#""nixos-version":{file}"#)), false),
            (
                folder(&format!(
                    r#""bin":{{"type":"directory","entries":{{"switch-to-configuration":{file}}}}}"#
                )),
                false,
            ),
            (folder(&format!(r#""bin":{{"type":"directory","entries":{{"less":{file}}}}}"#)), true),
            (format!(r#"{{"version":1,"root":{file}}}"#), true),
            (String::new(), false),
            ("<html>no</html>".to_owned(), false),
        ] {
            let answer = listing.clone();
            let runner = FakeRunner::new(move |_, script| {
                let stdout = if script.body == LISTING {
                    answer.clone()
                } else if script.body == VERIFY {
                    "\n--- narinfo\n\n--- status 200 \n".to_owned()
                } else {
                    String::from_utf8(script.stdin.clone()).unwrap()
                };
                Ok(Output { stdout, ..Output::default() })
            });
            match place_of(&fleet, &runner, host, &path).await {
                Ok(place) => {
                    assert!(!is_refused, "{listing}");
                    assert_eq!(place, GivenPlace::Tier("cache".to_owned()));
                }
                Err(error) => {
                    assert!(is_refused, "{listing}: {error}");
                    assert!(error.to_string().contains("on tier cache is no system"), "{error}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_tier_that_has_a_system_is_its_place_though_the_builder_is_off_and_no_listing_comes()
    {
        let text = "[fleet]\nbuilder = \"p620\"\n[hosts.p620]\n[hosts.samsung]\n\
                    [[tiers]]\nname = \"cache\"\nkind = \"http\"\nurl = \"http://c\"\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let host = fleet.host("samsung").unwrap();
        let path = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-less-695";
        let path = StorePath::parse(path).unwrap();
        for (status, place) in [("200", Some(GivenPlace::Tier("cache".to_owned()))), ("404", None)]
        {
            let runner = FakeRunner::new(move |asked, script| {
                if asked == "p620" || script.body == LISTING {
                    return Err(RemoteError::new(asked, Trouble::Unreachable, "No route to host"));
                }
                let stdout = if script.body == VERIFY {
                    format!("\n--- narinfo\n\n--- status {status} \n")
                } else {
                    String::from_utf8(script.stdin.clone()).unwrap()
                };
                Ok(Output { stdout, ..Output::default() })
            });
            let found = place_of(&fleet, &runner, host, &path).await;
            if let Err(error) = &found {
                assert!(matches!(error, PlaceError::Remote(_)), "the builder may have it: {error}");
            }
            assert_eq!(found.ok(), place);
        }
    }

    #[tokio::test]
    async fn what_is_no_system_is_refused_on_the_host_and_on_the_builder() {
        let text = "[fleet]\nbuilder = \"p620\"\n[hosts.p620]\n[hosts.samsung]\n";
        let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
        let host = fleet.host("samsung").unwrap();
        let path = "/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-less-695";
        let path = StorePath::parse(path).unwrap();
        for (has, is_system, expected) in [
            ("samsung", "yes", Some(GivenPlace::Host)),
            ("p620", "yes", Some(GivenPlace::Builder)),
            ("samsung", "no", None),
            ("p620", "no", None),
        ] {
            let runner = FakeRunner::new(move |asked, script| {
                let stdout = if script.body == IS_SYSTEM {
                    format!("{is_system}\n")
                } else if asked == has {
                    String::new()
                } else {
                    String::from_utf8(script.stdin.clone()).unwrap()
                };
                Ok(Output { stdout, ..Output::default() })
            });
            let found = place_of(&fleet, &runner, host, &path).await;
            if let Some(place) = expected {
                assert_eq!(found, Ok(place));
            } else {
                let refused = found.unwrap_err().to_string();
                assert!(refused.contains(&format!("on {has} is no system")), "{refused}");
            }
        }
    }

    /// Looks again for a system after an earlier run, on a host and a builder that have these paths; one that has
    /// none to tell does not answer.
    async fn again(
        host: Option<&'static [&'static str]>,
        builder: Option<&'static [&'static str]>,
        drv: Option<&str>,
    ) -> Result<Option<GivenPlace>, RemoteError> {
        let path = |name: &str| {
            StorePath::from_base_name(&format!("l0znnv1nxsr0ry7gmadkh49s1d0hycgd-{name}")).unwrap()
        };
        let runner = FakeRunner::new(move |asked, script| {
            let has = if asked == "p620" { builder } else { host };
            let Some(has) = has else {
                return Err(RemoteError::new(asked, Trouble::Unreachable, "No route to host"));
            };
            let wanted = String::from_utf8(script.stdin.clone()).unwrap();
            let lacks = |line: &&str| !has.iter().any(|name| line.ends_with(&format!("-{name}")));
            let stdout = wanted.lines().filter(lacks).collect::<Vec<_>>().join("\n");
            Ok(Output { stdout, ..Output::default() })
        });
        let drv = drv.map(path);
        place_again(&runner, ("samsung", "p620"), &path("new"), drv.as_ref()).await
    }

    #[tokio::test]
    async fn what_a_silent_builder_may_have_is_not_evaluated_again() {
        let drv = Some("new.drv");
        let derivation = |found: Result<Option<GivenPlace>, RemoteError>| {
            matches!(found, Ok(Some(GivenPlace::Derivation(_))))
        };
        assert!(derivation(again(Some(&[]), None, drv).await), "the run waits for the builder");
        assert!(derivation(again(None, None, drv).await));
        assert_eq!(again(Some(&["new"]), None, drv).await, Ok(Some(GivenPlace::Host)));
        let refused = again(Some(&[]), None, None).await.unwrap_err();
        assert_eq!(refused.host, "p620", "nothing is known that could be kept");
        assert_eq!(again(None, Some(&[]), None).await.unwrap_err().host, "samsung");
    }

    #[tokio::test]
    async fn only_what_nobody_has_any_more_is_evaluated_again() {
        let drv = Some("new.drv");
        assert_eq!(again(Some(&[]), Some(&[]), drv).await, Ok(None));
        assert_eq!(again(None, Some(&[]), drv).await, Ok(None), "a derivation is on the builder");
        assert_eq!(again(Some(&[]), Some(&[]), None).await, Ok(None));
        let found = again(Some(&[]), Some(&["new.drv"]), drv).await;
        assert!(matches!(found, Ok(Some(GivenPlace::Derivation(_)))), "{found:?}");
        assert_eq!(again(None, Some(&["new"]), drv).await, Ok(Some(GivenPlace::Builder)));
    }
}
