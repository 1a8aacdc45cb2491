//! Which mutant is on. Written into every crate that is mutated; never part of what is built otherwise.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{LazyLock, Mutex};

static ON: LazyLock<u32> = LazyLock::new(|| {
    std::env::var("ATTESTRY_MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0)
});

/// Where this process says which mutants it came by: a file for each test, and a line for each mutant. Tests start other
/// processes, which say it too.
static REACHED: LazyLock<Option<Mutex<(File, BTreeSet<u32>)>>> = LazyLock::new(|| {
    let folder = std::env::var_os("ATTESTRY_MUTANTS_REACHED")?;
    let test = format!("{}${}", std::env::var("NEXTEST_BINARY_ID").ok()?, std::env::var("NEXTEST_TEST_NAME").ok()?);
    let file = std::path::Path::new(&folder).join(test.replace('/', "|"));
    let file = OpenOptions::new().create(true).append(true).open(file).ok()?;
    Some(Mutex::new((file, BTreeSet::new())))
});

/// 0 for the code as it was written, or else which of its mutants, counted from 1.
pub(crate) fn at(mutants: &[u32]) -> usize {
    if let Some(reached) = &*REACHED
        && let Ok(mut reached) = reached.lock()
        && reached.1.insert(mutants[0])
    {
        let lines: String = mutants.iter().map(|mutant| format!("{mutant}\n")).collect();
        let _ = reached.0.write_all(lines.as_bytes());
    }
    mutants.iter().position(|mutant| *mutant == *ON).map_or(0, |at| at + 1)
}
