//! Every key of `hosts.toml`, in one table: names are checked against it, and [`page`] makes the
//! documentation from it. A key that is not here is unknown; a key without words cannot be added.

use crate::config::tier_keys;
use crate::fleet::KindName;
use std::fmt::Write as _;

/// A key and what a person has to know of it.
pub(super) struct KnownKey {
    /// How it is written.
    pub(super) name: &'static str,
    /// What is written behind it.
    value: &'static str,
    /// What holds without it.
    without: &'static str,
    /// What it is for, in whole sentences.
    meaning: &'static str,
}

/// A table of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyTable {
    /// `[fleet]`.
    Fleet,
    /// `[builders]`.
    Builders,
    /// `[hosts.NAME]`.
    Hosts,
    /// `[hosts.NAME.hooks]`.
    Hooks,
    /// `[[tiers]]`.
    Tiers,
    /// `[rollout]`.
    Rollout,
    /// `[[rollout.gates]]`.
    Gates,
    /// `[[rollout.order]]`.
    Order,
    /// `[budget.NAME]`.
    Budget,
    /// `[targets]`.
    Targets,
    /// `[alarms]`.
    Alarms,
    /// `[[alarms.silence]]`.
    Silence,
    /// `[history]`.
    History,
    /// `[retention]`.
    Retention,
    /// `[ui]`.
    Ui,
    /// `[keys]`.
    Keys,
}

impl KeyTable {
    /// Every table, in the order of the page.
    pub(super) const ALL: [Self; 16] = [
        Self::Fleet,
        Self::Builders,
        Self::Hosts,
        Self::Hooks,
        Self::Tiers,
        Self::Rollout,
        Self::Gates,
        Self::Order,
        Self::Budget,
        Self::Targets,
        Self::Alarms,
        Self::Silence,
        Self::History,
        Self::Retention,
        Self::Ui,
        Self::Keys,
    ];

    /// Returns the key of the whole file that it is.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Builders => "builders",
            Self::Hosts | Self::Hooks => "hosts",
            Self::Tiers => "tiers",
            Self::Rollout | Self::Gates | Self::Order => "rollout",
            Self::Budget => "budget",
            Self::Targets => "targets",
            Self::Alarms | Self::Silence => "alarms",
            Self::History => "history",
            Self::Retention => "retention",
            Self::Ui => "ui",
            Self::Keys => "keys",
        }
    }

    /// Returns how it begins in the file, with what it is for.
    fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Fleet => ("[fleet]", "What holds for all hosts, unless a host says otherwise."),
            Self::Builders => (
                "[builders]",
                "Which host builds for hosts of which system, instead of the `builder` of `[fleet]`. The `builder` of \
                 a host comes before both.",
            ),
            Self::Hosts => (
                "[hosts.NAME]",
                "One table for each machine. `NAME` is what screens, selectors and runs call it. A \
                 host whose settings are all left out is written as the bare line `[hosts.NAME]`.",
            ),
            Self::Hooks => (
                "[hosts.NAME.hooks]",
                "Commands before and after what a deploy of the host does. Each is `{ run = \
                 [\"PROGRAM\", \"ARG\"], on = \"here\" | \"host\", limit = \"60s\" }`: a program \
                 and its arguments, which no shell reads. `here` (without the key) is this \
                 machine, as you, in the folder of `hosts.toml`; `host` is the host, as root. \
                 Facts are in its environment: `NIXDASH_HOOK`, `NIXDASH_HOST`, `NIXDASH_RUN`, \
                 `NIXDASH_GOAL`, `NIXDASH_BUILD_ON`, `NIXDASH_TOPLEVEL`, `NIXDASH_RUNNING`, \
                 `NIXDASH_REVISION`, `NIXDASH_FLAKE`, `NIXDASH_OUTCOME`. A hook that fails before \
                 anything was changed stops the host; a later failure is only reported.",
            ),
            Self::Tiers => (
                "[[tiers]]",
                "One table for each binary cache, in the order in which hosts should ask them. The \
                 order in which each host really asks them is measured. [Kinds of tiers](tiers.md) \
                 says what is measured of which kind. The last column names the kinds that have \
                 the key.",
            ),
            Self::Rollout => (
                "[rollout]",
                "How a run moves over its hosts. Waves are made when the plan is shown, of the hosts that will \
                 change, and stay as they are. [How a run moves over its hosts](rollout.md) says more.",
            ),
            Self::Gates => (
                "[[rollout.gates]]",
                "Checks after each wave. The next wave begins when all of them passed. An entry has \
                 `command` or `url`.",
            ),
            Self::Order => (
                "[[rollout.order]]",
                "Which hosts go after which others of the same run. An entry has `host` or `tag`.",
            ),
            Self::Budget => (
                "[budget.NAME]",
                "How many hosts of a tag may be in flight at once, over all runs and operators. It is kept \
                 on the hosts themselves.",
            ),
            Self::Targets => ("[targets]", "What you want to reach. Trends are shown against it."),
            Self::Alarms => (
                "[alarms]",
                "When a figure of a host is a finding. [Findings](findings.md) says what each means.",
            ),
            Self::Silence => (
                "[[alarms.silence]]",
                "Findings that are known, of hosts and of tiers. They are shown as silenced and are no \
                 alarm. When the last day is over they are alarms again, and say so. An entry names \
                 `host`, `tier` or both. `nixdash silence` and the key `M` of the dashboard silence \
                 without a change of this file.",
            ),
            Self::History => ("[history]", "Where trends come from."),
            Self::Retention => ("[retention]", "What is kept, and for how long."),
            Self::Ui => ("[ui]", "How the dashboard looks."),
            Self::Keys => (
                "[keys]",
                "Which keys commands of the dashboard have instead of their usual ones. \
                 [Keys of the dashboard](keys.md) names the commands. A line replaces all keys of a command. \
                 Footer, help and palette show the keys in force.",
            ),
        }
    }

    /// Returns its keys, in the order of the page.
    pub(super) fn keys(self) -> &'static [KnownKey] {
        match self {
            Self::Fleet => FLEET,
            Self::Builders => BUILDERS,
            Self::Hosts => HOSTS,
            Self::Hooks => HOOKS,
            Self::Tiers => TIERS,
            Self::Rollout => ROLLOUT,
            Self::Gates => GATES,
            Self::Order => ORDER,
            Self::Budget => BUDGET,
            Self::Targets => TARGETS,
            Self::Alarms => ALARMS,
            Self::Silence => SILENCE,
            Self::History => HISTORY,
            Self::Retention => RETENTION,
            Self::Ui => UI,
            Self::Keys => KEYS,
        }
    }

    /// Returns the names of its keys.
    pub(super) fn names(self) -> Vec<&'static str> {
        self.keys().iter().map(|key| key.name).collect()
    }
}

/// Makes an entry; in the order of the columns of the page.
const fn key(
    name: &'static str,
    value: &'static str,
    without: &'static str,
    meaning: &'static str,
) -> KnownKey {
    KnownKey { name, value, without, meaning }
}

const FLEET: &[KnownKey] = &[
    key(
        "flake",
        "a folder (`\"/home/me/nixos\"`, `\"~/nixos\"`, `\"nixos\"`) or a flake reference (`\"github:me/nixos\"`, `\"git+file:../repo?dir=nixos\"`)",
        "nothing is evaluated, built or deployed",
        "Where `nixosConfigurations` are. A relative path starts from the folder of this file; a name of Nix's registry is written `flake:NAME`.",
    ),
    key(
        "builder",
        "the name of a host",
        "only `strategy = \"direct\"` works",
        "The host that builds for the others.",
    ),
    key(
        "strategy",
        "`\"via-cache\"`, `\"direct\"`, `\"push\"` or `\"auto\"`",
        "`\"via-cache\"`",
        "`via-cache`: build on the builder, publish in its cache, let the target pull. It needs a \
         tier with `host = \"<the builder>\"`. `direct`: build on the target. `push`: build on the builder, \
         which copies to the target over ssh. `auto`: the best of these for each host when a run begins; the \
         plan says why.",
    ),
    key(
        "evaluate",
        "`\"auto\"`, `\"here\"` or `\"builder\"`",
        "`\"auto\"`",
        "Where Nix evaluates. `auto`: here when this machine has Nix 2.18 or newer, else on the builder.",
    ),
    key("ssh_config", "a path", "`~/.ssh/config`", "The configuration that ssh reads instead."),
    key(
        "confirm_timeout",
        "`5s` to `10m`",
        "`30s`",
        "A fresh system that is not acknowledged in this time goes back.",
    ),
    key(
        "settle",
        "`0s` to `10m`",
        "`3s`; `15s` when the activation restarted what carries the network",
        "How long a fresh system must stay well before it is made permanent, counted from the end of \
         its activation.",
    ),
    key(
        "activation_timeout",
        "`10s` to `12h`",
        "`10m`",
        "How long an activation may take. Then it is stopped and the host goes back.",
    ),
    key(
        "reboot_to_recover",
        "`true` or `false`",
        "`false`",
        "`true`: a host that went back and stays cut off restarts itself, when `connectivity` \
         answered before and no longer answers, nothing was made permanent, and its root disk asks \
         for no passphrase.",
    ),
    key(
        "connectivity",
        "`\"gateway\"` or `\"HOST:PORT\"`",
        "`\"gateway\"`",
        "What answers a host that is connected.",
    ),
    key(
        "elevate",
        "`\"auto\"`, `\"sudo\"`, `\"doas\"`, `\"run0\"` or `\"none\"`",
        "`\"auto\"`",
        "How a login user that is not root becomes root. `auto`: by the first of sudo, doas and run0 that \
         asks for nothing; where sudo asks for a password, by sudo with `sudo_password`. doas and run0 \
         are used only where they ask for nothing. `none`: not at all, the login user has to be root.",
    ),
    key(
        "sudo_password",
        SUDO_PASSWORD,
        "none is given",
        "The password that sudo asks for. `ask`: `nixdash deploy` and the dashboard ask for it once, \
         before the first deploy, and keep it in memory only; every host without a `sudo_password` of \
         its own gets the same one. It reaches the host over ssh, on standard input, never as an \
         argument or a file. A host that refuses it is not given it again.",
    ),
    key(
        "bootstrap_trust",
        "`true` or `false`",
        "`false`",
        "`true`: a first deploy may add the tier and its key to what the target trusts.",
    ),
];

const BUILDERS: &[KnownKey] = &[key(
    "SYSTEM",
    "the name of a host; `SYSTEM` is a system of Nix, such as `aarch64-linux`",
    "the `builder` of `[fleet]`",
    "The host that builds for hosts with this `system`.",
)];

const HOSTS: &[KnownKey] = &[
    key(
        "addresses",
        "a list of `\"[user@]host[:port]\"`; an IPv6 address stands in brackets",
        "the name of the host",
        "Where ssh reaches it, tried in order. `~/.ssh/config` applies. An empty list means this \
         machine, without ssh.",
    ),
    key(
        "system",
        "a system of Nix, such as `\"x86_64-linux\"`",
        "unknown until the host was asked",
        "What kind of machine it is.",
    ),
    key(
        "tags",
        "a list of names",
        "none",
        "What selectors call groups by: `nixdash deploy @laptop`.",
    ),
    key(
        "protected",
        "`true` or `false`",
        "`false`",
        "`true`: it is deployed only when its name is typed (`--allow-protected NAME`).",
    ),
    key(
        "read_only",
        "`true` or `false`",
        "`false`",
        "`true`: nothing is changed there, for a host that another tool deploys. It is looked at. A run that changes \
         hosts and names it is refused; one that selects it with others (`all`, a glob, a tag) sets it aside.",
    ),
    key(
        "magic_rollback",
        "`true` or `false`",
        "`true`",
        "`false`: a new system is kept as soon as its activation has succeeded. Nobody has to reach the host, \
         nothing is checked, and a host that cut itself off does not come back by itself: for a host whose \
         address changes with the deploy.",
    ),
    key(
        "check",
        "a list of commands",
        "none",
        "Each must succeed on the host after an activation, within 60 seconds. They run there as root, one \
         after the other. When one fails, the host goes back, and the others are not run.",
    ),
    key("hooks", "a table", "none", "Commands before and after what deploys do: see below."),
    key(
        "attribute",
        "the name below `nixosConfigurations`",
        "the name of the host",
        "Which configuration of the flake is this host's.",
    ),
    key(
        "flake",
        "as in `[fleet]`",
        "the fleet's",
        "The flake that this host's configuration is in.",
    ),
    key(
        "builder",
        "the name of a host",
        "`[builders]`, else the `builder` of `[fleet]`",
        "The host that builds for this one.",
    ),
    key(
        "sign_key",
        "a path on this host, such as `\"/etc/nix/secret-key\"`",
        "what this host builds is pushed with the signatures that it has",
        "The secret key that this host signs with before it pushes what it built. The file is read by root, \
         there, and never leaves that host.",
    ),
    key("strategy", "as in `[fleet]`", "the fleet's", "How this host is deployed."),
    key(
        "action",
        "`\"switch\"`, `\"boot\"` or `\"test\"`",
        "`\"switch\"`",
        "What a deploy does there when `--action` names nothing. `boot`: it boots the new system from its next \
         start on, and runs the old one until then. `test`: it runs the new system until its next start.",
    ),
    key("confirm_timeout", "as in `[fleet]`", "the fleet's", "As in `[fleet]`, for this host."),
    key("settle", "as in `[fleet]`", "the fleet's", "As in `[fleet]`, for this host."),
    key("activation_timeout", "as in `[fleet]`", "the fleet's", "As in `[fleet]`, for this host."),
    key("reboot_to_recover", "as in `[fleet]`", "the fleet's", "As in `[fleet]`, for this host."),
    key("connectivity", "as in `[fleet]`", "the fleet's", "As in `[fleet]`, for this host."),
    key(
        "mac",
        "the address of a network card, such as `\"0a:1b:2c:3d:4e:5f\"`",
        "it is not woken",
        "A host that sleeps is woken with it by Wake-on-LAN, before a deploy needs it and by \
         `nixdash wake`.",
    ),
    key(
        "wake_via",
        "the name of a host",
        "this machine",
        "The host that sends the packet which wakes this one, where this machine is in another \
         network.",
    ),
    key("elevate", "as in `[fleet]`", "the fleet's", "As in `[fleet]`, for this host."),
    key(
        "sudo_password",
        "as in `[fleet]`",
        "the fleet's",
        "As in `[fleet]`, for this host. With `ask` the password of this host is asked for \
         separately.",
    ),
];

/// How the password for sudo is written.
const SUDO_PASSWORD: &str = "`\"ask\"`, or `{ env = \"NAME\" }`, `{ file = \"PATH\" }` or `{ command = [\"PROGRAM\", \"ARG\"] }`";
const HOOKS: &[KnownKey] = &[
    key("before_build", "a list of hooks", "none", "Before the host's system is built."),
    key("after_build", "a list of hooks", "none", "When the host's system was built."),
    key("before_activate", "a list of hooks", "none", "Before anything is activated on the host."),
    key(
        "after_activate",
        "a list of hooks",
        "none",
        "When a new system is active and was kept, and whenever `before_activate` ran and the host was not taken back.",
    ),
    key(
        "before_rollback",
        "a list of hooks",
        "none",
        "Before a rollback that somebody asked for. It is not run when a host goes back by itself.",
    ),
    key(
        "after_rollback",
        "a list of hooks",
        "none",
        "When the host is back on an earlier system, asked for or by itself.",
    ),
];

/// How a secret is written.
const SECRET: &str =
    "`{ env = \"NAME\" }`, `{ file = \"PATH\" }` or `{ command = [\"PROGRAM\", \"ARG\"] }`";

const TIERS: &[KnownKey] = &[
    key("name", "a name", "required", "What screens and runs call the tier."),
    key("kind", "one of the [kinds of tiers](tiers.md)", "required", "What serves it."),
    key(
        "url",
        "an address without a password: `http://`, `https://`; kind `s3`: `s3://BUCKET?endpoint=…&region=…`, or `s3://BUCKET/PREFIX?…`, which Nix knows from 2.33 on",
        "required; kind `github-actions`: `https://api.github.com`",
        "The address that hosts name in `substituters`. For `github-actions` it is where GitHub's \
         interface begins.",
    ),
    key(
        "public_key",
        "`\"NAME:BASE64\"`",
        "no signature is verified, and no deploy goes through this tier",
        "The key that the tier signs with.",
    ),
    key(
        "host",
        "the name of a host",
        "nothing is published here",
        "The host whose store the tier serves. A deploy publishes there by building there.",
    ),
    key(
        "via",
        "the name of a host",
        "this machine",
        "The host that the tier is asked from, with curl and root's credentials there.",
    ),
    key(
        "every",
        "`1s` to `7d`",
        "`10s` in the own network; `60s` for public and hosted caches and for S3; `5m` for GitHub",
        "How often the tier is asked.",
    ),
    key(
        "max_size",
        "a size, such as `\"50GB\"`",
        "what the server itself tells, else no limit",
        "How much it may hold. Growth and days until full are shown against it.",
    ),
    key(
        "max_requests_per_month",
        "`1` to `1000000000`",
        "no limit",
        "After so many requests of nixdash the tier is not asked any more until the month ends (UTC).",
    ),
    key("token", SECRET, "no login", "The token that the server asks for."),
    key("user", "a text", "no login", "The user of HTTP's basic login; goes with `password`."),
    key("password", SECRET, "no login", "The password of `user`."),
    key(
        "netrc",
        "`{ file = \"PATH\" }`",
        "no login",
        "A file with logins as curl reads it. Hosts that ask this tier need one of their own.",
    ),
    key(
        "access_key",
        SECRET,
        "requests are not signed",
        "The name of an S3 key; goes with `secret_key`.",
    ),
    key("secret_key", SECRET, "requests are not signed", "The secret half of `access_key`."),
    key(
        "ca_file",
        "a path",
        "the authorities of this machine",
        "Certificates of a private authority.",
    ),
    key(
        "proxy",
        "`http://`, `https://`, `socks5://` or `socks5h://`",
        "the proxy of the environment",
        "The proxy on the way to the tier.",
    ),
    key(
        "api",
        "an address",
        "the address of `url`",
        "The API of your own Cachix, or the niks3 server of a bucket. The token is sent there: for \
         Cachix also to `url`, for niks3 only there.",
    ),
    key("repo", "`\"OWNER/NAME\"`", "required", "The repository whose caches are meant."),
    key(
        "unit",
        "the name of a systemd unit",
        "`nix-serve.service`",
        "The unit on `host` whose log tells what the server answered.",
    ),
    key("masters", "a list of addresses", "required", "Every master of the SeaweedFS cluster."),
    key("s3", "an address", "required", "The bucket on the gateway of the cluster."),
    key("metrics", "an address", "its own counters are not read", "The metrics of the gateway."),
    key(
        "replication",
        "three digits, such as `\"001\"`",
        "what each volume asks for",
        "How the cluster should keep copies. Less is a finding.",
    ),
    key(
        "volume_servers",
        "a number",
        "as many as were seen once",
        "How many volume servers there should be. Fewer is a finding.",
    ),
];

const ROLLOUT: &[KnownKey] = &[
    key("parallel", "`1` to `1000`", "`4`", "How many hosts fetch or activate at once."),
    key(
        "waves",
        "a list of `\"@tag\"`, `\"25%\"`, a number or `\"rest\"`",
        "one wave of all hosts",
        "Which hosts go together. A percentage is of all hosts that the run changes. Hosts that \
         are left over make the last wave. A host that builds or serves a cache for others is in \
         the last one.",
    ),
    key(
        "canary",
        "`0` to `1000`",
        "`1` for runs of more than three hosts",
        "How many hosts of the first wave go alone before all others. `0` turns it off.",
    ),
    key(
        "soak",
        "`0s` to `1d`",
        "`30s`",
        "How long a wave has to stay well before the next one begins. At the end its hosts are looked at: each \
         must still run its new system, in the same start of the machine, with no more failed units than before.",
    ),
    key("gates", "tables", "nothing more is checked", "See `[[rollout.gates]]`."),
    key(
        "max_failed",
        "`0` to `1000`, or a percentage such as `\"10%\"`",
        "`0`",
        "How many hosts of a wave may fail. When more do, no other host begins to activate. A host \
         that fails before anything on it was changed counts before its wave begins and when the \
         wave is over; it stops no other host of a wave that has begun. A percentage is of all \
         hosts with which the wave began.",
    ),
    key(
        "on_failure",
        "`\"halt\"` or `\"rollback\"`",
        "`\"halt\"`",
        "What happens then, or when a gate fails. `halt` leaves the other hosts as they are. \
         `rollback` also takes back the hosts that got their system in this run.",
    ),
    key("order", "tables", "waves alone decide", "See `[[rollout.order]]`."),
];

const GATES: &[KnownKey] = &[
    key(
        "name",
        "a name",
        "required",
        "What it is called. `soak` and `proof` are the names of nixdash's own checks.",
    ),
    key(
        "command",
        "a list: a program and its arguments",
        "`url` is required",
        "Run as root on each host of the wave that has its new system. It passes with exit code 0. Where it \
         cannot be run (exit codes 126 and 127), takes longer than `limit` or the host does not answer, the \
         check could not be made: the run pauses and asks.",
    ),
    key(
        "url",
        "an address",
        "`command` is required",
        "Asked from this machine. It passes with a status from 200 to 299, and fails with any other or when \
         the connection is refused. When nothing answers, the check could not be made: the run pauses and asks.",
    ),
    key("delay", "`0s` to `1d`", "`0s`", "How long after the wave it is asked first."),
    key("interval", "`1s` to `1d`", "`10s`", "How long after an answer it is asked again."),
    key(
        "successes_in_a_row",
        "`1` to `1000`",
        "`1`",
        "How many good answers in a row it needs to pass.",
    ),
    key("failures", "`0` to `1000`", "`0`", "How many bad answers are allowed before it fails."),
    key("limit", "`1s` to `1d`", "`10s`", "How long an answer may take."),
];

const ORDER: &[KnownKey] = &[
    key("host", "the name of a host", "`tag` is required", "The host that waits."),
    key("tag", "a tag", "`host` is required", "The hosts that wait."),
    key(
        "after",
        "the name of a host, or `\"@tag\"`",
        "required",
        "Which hosts they wait for: those that take part in the run must be done. A host that has \
         both tags does not wait for itself.",
    ),
    key("reason", "a text", "required", "Why. It is shown while they wait."),
];

const BUDGET: &[KnownKey] = &[
    key("tag", "a tag", "required", "The hosts that it is for."),
    key(
        "in_flight",
        "`1` to `1000`",
        "`1`",
        "How many of them may be in flight at once: being activated, or away. A host that cannot \
         be reached counts too.",
    ),
];

const TARGETS: &[KnownKey] = &[key(
    "hit_rate",
    "`0.0` to `1.0`",
    "none",
    "The hit rate that is wanted. Trends are shown against it.",
)];

const ALARMS: &[KnownKey] = &[
    key(
        "nix_free",
        "a size",
        "`\"2GiB\"`",
        "The least free room below `/nix`. With less, the plan of a deploy has a note. Below 64 \
         MiB a deploy is refused.",
    ),
    key(
        "boot_free",
        "a size",
        "`\"64MiB\"`",
        "The least free room where the boot loader reads kernels. With less, the plan of a deploy \
         has a note.",
    ),
    key("var_free", "a size", "`\"256MiB\"`", "The least free room on `/var`."),
    key("tmp_free", "a size", "`\"256MiB\"`", "The least free room on `/tmp`."),
    key("memory", "`0.0` to `1.0`", "`0.95`", "The greatest share of main memory in use."),
    key(
        "load_per_cpu",
        "`0.1` to `1000`",
        "`8.0`",
        "The greatest load over five minutes, for each processor.",
    ),
    key(
        "latency",
        "`1ms` to `10m`",
        "`1s`",
        "The longest round trip over the open connection; here `\"250ms\"` is a time too.",
    ),
    key("not_seen", "`1m` to `3650d`", "`7d`", "How long a host may be away."),
    key("clock", "`2s` to `1d`", "`30s`", "By how much its clock may differ from this machine's."),
    key(
        "root_age",
        "`1d` to `36500d`",
        "`90d`",
        "How old a root of the garbage collector may get: results of builds, and what runs left. Old \
         ones are a note, and a warning where room is low.",
    ),
    key("silence", "tables", "nothing is silenced", "See `[[alarms.silence]]`."),
];

const SILENCE: &[KnownKey] = &[
    key("code", "the code of a finding", "required", "What is silenced."),
    key("host", "the name of a host", "any host", "The host that it is about."),
    key("tier", "the name of a tier", "any tier", "The tier that it is about."),
    key("reason", "a text", "required", "Why nothing has to be done now."),
    key("until", "a date, such as `2026-12-31`", "required", "The last day, in UTC."),
];

const HISTORY: &[KnownKey] = &[key(
    "prometheus",
    "an address",
    "nixdash's own history",
    "A Prometheus that scrapes `nixdash exporter`. The dashboard then draws its trends from there.",
)];

const RETENTION: &[KnownKey] = &[
    key(
        "max_run_size",
        "`\"1MB\"` to `\"1TB\"`",
        "`\"1GB\"`",
        "How much the logs of one run may take on disk: three quarters are for its hosts' logs, \
         and one for the exact output of its jobs. Of longer logs the middle is left out, with a \
         mark. Phases, plans and results are always kept.",
    ),
    key(
        "max_logs_age",
        "`\"1h\"` to `\"36500d\"`",
        "`\"365d\"`",
        "How long the logs of a run are kept after its end. How it went is kept for good.",
    ),
    key(
        "max_logs_size",
        "`\"1MB\"` to `\"1000TB\"`",
        "`\"10GB\"`",
        "How much the logs of all runs may take on disk together, compressed. Of more the oldest are removed, \
         but never those of a run that goes on or can go on.",
    ),
];

const UI: &[KnownKey] = &[
    key(
        "theme",
        "`\"terminal\"`, `\"catppuccin-latte\"`, `\"catppuccin-frappe\"`, `\"catppuccin-macchiato\"`, \
     `\"catppuccin-mocha\"`, `\"gruvbox-dark\"`, `\"gruvbox-light\"`, `\"nord\"`, `\"solarized-dark\"`, \
     `\"solarized-light\"`, `\"deuteranopia\"`, `\"monochrome\"`, `\"auto\"`, `\"gruvbox\"`, `\"solarized\"` or the path of a theme",
        "`\"terminal\"`",
        "The colours of the dashboard. `terminal` uses the terminal's own sixteen, `monochrome` none, and \
     `deuteranopia` neither red nor green. `gruvbox`, `solarized` and `auto` (catppuccin) are light where \
     the terminal's background is, which it is asked for after the first frame, and dark elsewhere.",
    ),
    key(
        "mouse",
        "`true` or `false`",
        "`true`",
        "Whether the dashboard uses the mouse: clicks on rows, tabs, heads of columns, buttons and \
         the keys in the footer, and the wheel. `ctrl-t` changes it at run time. With `false`, and \
         with shift held in most terminals, the mouse selects text as elsewhere.",
    ),
    key(
        "notify",
        "`\"auto\"`, `\"bell\"`, `\"osc9\"`, `\"osc777\"` or `\"off\"`",
        "`\"auto\"`",
        "How the terminal tells that a run of more than 30 s has ended, or that a run ended or \
         asks something while the terminal does not have the focus. `bell` rings; `osc9` (iTerm2, \
         kitty, WezTerm, ghostty) and `osc777` (rxvt, foot, terminals made with VTE) ring and show \
         a notification of the desktop; `auto` chooses between these two by what the terminal says \
         of itself, and takes `osc9` in tmux; `off` does neither.",
    ),
    key(
        "restore",
        "`true` or `false`",
        "`true`",
        "Whether the dashboard begins as it was left: with the same view, selected rows, orders, groups, filters and borders. That \
         is kept in `sessions/` below the state folder, for each `hosts.toml`; with `--read-only`, and in the practice \
         fleet of `nixdash lab`, nothing is kept.",
    ),
];

const KEYS: &[KnownKey] = &[key(
    "COMMAND",
    "a key (`\"D\"`, `\"space\"`, `\"ctrl-x\"`, `\"f5\"`), a list of keys, or `\"none\"`",
    "the keys of [the page of all keys](keys.md)",
    "The keys of the command of this name; the footer shows the first. `none`: it has no key, and the palette finds it. \
     A key that another command has in the same view is a mistake. The dashboard says so and starts with the rest.",
)];

/// What stands before the tables.
const INTRODUCTION: &str = "\
# Every key of hosts.toml

<!-- Generated by `nixdash config keys`; a test compares. Change src/config/keys.rs instead. -->

`hosts.toml` names hosts and binary caches. nixdash looks for it in this order: `--hosts FILE`,
`$NIXDASH_HOSTS`, `./hosts.toml`, `$XDG_CONFIG_HOME/nixdash/hosts.toml`. Without one it shows this
machine and cache.nixos.org. A `./hosts.toml` is used in full only after `nixdash trust`.

- `nixdash config check` names every mistake with its line, its column and what to do. An unknown key
  is a mistake.
- The [hosts.toml of this repository](../hosts.toml) is a complete example with comments.
- A file may name hosts only, tiers only, or both. All tables may be left out.
- A relative path starts from the folder of the file. `~/` is the home folder.
- A time is a whole number with `s`, `m`, `h` or `d`: `\"30s\"`. A size is a number with `kB`, `MB`, `GB`,
  `TB`, `KiB`, `MiB`, `GiB` or `TiB`: `\"50GB\"`.
- A secret is never written in the file. `{ env = \"NAME\" }` reads it from a variable, `{ file = \"PATH\" }`
  from a file, and `{ command = [\"PROGRAM\", \"ARG\"] }` takes what a program prints. It is read only
  when it is needed.
";

/// Returns the page of all keys, in Markdown.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for table in KeyTable::ALL {
        let (title, about) = table.title();
        // Writing into a String cannot fail.
        let _ = write!(page, "\n## {title}\n\n{about}\n");
        if table.keys().is_empty() {
            continue;
        }
        let (last, rule) = if table == KeyTable::Tiers { (" kinds |", "---|") } else { ("", "") };
        let _ = write!(
            page,
            "\n| key | value | without it | meaning |{last}\n|---|---|---|---|{rule}\n"
        );
        for key in table.keys() {
            let KnownKey { name, value, without, meaning } = key;
            let _ = write!(page, "| `{name}` | {value} | {without} | {meaning} |");
            let _ = match table {
                KeyTable::Tiers => writeln!(page, " {} |", kinds(name)),
                KeyTable::Fleet
                | KeyTable::Hosts
                | KeyTable::Hooks
                | KeyTable::Rollout
                | KeyTable::Gates
                | KeyTable::Order
                | KeyTable::Budget
                | KeyTable::Targets
                | KeyTable::Alarms
                | KeyTable::Silence
                | KeyTable::History
                | KeyTable::Retention
                | KeyTable::Ui
                | KeyTable::Builders
                | KeyTable::Keys => writeln!(page),
            };
        }
    }
    page
}

/// Says which kinds of tiers have a key, in as few words as it takes.
fn kinds(key: &str) -> String {
    let (having, lacking): (Vec<KindName>, Vec<KindName>) =
        KindName::ALL.iter().partition(|kind| tier_keys::has(**kind, key));
    let words = |kinds: &[KindName]| {
        kinds.iter().map(|kind| format!("`{}`", kind.word())).collect::<Vec<_>>().join(", ")
    };
    if lacking.is_empty() {
        "all".to_owned()
    } else if having.len() <= lacking.len() {
        words(&having)
    } else {
        format!("all but {}", words(&lacking))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice_and_every_key_has_its_words() {
        for table in KeyTable::ALL {
            let mut names = table.names();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{table:?}");
            for KnownKey { name, value, without, meaning } in table.keys() {
                for words in [value, without, meaning] {
                    assert!(!words.is_empty() && !words.contains(['|', '\n']), "{name}: {words}");
                }
                assert!(meaning.ends_with('.'), "{name}: {meaning}");
            }
        }
    }

    #[test]
    fn the_page_says_which_kinds_of_tiers_have_a_key() {
        assert_eq!(kinds("name"), "all");
        assert_eq!(kinds("unit"), "`nix-serve`");
        assert_eq!(kinds("via"), "all but `local`, `github-actions`");
    }
}
