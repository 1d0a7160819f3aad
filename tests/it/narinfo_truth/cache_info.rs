//! What Nix reads in `nix-cache-info`, compared with what nixdash reads.

use super::cache::{Cache, Maker, Packing};
use super::nix::RealNix;
use nixdash::nix::cache_info::{CacheInfo, CacheInfoFault};

/// Texts of `nix-cache-info`.
const TEXTS: [&str; 22] = [
    "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n",
    "StoreDir: /nix/store\nPriority: 30 # x\n",
    "StoreDir: /nix/store\nPriority: -5\n",
    "StoreDir: /nix/store\nPriority: +5\n",
    "StoreDir: /nix/store\nPriority: 0x10\n",
    "StoreDir: /nix/store\nPriority: high\n",
    "StoreDir: /nix/store\nPriority:\n",
    "StoreDir: /nix/store\nPriority: 99999999999\n",
    "StoreDir: /nix/store\nPriority: 30\nPriority: 40\n",
    "StoreDir: /nix/store\nPriority: 30\nPriority: high\n",
    "StoreDir: /nix/store\n Priority: high\n",
    "StoreDir: /nix/store\nPriority : high\npriority: high\n",
    "StoreDir:/nix/store\nPriority:30",
    "StoreDir: /nix/store\r\nPriority: 30\r\n",
    "StoreDir: /gnu/store\nPriority: 30\n",
    "StoreDir: /gnu/store\nPriority: high\n",
    "Priority: high\nStoreDir: /gnu/store\n",
    "StoreDir: \nPriority: 30\n",
    "StoreDir: /nix/store/\n",
    "Priority: 30\n",
    "",
    "<html><p>Log in</p></html>\n",
];

/// What opening a cache leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// It is asked, with this priority.
    Asked(i32),
    /// It is passed over, and the next one is asked.
    PassedOver,
    /// Everything stops.
    Stops,
}

fn ours(text: &str) -> Opened {
    let info = CacheInfo::parse(text);
    match info.fault {
        None => Opened::Asked(info.priority.unwrap_or(0)),
        Some(CacheInfoFault::OtherStoreDir(_)) => Opened::PassedOver,
        Some(CacheInfoFault::PriorityUnreadable(_)) => Opened::Stops,
    }
}

#[test]
#[ignore = "needs file systems with other versions of Nix; tests/run.sh makes them"]
fn nixdash_reads_nix_cache_info_as_nix_does() {
    let maker = Maker::new();
    let item = maker.item(1, Packing::Plain, &[]);
    let items = [item];
    let good = Cache::serve(&items, &maker);
    for nix in RealNix::all() {
        for text in TEXTS {
            let cache = Cache::serve_with(text, &items, &maker);
            let found = nix.open(&cache, &good, &items[0], &maker.key().text);
            assert_eq!(found, ours(text), "Nix {}: {text:?}", nix.version);
        }
        println!("Nix {}: {} texts compared", nix.version, TEXTS.len());
    }
}
