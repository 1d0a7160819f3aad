//! The last answer of every host.

use super::*;
use crate::fleet::StoreFacts;
use std::path::Path;

#[test]
fn a_host_is_kept_whole_by_its_name_and_how_it_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path()).unwrap();
    let fleet = |address: &str| {
        let text = format!("[hosts.samsung]\naddresses = [\"{address}\"]\n");
        crate::config::parse(&text, Path::new("hosts.toml"), None).unwrap()
    };
    let (ours, other) = (fleet("root@samsung.lan"), fleet("root@10.0.0.9"));
    let (ours, other) = (&ours.hosts[0], &other.hosts[0]);
    let measured_at = Some(NOW);
    let facts = HostFacts {
        state: HostState::Up,
        load1: Some(0.5),
        measured_at,
        asked_at: measured_at,
        ..HostFacts::default()
    };
    assert_eq!(history.kept_host(ours).unwrap(), None);
    history.keep_host(ours, &facts).unwrap();
    let store = StoreFacts { paths: 7, bytes: 9, measured_at: NOW };
    history.keep_store(ours, &store).unwrap();
    history.keep_host(ours, &HostFacts::default()).unwrap();
    let kept = history.kept_host(ours).unwrap().unwrap();
    assert_eq!((kept.facts.load1, kept.facts.measured_at), (Some(0.5), measured_at));
    assert_eq!(kept.facts.state, HostState::Unknown, "it was not asked yet");
    assert_eq!(kept.store, Some(store));
    assert_eq!(history.kept_host(other).unwrap(), None, "another machine of the same name");
    let older = HostFacts { load1: Some(9.0), measured_at: Some(NOW - 1.hours()), ..facts };
    history.keep_host(ours, &older).unwrap();
    assert_eq!(history.kept_host(ours).unwrap().unwrap().facts.load1, Some(0.5));
}
