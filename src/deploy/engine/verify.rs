//! Verify: can the target get its system from the tier, signed by a key that it trusts.
//!
//! Asked from the target, since it may not see what this machine sees; the signature is checked
//! here, against the key that `hosts.toml` names.

use super::scripts::VERIFY;
use super::step::Step;
use crate::deploy::{Failure, Report};
use crate::fleet::{PublicKey, SignatureState, StorePath, Tier};
use crate::nix::narinfo::NarInfo;
use crate::nix::settings::Settings;
use crate::nix::signature::parse_public_key;
use crate::remote::Script;

pub(super) async fn verify(step: &Step) -> Result<Report, Failure> {
    let (tier, toplevel) = (step.tier()?, step.toplevel()?);
    let script = Script::new(VERIFY).root().arg(&tier.url).arg(toplevel.hash());
    let output = step.run(&step.host.name, &script).await?;
    let (settings, rest) =
        output.stdout.split_once("\n--- narinfo\n").unwrap_or(("", &output.stdout));
    let (narinfo, status) = rest.rsplit_once("\n--- status ").unwrap_or((rest, "000"));
    let host = &step.host.name;
    let Some(key) = &tier.public_key else {
        return Err(Failure::failed(format!("tier {} has no public_key", tier.name)));
    };
    served(host, tier, key, toplevel, status.trim(), narinfo).map_err(Failure::failed)?;
    step.log(&format!("{} has it, signed by {}", tier.name, key.name)).await;
    let settings = Settings::parse(settings);
    if settings.is_empty() {
        step.log("its Nix settings could not be read; the fetch will tell").await;
        return Ok(Report::Done);
    }
    match accepted(host, tier, key, &settings) {
        Ok(()) => step.log(&format!("{host} asks {} and trusts {}", tier.name, key.name)).await,
        Err(why) if step.shared.fleet.bootstrap_trust => {
            step.log(&format!("{why}; added for this fetch: bootstrap_trust")).await;
        }
        Err(why) => return Err(Failure::failed(why)),
    }
    Ok(Report::Done)
}

/// Checks that the tier serves the system with a valid signature.
fn served(
    host: &str,
    tier: &Tier,
    key: &PublicKey,
    toplevel: &StorePath,
    status: &str,
    text: &str,
) -> Result<(), String> {
    let (name, url) = (&tier.name, &tier.url);
    match status {
        "200" => {}
        "404" => {
            return Err(format!(
                "tier {name} ({url}) does not have {toplevel}, asked from {host}; does it serve the store of the builder?"
            ));
        }
        "000" => {
            let said = text.lines().map(crate::fleet::printable_line).rfind(|l| !l.is_empty());
            return Err(format!(
                "{host} cannot reach tier {name} ({url}): {}; is the server running there and the port open?",
                said.unwrap_or_else(|| "no answer".to_owned())
            ));
        }
        other => {
            return Err(format!("tier {name} ({url}) answered {other} to {host} for the narinfo"));
        }
    }
    let narinfo = NarInfo::parse(text)
        .map_err(|error| format!("tier {name} ({url}) served a broken narinfo: {error}"))?;
    if narinfo.store_path != *toplevel {
        return Err(format!("tier {name} ({url}) served {} instead", narinfo.store_path));
    }
    match narinfo.verdict(key) {
        SignatureState::Valid => Ok(()),
        SignatureState::Invalid => Err(format!(
            "tier {name} signs as {} with another key than hosts.toml names: its signature does not verify, so {host} would refuse it; compare public_key with the server's key",
            key.name
        )),
        SignatureState::Untrusted | SignatureState::Unchecked => Err(format!(
            "tier {name} serves {toplevel} without a signature of {}; is a signing key set on the server?",
            key.name
        )),
    }
}

/// Checks that the target asks the tier and trusts its key.
fn accepted(host: &str, tier: &Tier, key: &PublicKey, settings: &Settings) -> Result<(), String> {
    let trusted =
        settings.trusted_public_keys().into_iter().filter_map(|text| parse_public_key(text).ok());
    let same_name: Vec<PublicKey> = trusted.filter(|have| have.name == key.name).collect();
    if same_name.is_empty() {
        return Err(format!(
            "{host} does not trust the key {}; add \"{}\" to nix.settings.trusted-public-keys of {host}",
            key.name, key.text
        ));
    }
    if !same_name.iter().any(|have| have.bytes == key.bytes) {
        return Err(format!(
            "{host} trusts another key under the name {}; it must be \"{}\"",
            key.name, key.text
        ));
    }
    if !settings.asks(&tier.url) {
        return Err(format!(
            "{host} does not ask {}; add \"{}\" to nix.settings.substituters of {host}",
            tier.name, tier.url
        ));
    }
    Ok(())
}
