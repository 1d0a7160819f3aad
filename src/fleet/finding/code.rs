//! Every kind of finding, with its word, how bad it is, and what it means: one table.
//!
//! The table makes the type, its words in JSON, and `docs/findings.md`. A word, once published,
//! stays: alerts and scripts are written against it.

use crate::fleet::Severity;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Makes the type and what is known of each code from rows of
/// `Name "word" Severity "label" "meaning" "fix";`.
macro_rules! codes {
    ($($name:ident $word:literal $severity:ident $label:literal $meaning:literal $fix:literal;)*) => {
        /// What kind of thing a finding is: a word that does not change.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum Code {
            $(
                #[doc = $meaning]
                #[serde(rename = $word)]
                $name,
            )*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the word used in JSON, by the exporter and in the documentation.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// Returns how bad it is, where nothing else is known.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// Returns one to three words for where a sentence has no room.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }

            /// Returns what it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                }
            }

            /// Returns what to do about it, in one sentence. A finding itself knows names and says
            /// it better.
            pub fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $fix,)*
                }
            }
        }
    };
}

codes! {
    // Of hosts.
    HostUnreachable "host-unreachable" Warning "offline"
        "No address of the host answered."
        "Switch the host on, or fix the network between; `ssh` to its address, with `-F` and the ssh_config that hosts.toml names, shows more.";
    LoginRefused "login-refused" Error "denied"
        "The host answered, but ssh could not log in there."
        "Load the key with ssh-add, or name user and key in ~/.ssh/config.";
    ConnectionLost "connection-lost" Warning "lost"
        "The connection to the host broke while it was asked."
        "Nothing: the host is asked again.";
    HostSlow "host-slow" Warning "no answer"
        "The host is connected, but did not answer in time."
        "See whether the host is overloaded or asleep, or the network is bad.";
    HostNotAsked "host-not-asked" Warning "not asked"
        "Something on the machine that runs nixdash kept the host from being asked."
        "Fix what the cause names on the machine that runs nixdash.";
    HostKeyUnknown "host-key-unknown" Error "key unknown"
        "The host answered with a key, and no key of this host is known yet."
        "Compare its key and accept it with `nixdash trust-host HOST`.";
    HostKeyChanged "host-key-changed" Error "key changed"
        "The host answered with another key than the known one: it was reinstalled, another machine has its address, or somebody intercepts the connection."
        "Find out which, then accept the new key with `nixdash trust-host HOST`.";
    HostKeyRefused "host-key-refused" Error "host key"
        "ssh does not take the key of the host, for instance because it is marked as revoked."
        "Run `ssh -v` to its address, with `-F` and the ssh_config that hosts.toml names, to see why.";
    DiskLocked "disk-locked" Warning "disk locked"
        "The host started and waits for its disk to be unlocked: what answers is its initrd."
        "Unlock the disk: log in to the initrd by hand, or at the keyboard of the host.";
    FileNotTrusted "file-not-trusted" Error "not trusted"
        "The hosts.toml that names the host is not trusted, so nothing is run there."
        "Look at the file, then run `nixdash trust`.";
    TimeRanOut "time-ran-out" Warning "not asked"
        "The other hosts used up the time limit, so this host was not asked."
        "Ask again, or for fewer hosts at once.";
    UnitsFailed "units-failed" Warning "units failed"
        "systemd calls units of the host failed."
        "List them with `systemctl --failed`, and read their journal with `journalctl --unit UNIT`.";
    SystemDegraded "system-degraded" Warning "degraded"
        "No unit of the host failed, but systemd says that its system is not running as it should."
        "See what `systemctl is-system-running` and `systemctl list-jobs` say.";
    SystemdSilent "systemd-silent" Warning "systemd silent"
        "systemd of the host did not say in time whether its system is running as it should."
        "See what `systemctl is-system-running` says there, and whether the host is overloaded.";
    BootDiffers "boot-differs" Warning "boots another"
        "The host will start another system than the one that is running now, and not a newer generation of it."
        "Deploy the system that it should run with `switch`, or restart the host.";
    NeedsReboot "needs-reboot" Warning "needs reboot"
        "The host waits for a restart: it runs another kernel, initrd or modules than its system has, or a newer generation starts at its next boot."
        "Restart the host when that suits.";
    DiskLow "disk-low" Warning "disk low"
        "The file system that holds the store, or a disk of a cache, is nearly full."
        "Collect garbage with nix-collect-garbage, or make the disk bigger.";
    FilesLow "files-low" Warning "inodes low"
        "The file system that holds the store has nearly as many files as it can have (df -i), whatever room is left."
        "Collect garbage with nix-collect-garbage; `nix-store --optimise` saves files too.";
    StoreReadOnly "store-read-only" Error "store read-only"
        "Nothing can be written below /nix: its file system is mounted read-only."
        "Read `journalctl --dmesg`: a file system that met an error is often mounted read-only.";
    BootLow "boot-low" Warning "boot low"
        "/boot is nearly full: the next kernel may not fit."
        "Remove old generations, then run `nixos-rebuild boot`.";
    VarLow "var-low" Warning "/var low"
        "/var is nearly full: logs cannot be written."
        "See what fills it with `du -xsh /var/*`.";
    TmpLow "tmp-low" Warning "/tmp low"
        "/tmp is nearly full: builds that work there fail."
        "See what fills it with `du -xsh /tmp/*`.";
    RunLow "run-low" Error "/run full"
        "/run is full: a deploy is refused, because it writes its results there."
        "See what fills it with `du -xsh /run/*`.";
    MemoryLow "memory-low" Warning "memory low"
        "Nearly all of the main memory is in use."
        "See what uses it with `systemd-cgtop --order=memory`.";
    LoadHigh "load-high" Warning "load high"
        "Far more processes want to run than there are processors."
        "See what runs with `top`; fewer builds at once are set by nix.settings.max-jobs and cores.";
    LatencyHigh "latency-high" Warning "slow network"
        "A round trip to the host takes long over the open connection."
        "See whether the host is overloaded, or the network is bad.";
    ClockDiffers "clock-differs" Warning "clock differs"
        "The clocks of the host and of the machine that runs nixdash differ."
        "Compare both with `timedatectl`, and let both use NTP.";
    HostAway "host-away" Warning "away"
        "The host has not answered for a long time."
        "Switch it on now and then, or remove it from hosts.toml.";
    DeployedByOthers "deployed-by-others" Warning "other deployer"
        "A tool on the host deploys to it by itself, and will undo what nixdash deploys."
        "Switch that tool off on the host, or set `read_only = true` for the host in hosts.toml and let the tool deploy.";
    NixMissing "nix-missing" Warning "no Nix"
        "The host has no Nix, so no system can be copied to it."
        "Enable Nix in the host's configuration (`nix.enable = true`), and activate that by hand once.";
    NixOld "nix-old" Warning "old Nix"
        "The host's Nix is too old for some of what nixdash asks of it."
        "Deploy a newer Nix to the host.";
    RootsOld "roots-old" Note "old roots"
        "Roots of the garbage collector have been there for long, and keep paths alive."
        "Remove those that nobody needs.";
    OnBattery "on-battery" Note "on battery"
        "The host runs on its battery."
        "Connect mains power before a long deploy.";

    // Of tiers: whether they answer.
    TierUnreachable "tier-unreachable" Error "down"
        "The cache did not answer, or its answer was not HTTP."
        "Start the cache, or fix the network between.";
    TierSlow "tier-slow" Warning "slow"
        "The cache takes more than a second for its first byte."
        "See what its server is busy with.";
    ProxyRefused "proxy-refused" Error "proxy"
        "The proxy on the way to the cache does not let requests through."
        "Fix `proxy` in hosts.toml, or the proxy.";
    RateLimited "rate-limited" Warning "overloaded"
        "The cache answered that it is asked too often, or is overloaded."
        "Ask it less often with `every` in hosts.toml.";
    LeftAlone "left-alone" Warning "left alone"
        "The cache asked to be left alone for a while, and is not asked before that time is over."
        "Ask it less often with `every` in hosts.toml.";
    RequestsSpent "requests-spent" Warning "not asked"
        "The requests that hosts.toml allows for this month are used, so the cache is not asked."
        "Raise `max_requests_per_month`, or wait for the next month.";
    RequestsLow "requests-low" Warning "requests"
        "Few of the requests that the server allows in this hour are left."
        "Ask it less often with `every` in hosts.toml.";
    RedirectRefused "redirect-refused" Warning "redirect"
        "The cache redirects to an address that nixdash does not follow."
        "Find out who answers at that address, and let the cache answer itself.";
    SetupFailed "setup-failed" Warning "not asked"
        "A secret, certificate or setting for the cache could not be read, so the cache was not asked."
        "Fix what the cause names in hosts.toml or on the machine that asks.";
    AskingHostFailed "asking-host-failed" Warning "not asked"
        "The host that hosts.toml asks the cache from (`via`) could not ask it."
        "Fix the host, or choose another one for `via`.";
    KindNotProbed "kind-not-probed" Warning "not asked"
        "This version of nixdash does not ask caches of this kind."
        "Use a newer nixdash.";
    AccessDenied "access-denied" Error "unauthorized"
        "The cache answered 401 or 403: hosts get nothing from it, and older Nix does not say so."
        "Give hosts (root's netrc or AWS credentials) and nixdash a valid login.";
    TokenExpired "token-expired" Error "token expired"
        "The token for the cache has expired."
        "Make a new token, and put it into the hosts' netrc too.";
    TokenExpiresSoon "token-expires-soon" Warning "token"
        "The token for the cache expires soon."
        "Make a new token, and put it into the hosts' netrc too.";
    CertificateExpired "certificate-expired" Error "certificate"
        "The TLS certificate of the cache has expired or is not valid yet: hosts refuse to connect."
        "Renew the certificate, or see why its renewal failed; set the clock where it is wrong.";
    CertificateExpiresSoon "certificate-expires-soon" Warning "certificate"
        "The TLS certificate of the cache expires soon and should have been renewed already."
        "See why the renewal of the certificate failed.";
    AccessNotKnown "access-not-known" Warning "not known"
        "The cache refused the login user, who cannot read root's netrc: what the daemon gets is not known."
        "Let the login user use sudo without a password.";
    CacheMissing "cache-missing" Error "no such cache"
        "The server answers, but has no such cache, bucket or repository, or does not show it."
        "Fix the name in hosts.toml, make the cache, or use a token that may see it.";
    ServerFailing "server-failing" Warning "degraded"
        "The server answered with an error."
        "Read the log of the cache.";
    AnswerUnexpected "answer-unexpected" Warning "degraded"
        "The server answered something that no cache of this kind answers."
        "Fix the url in hosts.toml; a login page may be between.";
    ApiUnreachable "api-unreachable" Warning "API down"
        "Hosts are served, but the API of the cache does not answer."
        "Nothing, unless it lasts; hosts do not need the API.";
    ClockSkew "clock-skew" Warning "clock"
        "The clock of the machine that asks differs from the server's: beyond 15 minutes signatures are refused."
        "Set the clock, for example with `timedatectl set-ntp true`.";

    // Of tiers: what they serve.
    StoreDirWrong "store-dir-wrong" Error "wrong store"
        "The cache is for another store directory: Nix refuses it."
        "Fix the url in hosts.toml.";
    PriorityUnreadable "priority-unreadable" Error "bad priority"
        "The Priority in nix-cache-info is not a number: Nix stops when it opens the cache, so \
         builds of every host that asks it fail."
        "Write a number there, for example `Priority: 40`.";
    NarinfoMalformed "narinfo-malformed" Error "malformed"
        "The cache served something as a narinfo that Nix cannot read: builds fail there, whatever other caches hold."
        "Fix what writes the narinfos, or the login page or proxy that answers instead of the cache.";
    NarinfoTooOld "narinfo-too-old" Warning "newer Nix fails"
        "A narinfo of the cache is refused from a version of Nix on, though older ones take it."
        "Write the narinfo again, before hosts get that version.";
    NarinfoNotImported "narinfo-not-imported" Error "not importable"
        "Nix reads a narinfo of the cache, but cannot bring the path into a store."
        "Publish the path again.";
    NarMislabelled "nar-mislabelled" Error "wrong label"
        "A nar is not packed as its narinfo says: Nix from 2.22 on cannot unpack it."
        "Publish the path again, or fix what packs the nars.";
    NarDiffers "nar-differs" Error "nar differs"
        "A nar was fetched whole, and it is not the one that its narinfo describes: hosts refuse it."
        "Remove the narinfo and the nar, publish the path again, and look at the disk of the cache.";
    FileDiffers "file-differs" Warning "file differs"
        "`FileSize` or `FileHash` of a narinfo is not that of the nar's file: Nix does not compare it, other programs do."
        "Nothing for hosts; publish the path again to fix it.";
    CacheInfoMissing "cache-info-missing" Warning "degraded"
        "There is no nix-cache-info: hosts cannot tell that it is a cache."
        "Put a nix-cache-info with StoreDir, WantMassQuery and Priority there.";
    KeyMalformed "key-malformed" Error "key malformed"
        "A public key is not an ed25519 key in base64, so nothing verifies under it."
        "Write the key as the cache publishes it.";
    KeyMismatch "key-mismatch" Error "other key"
        "The cache says that it signs with another key than hosts.toml has."
        "Fix `public_key` in hosts.toml, unless the cache should sign with that one.";
    SignatureInvalid "signature-invalid" Error "wrong signature"
        "A signature carries the name of the cache's key but does not verify: another key, or tampering."
        "Find out who signed it; hosts refuse what it serves.";
    SignatureMissing "signature-missing" Error "not signed"
        "What the cache serves is not signed by its key."
        "Sign it, for example with `nix store sign`, or fix `public_key` in hosts.toml.";
    NotTrusted "not-trusted" Error "not trusted"
        "No host trusts what the cache serves, so none takes anything from it."
        "Add the key of the cache to nix.settings.trusted-public-keys of the hosts.";
    NarMissing "nar-missing" Error "nar missing"
        "The cache has a narinfo whose nar it does not serve: hosts fail there."
        "Remove the narinfo, or publish the path again.";
    NarElsewhere "nar-elsewhere" Warning "nar elsewhere"
        "A narinfo names a nar at an address that nixdash does not ask, so it is not proven that nars are served."
        "Find out who wrote that line of the narinfo: no signature covers it.";
    NarNotProven "nar-not-proven" Warning "nar not proven"
        "A nar could not be asked for now, so it is not proven that nars are served."
        "Fix what the cause names; the nar is asked for again.";
    NotUsed "not-used" Warning "not used"
        "No host asks the cache."
        "Add its address to nix.settings.substituters of the hosts that should.";
    NearlyFull "nearly-full" Warning "nearly full"
        "The cache holds nearly as much as it may."
        "Raise its limit, or remove what nobody needs.";
    CollectionFailed "collection-failed" Warning "no collection"
        "The last garbage collection of the cache failed: it goes on growing."
        "Read the log of the cache's server.";
    PathsLost "paths-lost" Warning "paths lost"
        "The cache lost paths of systems that hosts still run: its coverage fell by 5 points or more."
        "Publish the paths again, and keep them with a pin, a root or a higher limit.";
    EntriesLeaving "entries-leaving" Warning "entries leave"
        "Entries of a CI cache are removed within a day unless a run uses them."
        "Run the CI job that uses them.";
    UpstreamsFailing "upstreams-failing" Warning "upstreams"
        "The proxy cannot use all the caches that it fetches from."
        "See why the others do not answer; its log names them.";
    StoreUnreadable "store-unreadable" Warning "degraded"
        "Nix cannot read the database of a host's store."
        "Run `nix-store --verify` on the host.";
    NoHostAnswers "no-host-answers" Error "down"
        "No host answers, so nothing is known of their stores."
        "See why the hosts do not answer.";

    // Of clusters.
    MastersUnreachable "masters-unreachable" Warning "no master"
        "No master of the cluster answers: nothing is known of its volumes."
        "Start a master, or put this machine on the masters' whitelist.";
    LeaderMissing "leader-missing" Error "no leader"
        "The masters have no majority and no leader: nothing can be written."
        "Start the masters that are down.";
    ServersMissing "servers-missing" Warning "servers"
        "Volume servers that should be there are gone."
        "Start them again, or lower `volume_servers` in hosts.toml.";
    VolumesLost "volumes-lost" Error "volumes lost"
        "No copy of some volumes is left: their files cannot be read."
        "Bring the servers that held them back, or publish what is lost again.";
    CopiesMissing "copies-missing" Warning "replication"
        "Some volumes have fewer copies than their replication asks for."
        "Run `volume.fix.replication` in `weed shell`.";
    ReplicationLow "replication-low" Warning "placement"
        "Some volumes were made for fewer copies than hosts.toml wants."
        "Run `volume.configure.replication` in `weed shell`.";
    PlacementNarrow "placement-narrow" Warning "placement"
        "Copies of some volumes are on too few racks or data centres."
        "Run `volume.fix.replication` or move the copies with `volume.move` in `weed shell`.";
    VolumesReadOnly "volumes-read-only" Warning "read-only"
        "Some volumes take no new data though they are not full."
        "See the volume servers' log, then `volume.mark -writable` in `weed shell`.";
    RoomLow "room-low" Warning "room"
        "The cluster has little room for new volumes, or none."
        "Add a volume server, or raise its `-max`.";

    // Of tiers as one host sees them.
    SettingsUnreadable "settings-unreadable" Warning "settings"
        "The Nix settings of the host could not be read."
        "Run `nix config show` on the host.";
    ToolMissing "tool-missing" Warning "no curl"
        "The host has no curl, so caches cannot be asked from there."
        "Add curl to the system of the host.";
    CurlCannotAsk "curl-cannot-ask" Warning "not known"
        "curl on the host could not ask: whether the host reaches the cache is not known."
        "Fix what the cause names on the host.";
    NotReached "not-reached" Error "not reached"
        "The host does not reach the cache."
        "Fix the network between the host and the cache.";
    NotConfigured "not-configured" Warning "not asked"
        "The host does not ask the cache, though others do."
        "Add its address to nix.settings.substituters of the host.";
    SubstitutionOff "substitution-off" Warning "not asked"
        "The host asks no cache at all: its settings say substitute = false."
        "Set nix.settings.substitute to true.";
    PriorityMissing "priority-missing" Warning "asked first"
        "The cache names no Priority, so the host asks it before every other."
        "Add Priority to its nix-cache-info, or `?priority=` to its address in the host's substituters.";
    OrderWrong "order-wrong" Warning "order"
        "The host asks a cache too early, by the order of hosts.toml."
        "Write `?priority=` behind the addresses in the host's substituters, the lowest first.";
    PrefixNotKnown "prefix-not-known" Error "no prefix"
        "The Nix of the host is older than 2.33 and reads the bucket and the prefix together as the name of a bucket, which does not exist."
        "Update Nix on the host, or give the cache a bucket of its own.";
    SlowFirst "slow-first" Warning "slow first"
        "The host asks a cache before another that holds the same paths and was seen to send them at least 5 times faster."
        "Write `?priority=` behind the addresses in the host's substituters, so that the fast cache comes first.";
    CacheLeftOut "cache-left-out" Error "left out"
        "Nix on the host cannot read the address of the cache in its settings, so it leaves it out."
        "Fix the address in nix.settings.substituters of the host.";
    RecordOld "record-old" Warning "old record"
        "The host still uses an older priority of the cache: Nix keeps it for a week."
        "Wait until the record expires, or remove it from the host.";
    BuildsStop "builds-stop" Note "builds stop"
        "Builds on the host stop when the cache is down."
        "Set nix.settings.fallback to true on the host.";
    BuildsWait "builds-wait" Note "builds wait"
        "Builds on the host wait at every path when the cache is down, and need another cache that has the path."
        "Set nix.settings.fallback to true on the host.";
    TrustedKeyMalformed "trusted-key-malformed" Error "key malformed"
        "One of the trusted keys of the host is not a key, so its Nix can check no signature and takes nothing from any cache."
        "Fix or remove the key in nix.settings.trusted-public-keys of the host.";
    DaemonSettingsOld "daemon-settings-old" Warning "old settings"
        "Settings of the host were changed after its Nix daemon started, and a daemon reads them only when it starts."
        "Run `systemctl restart nix-daemon` on the host.";
    CacheUnlisted "cache-unlisted" Note "unlisted cache"
        "The host asks caches that hosts.toml lacks."
        "Add them to hosts.toml, or remove them from nix.settings.substituters of the host.";
    KeyNotTrusted "key-not-trusted" Error "not trusted"
        "The host does not trust the key of the cache."
        "Add the key to nix.settings.trusted-public-keys of the host.";
    KeyReplaced "key-replaced" Error "other key"
        "The host trusts another key under the name of the cache's key."
        "Fix the key in the host's settings, or `public_key` in hosts.toml.";
    SignerNotTrusted "signer-not-trusted" Error "not trusted"
        "The host trusts none of the keys that signed what the cache serves."
        "Add a key that signs there to nix.settings.trusted-public-keys of the host, or sign the paths with one that it trusts.";

    // Of runs.
    LastRunFailed "last-run-failed" Warning "run failed"
        "The newest run of the host failed there or was rolled back, and the host still runs what it ran before."
        "See in its log why it failed, then deploy again.";
    LockHeld "lock-held" Error "lock held"
        "Somebody else is deploying to the host, or runs switch-to-configuration there."
        "Wait for that to end.";
    PrivilegesMissing "privileges-missing" Error "not root"
        "The login user of the host is not root and could not become root."
        "Name root@ in the address of the host, or let the login user use sudo, doas or run0 (`elevate` in hosts.toml).";
    SudoPasswordNeeded "sudo-password-needed" Error "sudo password"
        "sudo on the host asks for a password, and none was given."
        "Say with `sudo_password` in hosts.toml where it is, deploy with `--ask-sudo-password`, or allow the login user sudo without one.";
    SudoPasswordWrong "sudo-password-wrong" Error "wrong password"
        "sudo on the host refused the password. It is not tried again, because a host may lock an account after a few wrong ones."
        "Set the right password where `sudo_password` in hosts.toml says that it is, or deploy again to be asked for it once more.";
    RootNotAllowed "root-not-allowed" Error "not root"
        "sudo, doas or polkit of the host does not allow the login user to be root."
        "Add the login user to those who may, or name another user in the address of the host.";
    RootWouldAsk "root-would-ask" Error "would ask"
        "doas or run0 on the host would ask for a password, which only sudo is given."
        "Allow the login user doas with `nopass`, or run0 by a polkit rule, or use sudo.";
    SudoWantsTerminal "sudo-wants-terminal" Error "requiretty"
        "sudo on the host runs only on a terminal, because its sudoers say `requiretty`."
        "Remove `requiretty` from the sudoers of the host, at least for the login user.";
    KeyAsksForTouch "key-asks-for-touch" Note "touch key"
        "The key that logs in to the host must be touched at every login, and a deploy logs in again after the activation."
        "Stay near the key until the deploy is done.";
    NotNixos "not-nixos" Error "no NixOS"
        "The host does not run NixOS, or what it runs could not be read."
        "See what /run/current-system is on the host; `nixdash deploy HOST --first` makes the first deploy of a machine that becomes NixOS.";
    FirstDeploy "first-deploy" Note "first deploy"
        "No system of NixOS runs on the host, so a deploy has nothing to go back to."
        "Stay within reach of its console until the new system is confirmed.";
    NoWayBack "no-way-back" Error "no way back"
        "The first system of a host was not confirmed, and there was none before it to go back to."
        "Fix what the cause names and deploy again with `--first`, or restart the host: what it started before starts again.";
    SourceNotSent "source-not-sent" Error "source"
        "The source of the flake could not be packed here, or could not be unpacked on the machine that evaluates it."
        "Fix what the cause names.";
    EvaluationFailed "evaluation-failed" Error "evaluation"
        "The configuration of the host could not be evaluated."
        "Fix what Nix names.";
    DerivationNotCopied "derivation-not-copied" Error "copy"
        "The derivation of the system could not be copied to the host that builds it."
        "Fix what the cause names on the host that builds.";
    NoBuilder "no-builder" Error "no builder"
        "No host builds for the system of this host."
        "Name a builder of its system in [builders] of hosts.toml, let its builder emulate that \
         system, or deploy with `--strategy direct`.";
    BuildEmulated "build-emulated" Note "emulated"
        "The builder has another system type than the host and builds for it by emulation, or through another machine."
        "Name a builder of the system of the host in [builders] of hosts.toml, where builds take too long.";
    PushRefused "push-refused" Error "no way to push"
        "The host that builds cannot log in to the target to copy the system to it."
        "Give root of the builder a key that the target accepts and the target's host key, or run an ssh agent here.";
    PushInSession "push-in-session" Note "in session"
        "The builder cannot log in to the target by itself, so the ssh agent of the operator is lent to it, and the copy ends with the connection."
        "Give root of the builder a key that the target accepts, so that the copy goes on without you.";
    PushUnsigned "push-unsigned" Note "not signed"
        "The builder signs nothing for the copy, and the target takes only what one of its trusted keys signed."
        "Name a secret key on the builder as `sign_key` in hosts.toml, and its public half in the settings of the target.";
    CachesSkipped "caches-skipped" Note "no caches"
        "No cache is asked in this run (`--skip-caches`)."
        "Deploy without `--skip-caches` when the caches answer again.";
    BuildFailed "build-failed" Error "build"
        "A derivation of the system could not be built."
        "Read the log of the derivation that the cause names.";
    PathMissing "path-missing" Error "path missing"
        "The cache that the host pulls from does not have the system."
        "Let the cache serve the store of the host that builds.";
    FetchFailed "fetch-failed" Error "fetch"
        "The host could not fetch the system."
        "See which cache lacks the path, or why the host refuses it.";
    JobNotStarted "job-not-started" Error "not started"
        "systemd of the host did not start what the run needs there."
        "Fix what the cause names on the host.";
    JobEnded "job-ended" Error "ended"
        "Something outside nixdash ended what the run had started on the host."
        "See who ended it, or whether the host was restarted, then deploy again.";
    SystemMissing "system-missing" Error "missing"
        "The system to deploy is not in the store or cache that it was to come from."
        "Build it again with `nixdash build HOST`, or name another system.";
    NotRestarted "not-restarted" Error "not restarted"
        "The host could not be told to restart with its new system."
        "Restart the host by hand with `systemctl reboot`.";
    WriteFailed "write-failed" Error "not written"
        "Something that a deploy must write on the host could not be written."
        "Make room on /nix and /run of the host, or fix its file systems.";
    PreSwitchFailed "pre-switch-failed" Error "pre-switch"
        "A pre-switch check of the new system failed, so nothing was changed."
        "Do what the check asks for; its words are in the log of the run.";
    SwitchInhibited "switch-inhibited" Warning "needs reboot"
        "The new system cannot be activated while the host runs."
        "Deploy with `switch` or `boot`, then restart the host.";
    ActivationFailed "activation-failed" Error "activation"
        "switch-to-configuration failed on the host."
        "Read the log of the run.";
    SnippetFailed "snippet-failed" Error "activation"
        "A snippet of the activation script failed."
        "Run the snippet by hand on the host, or fix it in the configuration.";
    SnippetFailedBefore "snippet-failed-before" Warning "snippet"
        "Snippets of the activation script fail in the new system and failed in the previous one too."
        "Fix the snippets in the configuration.";
    NetworkLost "network-lost" Error "network"
        "The host could not be reached any more after the activation."
        "Fix the network between, or the network settings of the new system.";
    AddressLost "address-lost" Error "address"
        "An address of the host that answered before the activation does not answer any more."
        "Fix the network settings of the new system.";
    CheckFailed "check-failed" Error "check"
        "A check that hosts.toml asks for failed on the new system."
        "Run the check by hand on the host.";
    UserUnitsFailed "user-units-failed" Warning "user units"
        "Units of users failed while the new system was activated."
        "List them with `systemctl --user --failed` as that user.";
    ConfirmationMissing "confirmation-missing" Error "not confirmed"
        "Nobody told the host in time to keep the new system, so it went back."
        "See whether nixdash was ended or the network broke, then deploy again.";
    RolledBack "rolled-back" Error "rolled back"
        "The host went back to the system that it ran before."
        "Fix what the cause names, then deploy again.";
    Superseded "superseded" Warning "superseded"
        "Somebody else deployed to the host at the same time: what they changed was left as it is."
        "Find out who deployed, look at what the host runs, then deploy again.";
    SpecialisationMissing "specialisation-missing" Error "specialisation"
        "The host runs a specialisation that the new system does not have."
        "Add the specialisation to the configuration, or deploy with `--without-specialisation`: the system itself is activated.";
    SpecialisationKept "specialisation-kept" Note "specialisation"
        "The host runs a specialisation: the same one of the new system is activated."
        "Nothing; `--without-specialisation` activates the system itself.";
    SwitchDisabled "switch-disabled" Error "cannot switch"
        "The new system has no bin/switch-to-configuration (system.switch.enable is false), so nothing can activate it."
        "Set system.switch.enable = true in the configuration of the host.";
    NotASystem "not-a-system" Error "no system"
        "What was named to be deployed is no system of NixOS: it has neither nixos-version nor bin/switch-to-configuration."
        "Name a system, such as /nix/store/…-nixos-system-HOST-26.05.";
    NoGeneration "no-generation" Error "no generation"
        "The host has no generation to which a rollback could go."
        "See what the host has with `nixdash generations HOST`, or deploy an older revision of the flake.";
    NotBuilt "not-built" Error "not built"
        "No built system of the host waits to be deployed, and `--built` builds nothing."
        "Build it with `nixdash build HOST`, then deploy again.";
    OrderNotHeld "order-not-held" Warning "order"
        "The host is to go after another one, which does not get its system in this run."
        "Deploy the host that goes first, or take the rule out of `[[rollout.order]]`.";
    RevisionNotContained "revision-not-contained" Warning "older revision"
        "The host runs a revision that the revision to deploy does not contain, or changes that are in no revision."
        "Merge or pull that revision first, or commit those changes; or deploy with `--allow-older` to leave them out.";
    RevisionUnknown "revision-unknown" Note "revision?"
        "The host runs a revision of which it is not known here whether the system to deploy contains it."
        "Run `git fetch` in the flake's repository (`git fetch --unshallow` in a shallow clone), to see whether that revision is contained.";
    TreeDirty "tree-dirty" Note "dirty tree"
        "The flake's work tree has changes that are not committed: what is deployed is not a revision."
        "Commit the changes, then deploy.";
    LockAge "lock-age" Note "age of inputs"
        "How old the inputs in the flake's flake.lock are."
        "Run `nix flake update` when they are too old.";
    RollbackOff "rollback-off" Warning "no rollback"
        "Magic rollback is switched off for the host: a new system is kept even if nobody can reach the host."
        "Stay within reach of its console, or remove `magic_rollback = false` from hosts.toml.";
    HookFailed "hook-failed" Error "hook"
        "A hook of hosts.toml failed."
        "Run the hook by hand; what it printed is in the log of the run.";
    HostReadOnly "host-read-only" Note "read-only"
        "hosts.toml says that nothing is changed on the host, so a deploy leaves it out."
        "Nothing, where another tool deploys the host; else remove `read_only = true` of the host from hosts.toml.";
    SystemUnexpected "system-unexpected" Error "unexpected"
        "The host is neither as it was before the deploy nor as the deploy should leave it."
        "Look at the host: what it runs, its profile, /etc and its boot menu.";
    OtherSystemStarted "other-system-started" Error "other system"
        "The host was restarted after a deploy, and started with another system than the deploy made permanent."
        "See what its boot loader starts with `bootctl list`, then restart the host.";
    HostRestarted "host-restarted" Error "restarted"
        "The host was restarted before the deploy was over."
        "See why it was restarted, then deploy again.";
    BootMenuFailed "boot-menu-failed" Error "boot menu"
        "switch-to-configuration could not write the boot menu."
        "Read the log of the run; /boot may be full.";
    BootDefaultPinned "boot-default-pinned" Warning "boot pinned"
        "The boot loader is told to start another system than the newest one."
        "Remove the pinned default, for example with `bootctl set-default \"\"`.";
    NotSeenSince "not-seen-since" Warning "not seen"
        "The host was activating the new system, was told to keep it, or was restarted with it, and has not been seen since."
        "See whether the host is on and in its network.";
    RunStopped "run-stopped" Note "stopped"
        "Somebody stopped the run."
        "Begin it again when that suits.";
    PlanNotConfirmed "plan-not-confirmed" Note "not confirmed"
        "Nobody confirmed the plan, so nothing was done."
        "Begin it again when that suits.";
    HostLeftOut "host-left-out" Note "left out"
        "The operator left the host out, and the run went on without it."
        "Deploy it when that suits.";
    RolloutHalted "rollout-halted" Note "not begun"
        "An earlier host or wave of the run failed, so this host was not touched."
        "Fix what went wrong there, then deploy again.";
    GateFailed "gate-failed" Error "gate failed"
        "A check between the waves of a run failed."
        "Ask the same by hand: run the gate's command on the hosts of that wave, or ask its address from this machine.";
    WaveFailed "wave-failed" Error "wave failed"
        "More hosts of a wave failed than `max_failed` allows."
        "See why they failed, then deploy again.";
    RunRolledBack "run-rolled-back" Warning "rolled back"
        "The host got its new system in a run and was taken back to the previous one."
        "See why the run was rolled back, then deploy again.";
    BudgetLost "budget-lost" Error "budget lost"
        "The host got no place in a budget, or lost it before it began to change, so nothing was changed."
        "See whether another run has the place now, or hosts with the tag of the budget do not answer, then deploy again.";
    RunEnded "run-ended" Warning "ended"
        "nixdash was ended while the run went on."
        "Look at the host, then deploy again.";
    NixdashOld "nixdash-old" Warning "older nixdash"
        "A newer nixdash began the deploy, and left something on the host that this one cannot read."
        "Use the newer nixdash to see what became of the host.";
    InternalError "internal-error" Error "internal"
        "Something happened in nixdash that should not happen."
        "Report it with the log of the run.";
}

impl Code {
    /// Returns whether it is about how a host's Nix is set up, for every cache.
    pub fn is_of_nix(self) -> bool {
        [Self::TrustedKeyMalformed, Self::DaemonSettingsOld, Self::CacheUnlisted].contains(&self)
    }

    /// Returns whether something went wrong where it stands. It did not where somebody said what becomes of a run or
    /// host, nor where a host went along with others of its run.
    pub fn is_fault(self) -> bool {
        let by_others = [
            Self::RunStopped,
            Self::PlanNotConfirmed,
            Self::HostLeftOut,
            Self::RolloutHalted,
            Self::RunRolledBack,
        ];
        !by_others.contains(&self)
    }

    /// Returns the code of a word; none when this nixdash does not know it.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }

    /// Returns what to do about it as a clause, for a finding that knows no better.
    ///
    /// [`Self::fix_on`] names the host where it is known.
    pub fn fix(self) -> String {
        let advice = self.advice().trim_end_matches('.');
        let mut letters = advice.chars();
        letters.next().map_or_else(String::new, |first| {
            format!("{}{}", first.to_ascii_lowercase(), letters.as_str())
        })
    }

    /// Returns what to do about it on a host: commands in it name that host.
    pub fn fix_on(self, host: &str) -> String {
        self.fix().replace("HOST", host)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests;
