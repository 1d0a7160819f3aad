//! How the dashboard was left, so that the next one of the same hosts.toml begins with it: the view, and of
//! each list the selected row, the order, the filter and where the border below it was.
//!
//! Nothing that was measured is in it, and no mark: which hosts are deployed is chosen again each time. Rows
//! go by their names, since hosts.toml may have changed. The text is the screen's own; where it is kept is
//! the matter of whoever runs the screen.

use crate::dash::filter::Filter;
use crate::dash::model::{Model, Screen};
use crate::dash::msg::Effect;
use crate::dash::panes::caches::TierSort;
use crate::dash::panes::deploy::RunLeft;
use crate::dash::panes::fleet::{Grouping, HostSort};
use crate::dash::panes::history::RunSort;
use crate::dash::sorting::{SortBy, Sorting};
use crate::dash::split::Split;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The form of the text; one of another form is not read.
const FORM: u32 = 1;

/// A changed session is not kept more often than this.
const EVERY: SignedDuration = SignedDuration::from_secs(3);

/// How the dashboard was left.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    form: u32,
    view: Screen,
    /// Whether one pane had the whole body.
    zoom: bool,
    hosts: ListLeft<HostSort>,
    /// The selected row of the hosts.
    host: Option<HostRow>,
    /// The tags of the open groups; none where hosts did not stand in groups.
    open_groups: Option<BTreeSet<Option<String>>>,
    tiers: ListLeft<TierSort>,
    tier: Option<String>,
    /// The host by whose coverage tiers were sorted, where they were.
    tiers_by_host: Option<String>,
    runs: ListLeft<RunSort>,
    run: Option<RunLeft>,
    /// The filter of the hosts of a run.
    run_filter: String,
    /// Where the border between them and the log was.
    run_border: Split,
}

/// How a list was looked at.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListLeft<S> {
    sort: S,
    turned: bool,
    filter: String,
    /// Where the border between it and what stands below it was.
    border: Split,
}

/// A row among the hosts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HostRow {
    Host(String),
    /// The group of a tag; without one, of the hosts that have none.
    Group(Option<String>),
}

/// Lets the screen begin as it was left, and has it kept from now on. What is not a session, or one of
/// another nixdash, changes nothing and is told.
pub fn keep_session(model: &mut Model, left: Option<&str>, now: Timestamp) -> Result<(), String> {
    let read = left.map(read).transpose();
    let told = match read {
        Ok(Some(session)) => {
            session.restore(model, now);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(why) => Err(why),
    };
    model.session = Some((text(model), now));
    told
}

/// Returns the session as it is now; none where none is kept.
pub(super) fn session_left(model: &Model) -> Option<String> {
    model.session.as_ref().map(|_| text(model))
}

/// Has the session kept where it has changed, not more often than every few seconds.
pub(super) fn tick(model: &mut Model, now: Timestamp) -> Vec<Effect> {
    let Some((kept, at)) = &model.session else { return Vec::new() };
    if now.duration_since(*at) < EVERY {
        return Vec::new();
    }
    let present = text(model);
    if present == *kept {
        return Vec::new();
    }
    model.session = Some((present.clone(), now));
    vec![Effect::KeepSession(present)]
}

fn read(text: &str) -> Result<Session, String> {
    let session: Session = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if session.form == FORM {
        Ok(session)
    } else {
        Err(format!("its format is {}, and this nixdash reads format {FORM}", session.form))
    }
}

fn text(model: &Model) -> String {
    // Plain data of ours is always JSON.
    serde_json::to_string(&Session::of(model)).unwrap_or_default()
}

impl Session {
    fn of(model: &Model) -> Self {
        let fleet = &model.world.fleet;
        let (hosts, caches, history) = (&model.fleet, &model.caches, &model.history);
        let name_of_host = |index: usize| fleet.hosts.get(index).map(|host| host.name.clone());
        let group = || model.group_at(hosts.selected).map(|group| HostRow::Group(group.tag));
        Self {
            form: FORM,
            view: model.screen,
            zoom: model.zoom,
            hosts: ListLeft::of(&hosts.sorting, &hosts.filter, hosts.split),
            host: name_of_host(hosts.selected).map(HostRow::Host).or_else(group),
            open_groups: hosts.grouping.open().cloned(),
            tiers: ListLeft::of(&caches.sorting, &caches.filter, caches.split),
            tier: fleet.tiers.get(caches.selected).map(|tier| tier.name.clone()),
            tiers_by_host: by_host(&caches.sorting).and_then(name_of_host),
            runs: ListLeft::of(&history.sorting, &history.filter, history.split),
            run: run_left(model),
            run_filter: filter_left(&model.deploy.filter),
            run_border: model.deploy.split,
        }
    }

    fn restore(self, model: &mut Model, now: Timestamp) {
        let fleet = Arc::clone(&model.world.fleet);
        let place_of_host = |name: &str| fleet.hosts.iter().position(|host| host.name == name);
        model.show(self.view);
        model.fleet.sorting = self.hosts.sorting();
        model.fleet.filter = self.hosts.filter();
        model.fleet.split = self.hosts.border;
        model.caches.split = self.tiers.border;
        model.history.split = self.runs.border;
        model.deploy.split = self.run_border;
        model.fleet.grouping = Grouping::with_open(self.open_groups);
        let row = match &self.host {
            Some(HostRow::Host(name)) => place_of_host(name),
            Some(HostRow::Group(tag)) => {
                let found = model.host_groups().iter().position(|group| group.tag == *tag);
                found.map(|index| fleet.hosts.len() + index)
            }
            None => None,
        };
        model.fleet.selected = row.unwrap_or_default();
        model.select_shown();
        model.caches.sorting = self.tiers.sorting();
        if by_host(&model.caches.sorting).is_some() {
            let host = self.tiers_by_host.as_deref().and_then(place_of_host);
            let by = host.map(TierSort::Host).unwrap_or_default();
            model.caches.sorting = Sorting::as_left(by, self.tiers.turned);
        }
        model.caches.filter = self.tiers.filter();
        let tier = fleet.tiers.iter().position(|tier| Some(&tier.name) == self.tier.as_ref());
        model.caches.selected = tier.unwrap_or_default();
        model.history.sorting = self.runs.sorting();
        model.history.filter = self.runs.filter();
        model.deploy.filter = Filter::new(&self.run_filter);
        model.deploy.from_history = self.run.as_ref().is_some_and(|run| run.from_history);
        model.deploy.left = self.run;
        model.zoom = self.zoom
            && match self.view {
                Screen::Fleet => row.is_some(),
                Screen::Caches => tier.is_some(),
                Screen::Deploy | Screen::Logs | Screen::History => true,
            };
        model.sort_rows(now);
    }
}

impl<S: SortBy> ListLeft<S> {
    fn of(sorting: &Sorting<S>, filter: &Filter, border: Split) -> Self {
        let (sort, turned) = (sorting.by(), sorting.is_turned());
        Self { sort, turned, filter: filter_left(filter), border }
    }

    fn sorting(&self) -> Sorting<S> {
        Sorting::as_left(self.sort, self.turned)
    }

    fn filter(&self) -> Filter {
        Filter::new(&self.filter)
    }
}

/// Returns the number of the host by whose coverage tiers are sorted.
fn by_host(sorting: &Sorting<TierSort>) -> Option<usize> {
    if let TierSort::Host(index) = sorting.by() { Some(index) } else { None }
}

/// Returns the text of a filter as it is kept: one without a word lets everything through.
fn filter_left(filter: &Filter) -> String {
    if filter.is_empty() { String::new() } else { filter.text().to_owned() }
}

/// Returns the run that is shown. Until a key is pressed, the runs there were are told of one by one, and
/// the one that was shown when the dashboard was left is meant.
fn run_left(model: &Model) -> Option<RunLeft> {
    if let (Some(left), None) = (&model.deploy.left, model.last_key) {
        return Some(left.clone());
    }
    let run = model.shown_run()?;
    Some(RunLeft {
        run: run.id.clone(),
        host: model.shown_host_run().map(|host| host.host.clone()),
        is_of_now: model.run_of_now() == Some(model.deploy.run),
        from_history: model.deploy.from_history,
    })
}
