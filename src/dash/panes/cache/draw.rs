//! The details of the selected tier.
//!
//! ```text
//!  weed ─────────────────────────────────────────────────────────────────── answered 2 s ago
//!  2 of 3 servers  10.0.0.7:8080 does not answer …    p620      3rd · trusted · 902 of 1 356 paths
//!  serves          http://10.0.0.5:8333, seaweedfs    razer     ▲ not asked: its nix.conf lacks it
//!  signature       signed weed-1 ✓                    in 7 days 12 % of the bytes, 9 % of the paths
//!  ▲ servers       2 of 3 volume servers              growth    1.20 GB a day, full in 40 days
//! ```
//!
//! Zoomed it has the whole body and scrolls.

use crate::dash::panes::cache::on_hosts;
use crate::dash::theme::Role;
use crate::dash::widgets::facts::{Fact, Laid, fact, told, unknown};
use crate::dash::widgets::graph::spinner;
use crate::dash::widgets::paint::{Paint, below};
use crate::dash::widgets::text::count;
use crate::dash::words::tiers::{dead_words, signature_mark, size_words, tier_mark};
use crate::dash::words::{finding_role, milliseconds, since};
use crate::dash::world::{TierView, age};
use crate::fleet::words::holdings;
use crate::fleet::{
    Code, Detail, Finding, ServedFacts, SignatureState, SizeFacts, Tier, TierFacts, TierKind,
    TierState, Validity, VerifiedNar, bytes, duration, percent, troubles,
};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Returns the rows that the details take below their rule, in that many columns.
pub(in crate::dash) fn rows(paint: &Paint<'_>, columns: u16) -> u16 {
    let selected = paint.model.selected_tier();
    selected.map_or(0, |(tier, view)| laid(paint, tier, view, columns).rows())
}

/// Draws the details below a rule; `zoomed` ones scroll.
pub(in crate::dash) fn draw(paint: &Paint<'_>, buffer: &mut Buffer, area: Rect, zoomed: bool) {
    let Some((tier, view)) = paint.model.selected_tier() else { return };
    let measured = match view.facts.measured_at {
        Some(then) => format!("answered {}", since(paint.now, then)),
        None => "never answered".to_owned(),
    };
    paint.rule(buffer, area, &tier.name, &measured);
    let laid = laid(paint, tier, view, area.width);
    let (from, key) = if zoomed { (paint.model.details_scroll, "pgdn") } else { (0, "enter") };
    laid.draw(paint, buffer, below(area, 1), from, key);
}

fn laid(paint: &Paint<'_>, tier: &Tier, view: &TierView, columns: u16) -> Laid {
    let mut more = on_hosts::hosts(paint, tier, &view.facts);
    more.extend(stores(paint, tier, &view.facts));
    more.extend(figures(paint, tier, &view.facts));
    let all = [health(paint, tier, view), more, rest(tier, &view.facts)];
    Laid::new(paint, columns, all, false)
}

/// Returns what is wrong, where the tier is, its proofs, and what its kind has to say.
fn health(paint: &Paint<'_>, tier: &Tier, view: &TierView) -> Vec<Fact> {
    let facts = &view.facts;
    let mark = tier_mark(facts);
    let mut all: Vec<Fact> = troubles(&facts.findings).into_iter().map(wrong).collect();
    let silenced = facts.findings.iter().filter(|finding| finding.is_silenced());
    all.extend(silenced.map(|finding| told("silenced", Role::Dim, finding.sentence())));
    if tier.kind.is_substituter() {
        all.push(fact("serves", format!("{}, {}", tier.url, tier.kind)));
        all.push(signature(tier, facts));
        all.push(nar(facts));
        all.extend(view.verifying.map(|since| verifying(paint, since)));
        all.extend(facts.verified.as_ref().map(|verified| verified_nar(paint, verified)));
    } else {
        let what = match &tier.kind {
            TierKind::GithubActions { repo } => format!("caches of the CI runs of {repo}"),
            TierKind::NixServe { .. }
            | TierKind::Harmonia
            | TierKind::Http
            | TierKind::Cachix { .. }
            | TierKind::S3
            | TierKind::Seaweedfs(_)
            | TierKind::Local
            | TierKind::Attic
            | TierKind::Ncps
            | TierKind::Niks3 { .. } => "each host's own store".to_owned(),
        };
        all.push(fact("is", format!("{what}, {}", tier.kind)));
    }
    for detail in details(paint, tier, facts) {
        all.push(fact(&detail.label, detail.text.clone()));
    }
    if tier.kind.is_substituter() || facts.latency_ms.is_some() {
        all.push(latency(facts));
    }
    let ends = [("TLS until", facts.certificate), ("token until", facts.token)];
    for (label, validity) in ends {
        all.extend(validity.map(|validity| fact(label, ends_at(paint, validity))));
    }
    if let Some(then) = facts.since {
        // Nobody may have looked before.
        all.push(fact("since", format!("seen {} since {}", mark.word, when(paint, then))));
    }
    all
}

/// Returns what is wrong, with what to do.
fn wrong(finding: &Finding) -> Fact {
    let text = format!("▲ {}", finding.sentence());
    told(finding.code.label(), finding_role(finding), text)
}

/// Returns what the kind has to say; what it says of single hosts in the fleet's order.
fn details<'a>(paint: &Paint<'_>, tier: &Tier, facts: &'a TierFacts) -> Vec<&'a Detail> {
    let mut all: Vec<&Detail> = facts.details.iter().collect();
    if tier.kind == TierKind::Local {
        let hosts = &paint.model.world.fleet.hosts;
        all.sort_by_key(|detail| {
            let at = hosts.iter().position(|host| host.name == detail.label);
            at.map_or(0, |at| at + 1)
        });
    }
    all
}

/// Returns what the proof that a nar is served found.
fn nar(facts: &TierFacts) -> Fact {
    match (&facts.nar_proof, facts.state) {
        (Some(proof), TierState::NarMissing) => told("nar", Role::Error, format!("▲ {proof}")),
        (Some(proof), _) => {
            ("nar".to_owned(), vec![(Role::Ok, "✓".to_owned()), (Role::Text, format!(" {proof}"))])
        }
        (None, _) => told("nar", Role::Dim, "– not proven"),
    }
}

/// Returns that a nar is being fetched whole, and for how long.
fn verifying(paint: &Paint<'_>, since: Timestamp) -> Fact {
    let text = format!(" fetching a nar whole, {} so far", duration(age(paint.now, since)));
    let sign = spinner(paint.now).to_string();
    ("verifying".to_owned(), vec![(Role::Busy, sign), (Role::Text, text)])
}

/// Returns what came of the last nar that was fetched whole, with its age.
fn verified_nar(paint: &Paint<'_>, verified: &VerifiedNar) -> Fact {
    let name = verified.path.name();
    let size = crate::fleet::bytes(verified.nar_size);
    let age = since(paint.now, verified.verified_at);
    let others = match verified.count {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    if let Some(finding) = &verified.finding {
        let text = format!("▲ {name}: {}, {age}", finding.code.label());
        return told("verified", finding_role(finding), text);
    }
    let text = format!(" {name} ({size}){others}: content matches its narinfo, {age}");
    ("verified".to_owned(), vec![(Role::Ok, "✓".to_owned()), (Role::Text, text)])
}

/// Returns what the proof of the signature found, and with what it was made.
fn signature(tier: &Tier, facts: &TierFacts) -> Fact {
    let mark = signature_mark(tier, facts);
    let role = match facts.signature {
        SignatureState::Invalid | SignatureState::Untrusted => mark.role,
        SignatureState::Valid | SignatureState::Unchecked => Role::Text,
    };
    let mut pieces = vec![(mark.role, mark.sign.to_string())];
    match &facts.proof {
        // The proof of a good signature names the key.
        Some(proof) if facts.signature == SignatureState::Valid => {
            pieces.push((role, format!(" {proof}")));
        }
        Some(proof) if facts.signature == SignatureState::Unchecked => {
            pieces.push((role, format!(" {proof}")));
        }
        Some(proof) => pieces.push((role, format!(" {}: {proof}", mark.word))),
        None => pieces.push((mark.role, format!(" {}", mark.word))),
    }
    ("signature".to_owned(), pieces)
}

/// Returns a point in time as a time of day and its age.
fn when(paint: &Paint<'_>, then: jiff::Timestamp) -> String {
    let clock = paint.clock(then, true);
    let day = then.to_zoned(paint.look.zone.clone()).strftime("%Y-%m-%d").to_string();
    let today = paint.now.to_zoned(paint.look.zone.clone()).strftime("%Y-%m-%d").to_string();
    let day = if day == today { String::new() } else { format!("{day} ") };
    format!("{day}{clock}, {}", since(paint.now, then))
}

fn latency(facts: &TierFacts) -> Fact {
    let Some(first_byte) = facts.latency_ms else { return unknown("latency") };
    let connect = match facts.connect_ms {
        Some(connect) => format!(", {} to connect", milliseconds(connect)),
        None => String::new(),
    };
    fact("latency", format!("{} to the first byte{connect}", milliseconds(first_byte)))
}

/// Returns what a close look at each host's own store found, and how long ago that was.
fn stores(paint: &Paint<'_>, tier: &Tier, facts: &TierFacts) -> Vec<Fact> {
    if tier.kind != TierKind::Local {
        return Vec::new();
    }
    let hosts = paint.model.world.fleet.hosts.iter().map(|host| {
        let label = format!("on {}", host.name);
        let Some(depth) = facts.depths.get(&host.name) else {
            return told(&label, Role::Dim, "– garbage and hard links not measured");
        };
        let dead = dead_words(depth.dead_bytes, depth.dead_paths);
        let (saved, then) = (bytes(depth.saved_bytes), since(paint.now, depth.measured_at));
        fact(&label, format!("hard links save {saved}, {dead}, measured {then}"))
    });
    hosts.collect()
}

/// Returns what was served, how big the tier is, and what nixdash itself asked of it.
fn figures(paint: &Paint<'_>, tier: &Tier, facts: &TierFacts) -> Vec<Fact> {
    let known = &paint.model.world.figures;
    let figures = known.tiers.get(&tier.name).copied().unwrap_or_default();
    let mut all = Vec::new();
    let days = if known.days > 0 { format!("{} days", known.days) } else { "history".to_owned() };
    let share = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
    let served = match (figures.share_bytes, figures.share_paths) {
        (None, None) => told(&days, Role::Dim, "– share served: not known yet"),
        (bytes, paths) => fact(
            &days,
            format!(
                "{} of the bytes that hosts and builders got{}, {} of the paths",
                share(bytes),
                known.beside(|other| other.tiers.get(&tier.name)?.share_bytes),
                share(paths),
            ),
        ),
    };
    if tier.kind.is_substituter() {
        all.push(served);
    }
    let beside = known.beside(|other| other.tiers.get(&tier.name)?.answered);
    let share = figures
        .answered
        .map(|share| format!("{} of narinfo requests in {days}{beside}", percent(share)));
    all.extend(answered(share, facts.served));
    if tier.kind.is_substituter() {
        all.push(speed(paint, facts));
        all.push(only_here(paint, facts));
    }
    all.push(size(paint, facts.size.as_ref(), figures.growth));
    // Hosts are asked through ssh, and nobody counts that.
    if let Some(requests) = facts.requests_this_month.filter(|_| tier.kind != TierKind::Local) {
        let limit = tier.max_requests_per_month;
        let near = limit.is_some_and(|limit| requests as f64 >= limit as f64 * 0.9);
        let limit = limit.map(|limit| format!(" of {} allowed", count(limit))).unwrap_or_default();
        let text = format!("{}{limit} this month, by nixdash", count(requests));
        let sign = if near { "▲ " } else { "" };
        all.push(told(
            "asked",
            if near { Role::Warn } else { Role::Text },
            format!("{sign}{text}"),
        ));
    }
    all
}

/// Returns until when something is good.
fn ends_at(paint: &Paint<'_>, validity: Validity) -> String {
    let day = validity.until.to_zoned(paint.look.zone.clone()).strftime("%Y-%m-%d").to_string();
    let left = match validity.until.duration_since(paint.now).unsigned_abs() {
        time if validity.until > paint.now => format!("{} left", duration(time)),
        time => format!("expired {} ago", duration(time)),
    };
    format!("{day}, {left}")
}

/// Returns how fast the tier sent files, and to which host how fast where several saw it.
fn speed(paint: &Paint<'_>, facts: &TierFacts) -> Fact {
    let Some(seen) = facts.speed else {
        return told("speed", Role::Dim, "– no fetch of 1 MB or more was timed in 7 days");
    };
    let hosts = paint.model.world.fleet.hosts.iter().filter_map(|host| {
        let speed = facts.hosts.get(&host.name)?.speed?;
        Some(format!("{} to {}", speed.rate(), host.name))
    });
    let hosts: Vec<String> = hosts.collect();
    let hosts = if hosts.len() > 1 { format!(": {}", hosts.join(", ")) } else { String::new() };
    let slow = facts.hosts.values().flat_map(|on_host| &on_host.findings);
    let is_slow = slow.into_iter().any(|finding| finding.code == Code::SlowFirst);
    let (role, sign) = if is_slow { (Role::Warn, "▲ ") } else { (Role::Text, "") };
    let newest = since(paint.now, seen.newest);
    told("speed", role, format!("{sign}{}{hosts}, the newest {newest}", seen.words()))
}

/// Returns what only this tier holds of what hosts run or will run.
fn only_here(paint: &Paint<'_>, facts: &TierFacts) -> Fact {
    match &facts.unique {
        Some(unique) => {
            let oldest = since(paint.now, unique.measured_at);
            fact("only here", format!("{}, oldest answer {oldest}", holdings::only_here(unique)))
        }
        None => told("only here", Role::Dim, "– not measured"),
    }
}

/// Returns what the server itself counts.
fn answered(share: Option<String>, served: Option<ServedFacts>) -> Option<Fact> {
    let mut words: Vec<String> = share.into_iter().collect();
    if let Some(served) = served {
        if let Some(now) = served.answered {
            words.push(format!("{} of {} since the last look", count(now.have), count(now.total)));
        }
        if let Some(rate) = served.requests_per_s {
            words.push(format!("{rate:.1} requests/s"));
        }
        if let Some(missing) = served.not_found {
            words.push(format!("{} answered 404", percent(missing)));
        }
    }
    (!words.is_empty()).then(|| fact("answered", words.join(" · ")))
}

fn size(paint: &Paint<'_>, size: Option<&SizeFacts>, growth: Option<f64>) -> Fact {
    let Some(size) = size else { return unknown("size") };
    let mut words = vec![size_words(size)];
    if let Some(share) = size.fullness() {
        words.push(percent(share));
    }
    if let Some(objects) = size.objects {
        words.push(format!("{} objects", count(objects)));
    }
    if let Some(growth) = growth.filter(|_| size.exact) {
        let sign = if growth < 0.0 { "-" } else { "+" };
        words.push(format!("{sign}{} a day", bytes(growth.abs() as u64)));
        if let Some(limit) = size.limit.filter(|_| growth >= 1.0) {
            let days = limit.saturating_sub(size.bytes) as f64 / growth;
            words.push(format!("full in {days:.0} days"));
        }
    }
    if let Some(then) = size.measured_at {
        words.push(format!("measured {}", since(paint.now, then)));
    }
    let nearly = size.is_nearly_full();
    let sign = if nearly { "▲ " } else { "" };
    told(
        "size",
        if nearly { Role::Warn } else { Role::Text },
        format!("{sign}{}", words.join(", ")),
    )
}

/// Returns what seldom changes.
fn rest(tier: &Tier, facts: &TierFacts) -> Vec<Fact> {
    let mut all = Vec::new();
    if let Some(host) = &tier.host {
        all.push(fact("store of", format!("{host}; what is built there is in this tier")));
    }
    if let Some(dir) = &facts.store_dir {
        all.push(fact("store dir", dir.clone()));
    }
    match facts.priority {
        // Nix takes a missing priority for 0, the first of all.
        Some(0) => {
            all.push(told("priority", Role::Warn, "▲ 0: hosts ask it before every other cache"));
        }
        Some(priority) => {
            let text = format!("{priority}; hosts ask the tier with the lowest number first");
            all.push(fact("priority", text));
        }
        None => {}
    }
    all
}
