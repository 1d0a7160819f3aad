//! Runs that are made up at random, and what their hosts have in truth.

use super::*;

/// Small and even enough random numbers (xorshift64*), the same for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below a bound.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % bound
    }

    /// Returns whether one of so many comes up.
    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

pub(super) const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

pub(super) fn system(host: &str) -> StorePath {
    path(&format!("{NEW}-{host}"))
}

/// Makes a run at random.
pub(super) fn random_machine(dice: &mut Dice) -> Machine {
    let names = &NAMES[..=dice.below(NAMES.len())];
    let goals =
        [Goal::Switch, Goal::Switch, Goal::Switch, Goal::Boot, Goal::Test, Goal::DryActivate];
    let goal = goals[dice.below(goals.len())];
    let mut machine = machine(names, goal, dice.one_in(2));
    machine.setup.parallel = 1 + dice.below(4);
    machine.setup.options.wait_offline = dice.one_in(3);
    machine.setup.rollout = random_rollout(dice);
    let restarts = goal.persists() && dice.one_in(3);
    for budget in 0..dice.below(3) {
        let (name, tag) = (format!("budget-{budget}"), format!("tag-{budget}"));
        machine.setup.budgets.push(Budget { name, tag, in_flight: 1 + dice.below(2) });
    }
    for host in &mut machine.hosts {
        host.setup.last = dice.one_in(5);
        host.setup.reboot = restarts.then_some(Duration::from_secs(60));
        if dice.one_in(4) {
            host.setup.route = Route::Direct;
        }
        if dice.one_in(3) {
            host.setup.hooks = hooks_of([
                HookMoment::BeforeActivate,
                HookMoment::AfterActivate,
                HookMoment::BeforeRollback,
                HookMoment::AfterRollback,
            ]);
        }
        for tag in 0..3 {
            if dice.one_in(2) {
                host.setup.tags.push(format!("tag-{tag}"));
            }
        }
    }
    machine
}

fn random_rollout(dice: &mut Dice) -> Rollout {
    let mut rollout = Rollout {
        canary: dice.below(3),
        canary_is_written: dice.one_in(2),
        soak: Duration::from_secs([0, 0, 60][dice.below(3)]),
        max_failed: [Quota::Count(0), Quota::Count(1), Quota::Percent(50)][dice.below(3)],
        on_failure: if dice.one_in(3) { OnFailure::Rollback } else { OnFailure::Halt },
        ..Rollout::default()
    };
    for _ in 0..dice.below(4) {
        rollout.waves.push(match dice.below(4) {
            0 => WaveRule::Tag("tag-0".to_owned()),
            1 => WaveRule::Some(Quota::Percent(25)),
            2 => WaveRule::Some(Quota::Count(2)),
            _ => WaveRule::Rest,
        });
    }
    for number in 0..dice.below(3) {
        rollout.gates.push(Gate {
            name: format!("gate-{number}"),
            asks: GateQuestion::Command(vec!["true".to_owned()]),
            delay: Duration::from_secs(dice.below(3) as u64),
            interval: Duration::from_secs(5),
            successes_in_a_row: 1 + dice.below(2) as u32,
            failures: dice.below(2) as u32,
            limit: Duration::from_secs(5),
        });
    }
    for _ in 0..dice.below(4) {
        // Later names wait for earlier ones: an order has no circle.
        let (one, other) = (dice.below(NAMES.len()), dice.below(NAMES.len()));
        if one < other {
            rollout.order.push(OrderRule {
                who: HostOrTag::Host(NAMES[other].to_owned()),
                after: HostOrTag::Host(NAMES[one].to_owned()),
                reason: "why".to_owned(),
            });
        }
    }
    rollout
}

/// What a host has in truth.
#[derive(Clone, Debug)]
pub(super) struct HostTruth {
    pub(super) running: StorePath,
    pub(super) profile: StorePath,
    pub(super) booted: StorePath,
}

/// Returns what a host ran before the run or, where that only lets hosts boot, booted: on some hosts somebody tried a
/// system.
pub(super) fn before(host: &str, goal: Goal) -> StorePath {
    let is_tried = ["b", "f"].contains(&host) && goal != Goal::Boot;
    path(if is_tried { super::super::tried::TRIED } else { OLD })
}

impl HostTruth {
    /// Returns what a host has before the run.
    pub(super) fn of(host: &str) -> Self {
        Self { running: before(host, Goal::Switch), profile: path(OLD), booted: path(OLD) }
    }

    /// Takes a system as a run makes it permanent.
    pub(super) fn persist(&mut self, host: &HostSetup, system: StorePath) {
        if host.goal.persists() {
            self.profile = host.permanent(&system).clone();
        }
        if host.goal.activates() {
            self.running = system;
        }
    }

    pub(super) fn restart(&mut self) {
        self.running = self.profile.clone();
        self.booted = self.profile.clone();
    }
}
