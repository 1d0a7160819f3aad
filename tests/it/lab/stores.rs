//! Hosts' own stores as a tier: whether their databases can be read.

use super::{Lab, lab, on};
use serde_json::Value;

/// Returns what `status` says of the tier of kind local, of a fleet that has one.
fn stores(fleet: &Lab) -> Value {
    // Beside the lab's own file, since that names others relative to itself.
    let hosts_file = fleet.hosts_file.with_file_name("hosts-stores.toml");
    let mut text = std::fs::read_to_string(&fleet.hosts_file).unwrap();
    text.push_str("\n[[tiers]]\nname = \"stores\"\nkind = \"local\"\n");
    std::fs::write(&hosts_file, text).unwrap();
    let fleet = Lab { hosts_file, state: tempfile::tempdir().unwrap() };
    let status = fleet.status();
    std::fs::remove_file(&fleet.hosts_file).unwrap();
    let tiers = status["tiers"].as_array().unwrap();
    tiers.iter().find(|tier| tier["name"] == "stores").unwrap().clone()
}

#[test]
#[ignore = "needs the practice fleet: tests/run.sh"]
fn a_store_whose_database_cannot_be_read_is_named_with_its_host() {
    let fleet = Lab::healthy();
    let well = stores(&fleet);
    assert_eq!((&well["state"], &well["error"]), (&Value::from("up"), &Value::Null), "{well}");
    on("samsung", "mv /nix/var/nix/db/db.sqlite /nix/var/nix/db/db.away");
    let broken = std::panic::catch_unwind(|| stores(&fleet));
    on("samsung", "mv /nix/var/nix/db/db.away /nix/var/nix/db/db.sqlite");
    let broken = broken.unwrap();
    assert_eq!(broken["state"], "degraded", "{broken}");
    let error = broken["error"].as_str().unwrap();
    assert!(error.starts_with("samsung: Nix cannot read its store's database"), "{error}");
    // One that is cut off says nothing against the others.
    lab(&["fault", "razer", "partition"]);
    let away = stores(&fleet);
    lab(&["fault", "razer", "clear"]);
    assert_eq!(away["state"], "up", "{away}");
}
