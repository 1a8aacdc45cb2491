//! Which crate may depend on which: the table of `ARCHITECTURE.md`, as data.

use super::Finding;
use crate::metadata::{Dependency, Metadata, Package};

/// One room of the house.
struct Room {
    name: &'static str,
    /// Crates of ours that it may use.
    uses: &'static [&'static str],
    /// Crates of ours that its tests may use besides.
    tests_use: &'static [&'static str],
}

/// The testkit is for those who do not stand below it: cargo would build two copies of each type.
const TESTKIT: &[&str] = &["attestry-testkit"];

const ROOMS: [Room; 11] = [
    Room { name: "attestry-core", uses: &[], tests_use: &[] },
    Room { name: "attestry-policy", uses: &["attestry-core"], tests_use: &[] },
    Room { name: "attestry-oci", uses: &["attestry-core"], tests_use: TESTKIT },
    Room { name: "attestry-sign", uses: &["attestry-core"], tests_use: &[] },
    Room { name: "attestry-store", uses: &["attestry-core"], tests_use: TESTKIT },
    Room {
        name: "attestry-server",
        // `attestry-sign` for `signing.rs` alone, which `text` checks.
        uses: &["attestry-core", "attestry-policy", "attestry-oci", "attestry-store", "attestry-sign"],
        tests_use: &["attestry-testkit", "attestry-playground"],
    },
    Room { name: "attestry-playground", uses: &["attestry-core"], tests_use: &[] },
    Room { name: "attestry", uses: SHIPPED, tests_use: TESTKIT },
    Room { name: "attestry-testkit", uses: &["attestry-core", "attestry-sign", "attestry-playground"], tests_use: &[] },
    Room { name: "attestry-tests", uses: ALL, tests_use: &[] },
    Room { name: "xtask", uses: ALL, tests_use: &[] },
];

const SHIPPED: &[&str] = &[
    "attestry-core",
    "attestry-policy",
    "attestry-oci",
    "attestry-sign",
    "attestry-store",
    "attestry-server",
    "attestry-playground",
];

const ALL: &[&str] = &[
    "attestry-core",
    "attestry-policy",
    "attestry-oci",
    "attestry-sign",
    "attestry-store",
    "attestry-server",
    "attestry-playground",
    "attestry-testkit",
];

/// Crates of others that say what a room is for: outside these rooms (and the two that test) they are out of place.
const RESERVED: [(&str, &[&str]); 8] = [
    ("anyhow", &["attestry"]),
    ("axum", &["attestry-server", "attestry-playground", "attestry-testkit"]),
    ("clap", &["attestry"]),
    ("miette", &["attestry"]),
    ("redb", &["attestry-store"]),
    ("reqwest", &["attestry-oci", "attestry-sign", "attestry"]),
    ("sled", &["attestry-store"]),
    (
        "tokio",
        &["attestry-oci", "attestry-sign", "attestry-playground", "attestry-testkit", "attestry-server", "attestry"],
    ),
];

/// Rooms that nobody ships and that may use what they like.
const UNSHIPPED: [&str; 2] = ["attestry-tests", "xtask"];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    metadata.packages.iter().flat_map(check_crate).collect()
}

fn check_crate(package: &Package) -> Vec<Finding> {
    let Some(room) = ROOMS.iter().find(|room| room.name == package.name) else {
        return vec![Finding::new(
            &package.name,
            "has no place in the table of crates (crates/xtask/src/tidy/edges.rs)",
        )];
    };
    package.dependencies.iter().filter_map(|dependency| check_edge(room, dependency)).collect()
}

fn check_edge(room: &Room, dependency: &Dependency) -> Option<Finding> {
    let wanted = dependency.name.as_str();
    let for_tests = dependency.kind.as_deref() == Some("dev");
    if ROOMS.iter().any(|other| other.name == wanted) {
        let allowed = room.uses.contains(&wanted) || (for_tests && room.tests_use.contains(&wanted));
        let how = if for_tests { " in its tests" } else { "" };
        return (!allowed).then(|| Finding::new(room.name, format!("may not use {wanted}{how}")));
    }
    let (_, rooms) = RESERVED.iter().find(|(name, _)| *name == wanted)?;
    let allowed = for_tests || rooms.contains(&room.name) || UNSHIPPED.contains(&room.name);
    (!allowed).then(|| Finding::new(room.name, format!("may not use {wanted}, which is for {}", rooms.join(", "))))
}

#[cfg(test)]
mod tests;
