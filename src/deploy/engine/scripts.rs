//! The scripts that a deploy runs on hosts, each a file, with the files of functions that it needs
//! put before it here, when nixdash is compiled.

/// Puts files of the folder of scripts one after the other.
macro_rules! script {
    ($($file:literal),+) => { concat!($(include_str!(concat!("../scripts/", $file))),+) };
}

/// Says what a system was built from.
pub(super) const BUILT_FROM: &str = script!("built-from.sh");

/// Says how a host stands whose supervisor is gone.
pub(super) const ACCOUNT: &str = script!(
    "../../remote/scripts/results.sh",
    "../../remote/scripts/units.sh",
    "../../probe/scripts/host-facts.sh",
    "../../probe/scripts/specialisations.sh",
    "failed-units.sh",
    "account.sh"
);
/// Tells the supervisor that the host can be reached.
pub(super) const ACKNOWLEDGE: &str = script!("../../remote/scripts/results.sh", "acknowledge.sh");
/// A host's part in budgets.
pub(super) const BUDGET: &str = script!("../../remote/scripts/units.sh", "budget.sh");
/// Realises a derivation.
pub(super) const BUILD: &str = script!("without-repeats.sh", "stuck.sh", "build.sh");
/// Prints the log of a derivation.
pub(super) const BUILD_LOG: &str = script!("build-log.sh");
/// Looks at a freshly activated host.
pub(super) const CHECK: &str =
    script!("../../remote/scripts/results.sh", "limited.sh", "failed-units.sh", "check.sh");
/// Says how big a system's closure is.
pub(super) const CLOSURE_SIZE: &str = script!("closure-size.sh");
/// Roots a derivation, and asks what realising it would take.
pub(super) const COMPARE: &str = script!("hold.sh", "compare.sh");
/// Removes a flake's source.
pub(super) const DISCARD: &str = script!("discard.sh");
/// Runs nix eval.
pub(super) const EVALUATE: &str = script!("evaluate.sh");
/// Says what evaluates on a machine.
pub(super) const EVALUATOR: &str = script!("evaluator.sh");
/// Gets a system from the target's own substituters.
pub(super) const FETCH: &str = script!("without-repeats.sh", "fetch.sh");
/// Runs the command of a gate.
pub(super) const GATE: &str = script!("limited.sh", "gate.sh");
/// Runs a hook.
pub(super) const HOOK: &str = script!("limited.sh", "hook.sh");
/// Says whether a path is a system.
pub(super) const IS_SYSTEM: &str = script!("is-system.sh");
/// Makes the root of a run's build the lasting one.
pub(super) const KEEP: &str = script!("keep.sh");
/// Prints what a cache says of the files of a path.
pub(super) const LISTING: &str = script!("listing.sh");
/// Asks whether one cache holds a whole system.
pub(super) const HOLDS: &str = script!("holds.sh");
/// Copies a system from the builder to its target.
pub(super) const PUSH: &str = script!("without-repeats.sh", "push.sh");
/// Says what a target asks of whoever copies to it.
pub(super) const PUSH_TARGET: &str = script!("push-target.sh");
/// Tries how a builder can log in to a target.
pub(super) const PUSH_WAY: &str = script!("push-way.sh");
/// Signs a system.
pub(super) const SIGN: &str = script!("sign.sh");
/// Signs paths.
pub(super) const SIGN_PATHS: &str = script!("sign-paths.sh");
/// Says who signed paths.
pub(super) const SIGNATURES: &str = script!("signatures.sh");
/// Looks at a target before anything is done to it.
pub(super) const PREFLIGHT: &str = script!(
    "../../remote/scripts/units.sh",
    "../../probe/scripts/specialisations.sh",
    "../../probe/scripts/deploys.sh",
    "../../probe/scripts/parts.sh",
    "../../probe/scripts/power.sh",
    "failed-units.sh",
    "preflight.sh"
);
/// Puts right what a power cut left.
pub(super) const RECOVER: &str = script!("../../probe/scripts/specialisations.sh", "recover.sh");
/// Restarts a machine.
pub(super) const REBOOT: &str = script!("../../remote/scripts/units.sh", "reboot.sh");
/// Remembers how a system does that a restart started.
pub(super) const MARK: &str = script!("supervise-remember.sh", "mark.sh");
/// Looks at a machine that was restarted.
pub(super) const RESTARTED: &str = script!("failed-units.sh", "restarted.sh");
/// Roots a system that is built already.
pub(super) const ROOT: &str = script!("hold.sh", "root.sh");
/// Roots what is not there yet.
pub(super) const ROOT_AHEAD: &str = script!("root-ahead.sh");
/// Activates a system, and goes back unless it is told to keep it.
pub(super) const SUPERVISE: &str = script!(
    "../../remote/scripts/results.sh",
    "../../remote/scripts/units.sh",
    "../../probe/scripts/host-facts.sh",
    "../../probe/scripts/specialisations.sh",
    "failed-units.sh",
    "supervise-lock.sh",
    "supervise-superseded.sh",
    "supervise-switch.sh",
    "supervise-back.sh",
    "supervise-remember.sh",
    "supervise-persist.sh",
    "supervise.sh"
);
/// Says whether a host has room for a new system.
pub(super) const ROOM: &str = script!("room.sh");
/// Says which systems a host builds for.
pub(super) const SYSTEMS: &str = script!("systems.sh");
/// Removes what a run left.
pub(super) const TIDY: &str = script!("../../remote/scripts/units.sh", "tidy.sh");
/// Unpacks a flake's source.
pub(super) const UNPACK: &str = script!("unpack.sh");
/// Removes lasting roots of hosts that another machine builds now.
pub(super) const UNROOT: &str = script!("unroot.sh");
/// Asks a cache from the target.
pub(super) const VERIFY: &str = script!("verify.sh");
/// Looks whether a host is still well.
pub(super) const WELL: &str =
    script!("../../probe/scripts/specialisations.sh", "failed-units.sh", "well.sh");
/// Gives the supervisor the word after the checks.
pub(super) const WORD: &str = script!("../../remote/scripts/results.sh", "word.sh");
/// Gives the supervisor the word, and follows it to its end.
pub(super) const LAST_WORD: &str = script!(
    "../../remote/scripts/results.sh",
    "../../remote/scripts/units.sh",
    "../../remote/scripts/follow.sh",
    "word.sh"
);

#[cfg(test)]
mod tests;
