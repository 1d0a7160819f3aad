//! How long the screen takes to be drawn with many hosts, and whether it keeps up with keys.
//!
//! `cargo bench --bench draws` draws a fleet that was measured, with something wrong here and there, on 200
//! columns and 50 rows: the first frame of 200 hosts, a frame after one of them was measured anew, the
//! decision of a second in which no shown word changes, and each of 600 steps down a list of 1,000 hosts. It
//! prints the median and the worst, and how many keys a second that is.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nixdash::dash::{Depth, Look, Model, Msg, Theme, update, view};
use nixdash::fleet::{
    Bytes, Code, Coverage, CoverageFacts, Event, Finding, Fleet, HostFacts, HostState, Share,
    StorePath, Subject, TierFacts, TierState,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The columns and rows of the terminal.
const SIZE: (u16, u16) = (200, 50);

/// How often each is measured.
const ROUNDS: usize = 300;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let look = Look::new(
        Theme::named("terminal").ok_or("no such theme")?,
        Depth::True,
        false,
        TimeZone::UTC,
    );
    let mut firsts = Vec::new();
    for _ in 0..ROUNDS / 10 {
        let fleet = Arc::new(fleet(200)?);
        let begun = Instant::now();
        let mut screen = Screen::new(fleet, &look)?;
        screen.draw()?;
        firsts.push(begun.elapsed());
    }
    print("first frame of 200 hosts", &mut firsts);

    let mut screen = Screen::new(Arc::new(fleet(200)?), &look)?;
    screen.measure_all()?;
    screen.draw()?;
    let mut frames = Vec::new();
    for round in 0..ROUNDS {
        screen.measure(round % 200, round as u64)?;
        let begun = Instant::now();
        screen.draw()?;
        frames.push(begun.elapsed());
    }
    print("a frame of 200 hosts", &mut frames);

    let mut decisions = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        update(&mut screen.model, Msg::Tick, screen.now);
        decisions.push(begun.elapsed());
    }
    print("a second without a change", &mut decisions);

    let mut screen = Screen::new(Arc::new(fleet(1000)?), &look)?;
    screen.measure_all()?;
    screen.draw()?;
    let mut keys = Vec::new();
    for _ in 0..ROUNDS * 2 {
        let begun = Instant::now();
        let key = KeyEvent::new(KeyCode::Down, KeyModifiers::NONE);
        update(&mut screen.model, Msg::Key(key), screen.now);
        screen.draw()?;
        keys.push(begun.elapsed());
    }
    let all: Duration = keys.iter().sum();
    let each = all / u32::try_from(keys.len())?;
    print("a step among 1,000 hosts", &mut keys);
    println!("{:<26} {:8.0} keys/s", "", 1.0 / each.as_secs_f64());
    Ok(())
}

/// Prints the median and the worst of some times.
fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let (median, worst) = (ms(times.get(times.len() / 2)), ms(times.last()));
    println!("{what:<26} {median:8.3} ms {worst:8.3} ms at worst");
}

/// A model, and the terminal that it is drawn on.
struct Screen<'l> {
    model: Model,
    terminal: Terminal<TestBackend>,
    look: &'l Look,
    now: Timestamp,
}

impl<'l> Screen<'l> {
    fn new(fleet: Arc<Fleet>, look: &'l Look) -> Result<Self, Failure> {
        let now = Timestamp::from_second(1_795_262_400)?;
        let mut model = Model::new(fleet, now);
        update(&mut model, Msg::Resize(SIZE.0, SIZE.1), now);
        let terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1))?;
        Ok(Self { model, terminal, look, now })
    }

    fn draw(&mut self) -> Result<(), Failure> {
        self.terminal.draw(|frame| view(&self.model, self.look, frame, self.now))?;
        Ok(())
    }

    /// Measures every host and every tier.
    fn measure_all(&mut self) -> Result<(), Failure> {
        for index in 0..self.model.world.hosts.len() {
            self.measure(index, index as u64)?;
        }
        let fleet = Arc::clone(&self.model.world.fleet);
        for tier in &fleet.tiers {
            let facts = TierFacts {
                state: TierState::Up,
                latency_ms: Some(3.0),
                measured_at: Some(self.now),
                ..TierFacts::default()
            };
            let event = Event::Tier { tier: tier.name.clone(), facts: Box::new(facts) };
            update(&mut self.model, Msg::Event(event), self.now);
        }
        Ok(())
    }

    /// Measures a host: one in twenty is short of room, one in fifty does not answer.
    fn measure(&mut self, index: usize, round: u64) -> Result<(), Failure> {
        let fleet = Arc::clone(&self.model.world.fleet);
        let host = fleet.hosts.get(index).ok_or("no such host")?;
        let name = host.name.clone();
        let hash = "0wad21za14vm2g5by2xn2xc5vxk9fh0w";
        let system = StorePath::from_base_name(&format!("{hash}-nixos-system-{name}-26.05"))?;
        let mut facts = HostFacts {
            state: HostState::Up,
            latency_ms: Some(4.2),
            load1: Some((round % 80) as f64 / 10.0),
            cpus: Some(8),
            memory: Some(Bytes { used: 12_400_000_000, total: 32_600_000_000 }),
            disk: Some(Bytes { used: 588_000_000_000, total: 1_000_000_000_000 }),
            failed_units: Some(Vec::new()),
            measured_at: Some(
                self.now - SignedDuration::from_secs((index % 8).try_into().unwrap_or_default()),
            ),
            ..HostFacts::default()
        };
        facts.system.running = Some(system.clone());
        facts.system.generation = Some(100 + index as u64);
        if index % 20 == 7 {
            let subject = Subject::Host { host: name.clone() };
            facts.findings =
                vec![Finding::new(subject, Code::DiskLow, "4 GB are free", "collect garbage")];
        }
        if index % 50 == 3 {
            facts.state = HostState::Offline;
        }
        let share = Share { have: 1290 - index as u64 % 90, total: 1356 };
        let held = Coverage { paths: share, bytes: share, measured_at: self.now, at_most: false };
        let tiers = fleet.tiers.iter().map(|tier| (tier.name.clone(), held));
        let coverage = CoverageFacts {
            toplevel: Some(system),
            tiers: tiers.collect(),
            ..CoverageFacts::default()
        };
        for event in [
            Event::Host { host: name.clone(), facts: Box::new(facts) },
            Event::Coverage { host: name, facts: coverage },
        ] {
            update(&mut self.model, Msg::Event(event), self.now);
        }
        Ok(())
    }
}

/// Returns a fleet of so many hosts in racks of ten, and twelve tiers.
fn fleet(hosts: usize) -> Result<Fleet, Failure> {
    let mut text = String::new();
    for index in 0..hosts {
        let (rack, place) = (index / 10 + 1, index % 10);
        writeln!(text, "[hosts.rack{rack:02}-{place}]\ntags = [\"rack{rack:02}\"]")?;
    }
    for index in 1..=12 {
        writeln!(text, "[[tiers]]\nname = \"cache-{index:02}\"\nkind = \"http\"")?;
        writeln!(text, "url = \"http://cache-{index:02}.lan:5000\"")?;
    }
    Ok(nixdash::config::parse(&text, Path::new("/fleet/hosts.toml"), None)?)
}
