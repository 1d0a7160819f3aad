//! The nouns of nixdash: hosts, tiers, closures, facts, phases, outcomes and the one [`Event`] type.
//!
//! Plain data and pure functions on it. Nothing in this room does I/O or reads a clock: time comes
//! in as an argument. Every other room may use this one.

mod activation;
mod alarms;
mod build_tag;
mod cache_use;
mod changes;
mod closure;
mod colours;
mod deployed;
mod event;
mod expiry;
mod facts;
mod fetched;
mod finding;
mod generation;
mod holdings;
mod hooks;
mod host;
mod host_facts;
mod host_key;
mod host_units;
mod kept;
mod key_binding;
mod known_secrets;
mod live;
mod log_line;
mod log_mark;
mod over_time;
mod past;
mod public_url;
mod redact;
mod redact_json;
mod rollout;
mod root_access;
mod run;
mod secret;
mod select;
mod settings;
mod silence;
mod silenced;
mod speed;
mod text;
mod tier;
mod tier_history;
mod trust;
mod units;
mod verifying;
mod wake;
pub mod words;

pub use activation::ActivationSettings;
pub use alarms::{Alarms, Limits, NIX_FREE_NEEDED, RUN_FREE_NEEDED};
pub use build_tag::BuildTag;
pub use cache_use::{CacheRecord, NixFacts, Reaction, SettingsView, UnlistedCache, WhenDown};
pub use changes::{
    ChangeKind, PackageChange, RestartPart, RestartReason, SystemChanges, difference,
};
pub use closure::{ClosurePath, PathAnswer, StorePath, StorePathError};
pub use colours::{LineColours, TextStyle};
pub use deployed::{
    Ancestry, DeployFacts, DeployedFrom, FlakeSource, Specialisation, commit_of, is_same_revision,
};
pub use event::{DropReason, Event, LogFrom, RunEvent, RunWhat};
pub use expiry::{Validity, ValidityState};
pub use facts::{
    Bytes, Coverage, CoverageFacts, Detail, NextCoverage, NextFacts, ServedFacts, Share,
    SignatureState, SizeFacts, TierFacts, TierOnHost, TierState, VerifiedNar, upper_bound,
};
pub use fetched::Fetched;
pub use finding::{
    Code, Finding, NixSnippet, Severity, Subject, ended_by_order, first_fault, grouped, told,
    troubles, worst,
};
pub use generation::{
    Generation, GenerationMark, Generations, MarkedAs, RollbackError, RollbackTarget,
};
pub use holdings::{CoverageFall, HeldPath, Holdings, LostFacts, Said, UniqueFacts};
pub use hooks::{Hook, HookMoment};
pub use host::{Address, Host};
pub use host_facts::{
    BootChoice, FilePlace, HostFacts, HostState, KernelPart, OldRoot, PowerFacts, StoreDepth,
    StoreFacts, SystemFacts, UpkeepFacts,
};
pub use host_key::{HostKey, HostKeyState, KnownKeyOf};
pub use host_units::{HostUnit, HostUnits, JournalWanted, UnitState};
pub use kept::KeptHost;
pub use key_binding::KeyBinding;
pub use known_secrets::KnownSecrets;
pub use live::{LiveHost, LiveProgress, LiveRun};
pub use log_line::{LogLine, RawLogLine};
pub use log_mark::LogMark;
pub use over_time::{Figure, FigureOverTime, OverTime, OverTimeOf, TimePoint, TimeSpan};
pub use past::{PastEvent, PastWhat, TroubleEnd};
pub use public_url::{percent_decoded, public_url};
pub use redact::redact;
pub(crate) use redact_json::each_text;
pub use redact_json::{printable_json, redact_json};
pub use rollout::{
    Budget, Gate, GateQuestion, HostOrTag, OnFailure, OrderRule, Quota, Rollout, WaveRule,
};
pub use root_access::{Elevate, RootAccess, RootHosts, SudoPassword, SudoQuestion};
pub use run::{
    ANSWER_LIMIT, AskedOfHost, DerivationTime, GivenUpRoute, Goal, HostBuilds, HostPlan,
    HostResult, OpenQuestion, Outcome, Phase, PhaseState, Plan, PlannedChanges, Progress,
    RefusedPaths, RemoteCommand, ReplacedRevision, RollbackScope, RolloutNews, Route, RunId,
    RunOptions, RunOrder, Strategy, TakenRoute, UsualBuilds, UsualTimes, Wait, WaveState,
    back_to_before, begins_way_back,
};
pub use secret::Secret;
pub use select::{SelectError, select, select_among, select_or_all};
pub use settings::{Evaluate, Fleet, NotifyWay, Retention, Targets};
pub use silence::{Silence, UNTIL_IT_CHANGES, silence};
pub use silenced::{SilenceEnd, SilenceOrigin, Silenced};
pub use speed::{RankedSpeed, SpeedSeen, TimedBytes, TimedFetch, slow_first, speed_seen};
pub use text::{
    in_a_list, printable_coloured, printable_continued, printable_line, printable_text,
    style_behind,
};
pub use tier::{
    Access, KindName, Login, PublicKey, Seaweed, SecretSource, SecretText, Tier, TierKind,
};
pub use tier_history::{TierEvidence, TierHistory};
pub use trust::Trust;
pub use units::{ago, bytes, bytes_of, duration, number_of, percent};
pub use verifying::{VerifyError, can_be_verified};
pub use wake::{MacAddress, WakeOnLan};
