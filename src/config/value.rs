//! Gives texts of `hosts.toml` their meaning: addresses of hosts, durations, names, paths.
//!
//! Each parser returns what is wrong and a hint. Texts that end up in the arguments of ssh or Nix
//! are held to a narrow alphabet here, so that no other room has to think of it.

use crate::config::section::nearest;
use crate::config::words::{did_you_mean, out_of_bounds};
use crate::fleet::{Address, MacAddress};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A meaning, or what is wrong and what to do.
pub(super) type Meaning<T> = Result<T, (String, String)>;

/// Makes a failure of a message and a hint.
pub(super) fn fail<T>(message: impl Into<String>, hint: impl Into<String>) -> Meaning<T> {
    Err((message.into(), hint.into()))
}

/// Parses `[user@]host[:port]`, with an IPv6 address in brackets.
pub(super) fn address(text: &str) -> Meaning<Address> {
    const SHAPE: &str = "write [user@]host[:port], an IPv6 address in brackets";
    if text.rsplit_once('@').is_some_and(|(login, _)| login.contains(':')) {
        let hint = "ssh logs in with a key: write user@host, and remove the password";
        return fail("there is a password before the @", hint);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return fail(format!("{text:?} has a space or control character in it"), SHAPE);
    }
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, text),
    };
    if let Some(user) = user
        && !is_word(user, "-_.+$")
    {
        return fail(format!("{text:?} has no usable user before the @"), SHAPE);
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let Some((host, after)) = rest.split_once(']') else {
                return fail(format!("{text:?} opens a bracket and does not close it"), SHAPE);
            };
            let plain = host.split_once('%').map_or(host, |(plain, _zone)| plain);
            if plain.parse::<Ipv6Addr>().is_err() || !is_word(&host.replace(':', "x"), "%-_.") {
                return fail(format!("{host:?} is not an IPv6 address"), SHAPE);
            }
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return fail(format!("{text:?} goes on after the bracket"), SHAPE),
            }
        }
        None => match place.split_once(':') {
            Some((_, rest)) if rest.contains(':') => {
                return fail(
                    format!("{place:?} has several colons"),
                    format!("an IPv6 address goes in brackets: [{place}]"),
                );
            }
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if !host.contains(':') && !is_word(host, "-_.") {
        return fail(format!("{host:?} is not a host name"), SHAPE);
    }
    let port = match port {
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(port),
            Ok(_) | Err(_) => {
                return fail(
                    format!("{digits:?} is not a port"),
                    "a port is a number from 1 to 65535",
                );
            }
        },
    };
    Ok(Address { user: user.map(str::to_owned), host: host.to_owned(), port })
}

/// Returns whether a text begins with a letter, a digit or `_` and has only those and the given
/// ones in it.
fn is_word(text: &str, others: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().next().is_some_and(plain)
        && text.len() <= 253
        && text.chars().all(|c| plain(c) || others.contains(c))
}

/// Checks the name of a host, a tier or a tag.
pub(super) fn name(text: &str) -> Meaning<String> {
    const SHAPE: &str = "letters, digits, '-', '_' and '.', beginning with a letter or digit";
    if text == "all" {
        return fail("\"all\" means every host", "choose another name");
    }
    if text.len() > 64 {
        return fail("the name is longer than 64 characters", SHAPE);
    }
    if !is_word(text, "-.") || text.starts_with('_') {
        return fail(format!("{text:?} is not a name"), SHAPE);
    }
    Ok(text.to_owned())
}

/// The systems with Linux that Nixpkgs knows (`lib/systems/doubles.nix`).
const SYSTEMS: &[&str] = &[
    "x86_64-linux",
    "aarch64-linux",
    "i686-linux",
    "riscv64-linux",
    "armv7l-linux",
    "armv7a-linux",
    "armv6l-linux",
    "armv5tel-linux",
    "loongarch64-linux",
    "powerpc64le-linux",
    "powerpc64-linux",
    "powerpc-linux",
    "s390x-linux",
    "s390-linux",
    "aarch64_be-linux",
    "m68k-linux",
    "microblaze-linux",
    "microblazeel-linux",
    "mips-linux",
    "mips64-linux",
    "mips64el-linux",
    "mipsel-linux",
    "riscv32-linux",
    "sh4-linux",
];

/// Checks a system double of Nix, such as `x86_64-linux`; only Linux runs NixOS.
pub(super) fn system(text: &str) -> Meaning<String> {
    if SYSTEMS.contains(&text) {
        return Ok(text.to_owned());
    }
    if text.contains("darwin") {
        return fail(
            format!("{text:?} is macOS, and nixdash deploys NixOS only"),
            "remove this host; a Mac can run nixdash itself, with `evaluate = \"builder\"` in [fleet], and \
             nix-darwin's own `darwin-rebuild` deploys the Mac",
        );
    }
    let hint = match nearest(text, SYSTEMS) {
        Some(near) => did_you_mean(near),
        None => "such as \"x86_64-linux\" or \"aarch64-linux\"".to_owned(),
    };
    fail(format!("{text:?} is not a system that NixOS runs on"), hint)
}

/// Parses the address of a network card.
pub(super) fn mac(text: &str) -> Meaning<MacAddress> {
    match MacAddress::parse(text) {
        Some(mac) => Ok(mac),
        None => fail(
            format!("{text:?} is not the address of a network card"),
            "write six pairs of hexadecimal digits, as `ip link` shows them: \"0a:1b:2c:3d:4e:5f\"",
        ),
    }
}

/// Checks the name of a service of systemd, such as `nix-serve.service`.
pub(super) fn unit(text: &str) -> Meaning<String> {
    let is_service = text.strip_suffix(".service").is_some_and(|name| is_word(name, "-.@:"));
    if !is_service {
        return fail(format!("{text:?} is not a service"), "such as \"nix-serve.service\"");
    }
    Ok(text.to_owned())
}

/// Parses a duration: a whole number with `s`, `m`, `h` or `d`.
pub(super) fn duration(text: &str) -> Meaning<Duration> {
    const SHAPE: &str = "a whole number and a unit: \"15s\", \"2m\", \"1h\", \"7d\"";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return fail(format!("{text:?} is not a duration"), SHAPE),
    };
    match digits.parse::<u32>() {
        Ok(number) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Duration::from_secs(u64::from(number) * factor))
        }
        Ok(_) | Err(_) => fail(format!("{text:?} is not a duration"), SHAPE),
    }
}

/// Parses the time a host waits for an acknowledgement: 5 seconds to 10 minutes.
pub(super) fn confirm_timeout(text: &str) -> Meaning<Duration> {
    let time = duration(text)?;
    if !(5..=600).contains(&time.as_secs()) {
        return fail(out_of_bounds(text), "from \"5s\" to \"10m\"");
    }
    Ok(time)
}

/// Parses the time a fresh system must stay well: at most 10 minutes.
pub(super) fn settle(text: &str) -> Meaning<Duration> {
    let time = duration(text)?;
    if time.as_secs() > 600 {
        return fail(out_of_bounds(text), "from \"0s\" to \"10m\"");
    }
    Ok(time)
}

/// Parses the time an activation may take: 10 seconds to 12 hours.
pub(super) fn activation_timeout(text: &str) -> Meaning<Duration> {
    let time = duration(text)?;
    if !(10..=12 * 3600).contains(&time.as_secs()) {
        return fail(out_of_bounds(text), "from \"10s\" to \"12h\"");
    }
    Ok(time)
}

/// Parses the time a hook may take: 1 second to 1 hour.
pub(super) fn hook_limit(text: &str) -> Meaning<Duration> {
    let time = duration(text)?;
    if !(1..=3600).contains(&time.as_secs()) {
        return fail(out_of_bounds(text), "from \"1s\" to \"1h\"");
    }
    Ok(time)
}

/// Checks what answers a host that is connected: `gateway`, or a host and a port.
pub(super) fn connectivity(text: &str) -> Meaning<String> {
    const SHAPE: &str = "\"gateway\", or a host and a port: \"9.9.9.9:53\"";
    if text == "gateway" {
        return Ok(text.to_owned());
    }
    match address(text) {
        Ok(found) if found.user.is_none() && found.port.is_some() && !found.host.contains('%') => {
            let port = found.port.unwrap_or(0);
            Ok(format!("{}:{port}", found.host))
        }
        Ok(_) | Err(_) => fail(format!("{text:?} is not a place that can answer"), SHAPE),
    }
}

/// Parses the time between two looks at a tier: 1 second to 7 days.
pub(super) fn interval(text: &str) -> Meaning<Duration> {
    let time = duration(text)?;
    if !(1..=7 * 86_400).contains(&time.as_secs()) {
        return fail(out_of_bounds(text), "from \"1s\" to \"7d\"");
    }
    Ok(time)
}

/// Parses a size in bytes: a number with `kB`, `MB`, `GB`, `TB` or `KiB`, `MiB`, `GiB`, `TiB`.
pub(super) fn size(text: &str) -> Meaning<u64> {
    const SHAPE: &str = "a number and a unit: \"50GB\", \"1.5 TB\", \"200GiB\"";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return fail(format!("{text:?} is not a size"), SHAPE),
    };
    match digits.trim_end().parse::<f64>() {
        Ok(number) if number > 0.0 && number < 1e9 => Ok((number * factor as f64) as u64),
        Ok(_) | Err(_) => fail(format!("{text:?} is not a size"), SHAPE),
    }
}

/// Parses how much the logs of a run may take: 1 MB to 1 TB.
pub(super) fn run_size(text: &str) -> Meaning<u64> {
    let bytes = size(text)?;
    if !(1_000_000..=1_000_000_000_000).contains(&bytes) {
        return fail(out_of_bounds(text), "from \"1MB\" to \"1TB\"");
    }
    Ok(bytes)
}

/// Parses how much the logs of all runs may take: 1 MB to 1000 TB.
pub(super) fn logs_size(text: &str) -> Meaning<u64> {
    let bytes = size(text)?;
    if !(1_000_000..=1_000_000_000_000_000).contains(&bytes) {
        return fail(out_of_bounds(text), "from \"1MB\" to \"1000TB\"");
    }
    Ok(bytes)
}

/// Parses how long the logs of a run are kept: an hour to a hundred years.
pub(super) fn logs_age(text: &str) -> Meaning<Duration> {
    let time = duration(text)?;
    if !(3600..=36_500 * 86_400).contains(&time.as_secs()) {
        return fail(out_of_bounds(text), "from \"1h\" to \"36500d\"");
    }
    Ok(time)
}

/// Expands `~/` by the home folder, and sets a relative path below the folder of `hosts.toml`.
pub(super) fn path(text: &str, home: Option<&Path>, folder: &Path) -> Meaning<PathBuf> {
    if text.chars().any(char::is_control) {
        return fail("there is a control character in it", "");
    }
    if text == "~" || text.starts_with("~/") {
        let Some(home) = home else {
            return fail("there is a ~ in it, but no home folder", "write the whole path");
        };
        return Ok(home.join(text.trim_start_matches('~').trim_start_matches('/')));
    }
    if text.starts_with('~') {
        return fail("another user's home is not looked up", "write the whole path");
    }
    Ok(folder.join(text.strip_prefix("./").unwrap_or(text)))
}

/// Checks the name of a theme; one that is a path becomes whole, as [`path`] says.
pub(super) fn theme(text: &str, home: Option<&Path>, folder: &Path) -> Meaning<String> {
    let is_file = Path::new(text).extension().is_some_and(|extension| extension == "toml");
    if text.contains('/') || text.starts_with('~') || is_file {
        return path(text, home, folder).map(|path| path.to_string_lossy().into_owned());
    }
    Ok(text.to_owned())
}

/// Parses a duration within bounds in seconds.
pub(super) fn within(text: &str, least: u64, most: u64, hint: &str) -> Meaning<Duration> {
    let time = duration(text)?;
    if !(least..=most).contains(&time.as_secs()) {
        return fail(out_of_bounds(text), hint);
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, user, host, port) in [
            ("p620.lan", None, "p620.lan", None),
            ("root@samsung.lan:22", Some("root"), "samsung.lan", Some(22)),
            ("me@[fe80::1%eth0]:2222", Some("me"), "fe80::1%eth0", Some(2222)),
            ("[::1]", None, "::1", None),
            ("100.64.0.2", None, "100.64.0.2", None),
        ] {
            let found = address(text).unwrap();
            assert_eq!(
                (found.user.as_deref(), found.host.as_str(), found.port),
                (user, host, port)
            );
        }
    }

    #[test]
    fn nothing_that_ssh_could_take_for_an_option_is_an_address() {
        for text in [
            "",
            "-oProxyCommand=x",
            "me@-oProxyCommand=x",
            "-l@host",
            "a b",
            "a\nb",
            "host:",
            "host:0",
            "host:+22",
            "host:70000",
            "fe80::1",
            "[fe80::1",
            "[x]",
            "[::1]x",
            "[::1%;x]",
            "@host",
            "a;b",
            "$(x)",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let (message, hint) = address("me:hunter2@p620 .lan").unwrap_err();
        assert!(message.contains("password") && !format!("{message}{hint}").contains("hunter2"));
    }

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(duration("15s").unwrap(), Duration::from_secs(15));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        assert_eq!(size("50GB").unwrap(), 50_000_000_000);
        assert_eq!(size("1.5 GiB").unwrap(), 1_610_612_736);
        for text in ["15", "s", "-1s", "+1s", "1.5s", "2 weeks", "99999999999s", ""] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["50", "GB", "-1GB", "nanGB", "infGB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_made_whole() {
        let home = Some(Path::new("/home/me"));
        let folder = Path::new("/etc/fleet");
        assert_eq!(path("~/.ssh/config", home, folder).unwrap(), Path::new("/home/me/.ssh/config"));
        assert_eq!(path("ssh/config", home, folder).unwrap(), Path::new("/etc/fleet/ssh/config"));
        assert_eq!(path("/x", home, folder).unwrap(), Path::new("/x"));
        assert!(path("~you/x", home, folder).is_err());
        assert!(path("~/x", None, folder).is_err());
        assert_eq!(theme("terminal", home, folder).unwrap(), "terminal");
        assert_eq!(theme("themes/mine", home, folder).unwrap(), "/etc/fleet/themes/mine");
        assert_eq!(theme("mine.toml", home, folder).unwrap(), "/etc/fleet/mine.toml");
        assert_eq!(theme("~/mine.toml", home, folder).unwrap(), "/home/me/mine.toml");
    }

    proptest! {
        #[test]
        fn an_address_that_passes_is_safe_as_an_argument(text in any::<String>()) {
            if let Ok(address) = address(&text) {
                prop_assert!(!address.host.starts_with('-'));
                prop_assert!(!address.host.contains(|c: char| c.is_whitespace() || c.is_control()));
                prop_assert!(!address.user.is_some_and(|user| user.starts_with('-')));
            }
        }
    }
}
