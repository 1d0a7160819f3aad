//! Keys that people write since another deploy tool has them, each with what to do here.

/// What ssh itself decides.
const SSH_DECIDES: &str = "ssh decides this: write it for the host in ~/.ssh/config, or in the file that \
                           `ssh_config` in [fleet] names (`ProxyJump`, `IdentityFile`, …)";

/// What the address says.
const IN_THE_ADDRESS: &str =
    "write it into the address: addresses = [\"user@name:port\"], several are tried in order";

/// How nixdash becomes root.
const BECOMES_ROOT: &str = "nixdash logs in as the user of the address and, where that is not root, becomes root by the first of \
     sudo, doas and run0 that asks for nothing. `elevate = \"sudo\"` names one of them, and `sudo_password = \
     \"ask\"` gives sudo a password; or write root@ in `addresses`";

/// What only flakes have.
const FLAKES_ONLY: &str = "nixdash reads flakes only: write a flake.nix with nixosConfigurations.NAME for every host (colmena's \
     hive, morph's network and configuration.nix can be imported there), and name its folder as `flake`";

/// Where systems are built.
const WHERE_BUILT: &str = "`builder` in [fleet] names the host that builds for the others; `strategy = \"direct\"` of a host lets \
     it build its own system";

/// What always happens.
const GOES_BACK: &str = "a host always goes back by itself when its new system is not confirmed; \
                         `confirm_timeout` says how long it waits";

/// The keys, in small letters without dashes and underscores, and what to do instead.
const TRIED: &[(&[&str], &str)] = &[
    (
        &[
            "proxyjump",
            "jump",
            "jumphost",
            "bastion",
            "proxycommand",
            "sshopts",
            "sshoptions",
            "sshargs",
            "sshkey",
            "identity",
            "identityfile",
            "privatekey",
            "keyfile",
            "forwardagent",
        ],
        SSH_DECIDES,
    ),
    (
        &[
            "user",
            "username",
            "sshuser",
            "login",
            "targetuser",
            "port",
            "sshport",
            "targetport",
            "host",
            "hostname",
            "ip",
            "targethost",
            "target",
            "deploymenthost",
        ],
        IN_THE_ADDRESS,
    ),
    (
        &[
            "sudo",
            "doas",
            "run0",
            "usesudo",
            "useremotesudo",
            "becomepassword",
            "asksudopassword",
            "interactivesudo",
            "privilegeescalationcommand",
            "become",
        ],
        BECOMES_ROOT,
    ),
    (&["hive", "colmena", "morph", "network", "nodes", "nixpkgs", "configuration"], FLAKES_ONLY),
    (
        &["buildhost", "remotebuild", "buildontarget", "buildremote", "builders", "buildmachines"],
        WHERE_BUILT,
    ),
    (&["magicrollback", "autorollback", "rollback"], GOES_BACK),
];

/// Returns what to do instead of a key that a section does not have, where people try it there.
/// `section` is what messages call the section by.
pub(super) fn advice(section: &str, key: &str) -> Option<&'static str> {
    let is_about_hosts = section == "[fleet]" || section.starts_with("[hosts.");
    if !is_about_hosts && section != "the file" {
        return None;
    }
    let plain: String =
        key.chars().filter(|c| !"-_".contains(*c)).flat_map(char::to_lowercase).collect();
    let found = TRIED.iter().find(|(keys, _)| keys.contains(&plain.as_str()));
    let advice = found.map(|(_, advice)| *advice)?;
    (is_about_hosts || advice == FLAKES_ONLY).then_some(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_however_its_words_are_joined() {
        for key in ["proxy_jump", "ProxyJump", "proxy-jump", "proxyjump"] {
            assert_eq!(advice("[hosts.razer]", key), Some(SSH_DECIDES), "{key}");
        }
        assert_eq!(advice("[fleet]", "doas"), Some(BECOMES_ROOT));
        assert_eq!(advice("[fleet]", "zebra"), None);
    }

    #[test]
    fn a_key_is_explained_only_where_people_try_it() {
        assert_eq!(advice("the file", "hive"), Some(FLAKES_ONLY));
        assert_eq!(advice("the file", "host"), None, "[hosts] is meant");
        assert_eq!(advice("tier \"p620\"", "login"), None);
    }
}
