//! What may be done with a `hosts.toml` that nobody has confirmed.
//!
//! A file that lies in the folder somebody happens to be in may be anybody's: it came with a
//! repository or an archive. It can name programs that print secrets, an ssh configuration with a
//! `ProxyCommand`, a flake. So until a person trusts it, only its names and addresses are used:
//! caches are asked without a login, and no script is run on any host, this machine included.

use crate::fleet::{
    Access, Fleet, GateQuestion, Rollout, RootAccess, SecretSource, SecretText, SudoPassword,
    TierKind, public_url,
};
use std::path::PathBuf;

/// Whether what a `hosts.toml` names may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// It may: a person named the file, or trusted it.
    #[default]
    Trusted,
    /// It may not; why, and what to do, in one sentence.
    Untrusted(String),
}

impl Trust {
    /// Returns why the file is not trusted and what to do; nothing when it is.
    pub fn doubt(&self) -> Option<&str> {
        match self {
            Self::Trusted => None,
            Self::Untrusted(why) => Some(why),
        }
    }
}

impl Fleet {
    /// Returns the fleet without everything that only a trusted file may name: secrets and logins,
    /// proxies, certificates, ssh configuration, passwords, flake, checks, and places from which hosts ask.
    #[must_use]
    pub fn untrusted(self, why: String) -> Self {
        let hosts = self.hosts.into_iter().map(|host| {
            let (check, flake, sign_key) = (Vec::new(), None, None);
            let root_access = RootAccess::default();
            crate::fleet::Host { check, flake, sign_key, root_access, ..host }
        });
        let tiers = self.tiers.into_iter().map(|tier| {
            // A bucket's address names a profile with keys, and programs that Nix would read.
            let is_bucket = tier.kind == TierKind::S3;
            let url = if is_bucket { without_profile(&tier.url) } else { tier.url };
            crate::fleet::Tier { url, access: Access::default(), via: None, ..tier }
        });
        Self {
            trust: Trust::Untrusted(why),
            flake: None,
            ssh_config: None,
            bootstrap_trust: false,
            root_access: RootAccess::default(),
            prometheus: None,
            theme: None,
            // Keys that mean something else than usual could make somebody say yes.
            key_bindings: Vec::new(),
            rollout: Rollout { gates: Vec::new(), ..self.rollout },
            hosts: hosts.collect(),
            tiers: tiers.collect(),
            ..self
        }
    }

    /// Returns where passwords for sudo are read, each with whose it is.
    fn sudo_sources(&self) -> Vec<(&str, &SecretSource)> {
        let hosts = self.hosts.iter().map(|host| (host.name.as_str(), &host.root_access));
        let all = std::iter::once(("the fleet", &self.root_access)).chain(hosts);
        let named = all.filter_map(|(whose, access)| match &access.sudo_password {
            Some(SudoPassword::From(source)) => Some((whose, source)),
            Some(SudoPassword::Ask) | None => None,
        });
        named.collect()
    }

    /// Returns where every secret is that the fleet names, with the words for what it is and what stands there.
    pub fn secret_sources(&self) -> Vec<(String, SecretText, &SecretSource)> {
        let sudo = self.sudo_sources().into_iter().map(|(whose, source)| {
            (format!("sudo_password of {whose}"), SecretText::Secret, source)
        });
        let logins = self.tiers.iter().flat_map(|tier| {
            let login = &tier.access.login;
            let secrets = login.secrets().into_iter();
            secrets.map(|(key, source)| (format!("{key} of {}", tier.name), login.text(), source))
        });
        sudo.chain(logins).collect()
    }

    /// Returns every file that the fleet names; words of commands are among them where they could
    /// be one. Relative ones start from the folder of `hosts.toml`.
    pub fn named_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.ssh_config.iter().cloned().collect();
        files.extend(self.theme.iter().filter(|name| name.contains('/')).map(PathBuf::from));
        for (_, source) in self.sudo_sources() {
            files.extend(source.named_files());
        }
        // Hooks run in the folder of the file.
        let folder = self.file.as_deref().and_then(std::path::Path::parent);
        for hook in self.hosts.iter().flat_map(|host| &host.hooks).filter(|hook| !hook.on_host) {
            let words = hook.run.iter();
            files.extend(words.map(|word| folder.map_or_else(|| word.into(), |it| it.join(word))));
        }
        for tier in &self.tiers {
            files.extend(tier.access.ca_file.iter().cloned());
            for (_, source) in tier.access.login.secrets() {
                files.extend(source.named_files());
            }
        }
        files
    }

    /// Returns what a person should look at before trusting the file, a line each.
    pub fn named_words(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.flake.iter().map(|flake| format!("flake: {flake}")));
        lines.extend(self.ssh_config.iter().map(|file| format!("ssh_config: {}", file.display())));
        for host in &self.hosts {
            lines.extend(host.flake.iter().map(|flake| format!("flake of {}: {flake}", host.name)));
            let signs = host.sign_key.iter();
            lines.extend(signs.map(|file| format!("{} signs with its key {file}", host.name)));
            let checks = host.check.iter();
            lines.extend(checks.map(|check| format!("check on {}, as root: {check}", host.name)));
            let hooks = host.hooks.iter();
            lines.extend(hooks.map(|hook| format!("hook of {}, {}", host.name, hook.words())));
        }
        for gate in &self.rollout.gates {
            lines.extend(match &gate.asks {
                GateQuestion::Well => None,
                GateQuestion::Command(words) => {
                    let name = &gate.name;
                    Some(format!("gate {name} on each host, as root: {}", words.join(" ")))
                }
                GateQuestion::Url(url) => {
                    Some(format!("gate {}, asked from here: {}", gate.name, public_url(url)))
                }
            });
        }
        for (whose, source) in self.sudo_sources() {
            lines.push(format!("sudo_password of {whose}, sent to the host's sudo: {source}"));
        }
        for tier in &self.tiers {
            let name = &tier.name;
            if let TierKind::Cachix { api: Some(api) } = &tier.kind {
                let api = public_url(api);
                lines.push(format!("api of {name}, which gets its login too: {api}"));
            }
            let to = public_url(tier.login_url());
            for (key, source) in tier.access.login.secrets() {
                lines.push(format!("{key} of {name}, sent to {to}: {source}"));
            }
            let proxy = tier.access.proxy.as_deref().map(public_url);
            lines.extend(proxy.map(|proxy| format!("proxy of {name}: {proxy}")));
        }
        lines.into_iter().map(|line| crate::fleet::printable_line(&line)).collect()
    }
}

/// Returns the address of a bucket without the profile whose keys would sign.
fn without_profile(url: &str) -> String {
    let Some((bucket, query)) = url.split_once('?') else { return url.to_owned() };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.to_ascii_lowercase().starts_with("profile="))
        .collect();
    if kept.is_empty() { bucket.to_owned() } else { format!("{bucket}?{}", kept.join("&")) }
}
