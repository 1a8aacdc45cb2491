//! `attestry demo`: the whole story in one process, with the product's own commands, registry client and service.
//!
//! Every step says what should happen and then does it; a step that comes out otherwise ends the demo with exit
//! code 1. Commands are shown as they would be typed, and are run as typed: parsed from those very words.

mod admission;
mod stage;
mod story;

use std::fs;

use anyhow::Context as _;

use super::Context;
use crate::cli::DemoArgs;
use crate::exit::{Exit, Failure};
use stage::Stage;

pub(super) fn run(args: &DemoArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let (folder, _temporary) = match &args.keep {
        // A folder that is kept was named by its user, and must be new: nothing of theirs is written over.
        Some(folder) => {
            fs::create_dir(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            (folder.clone(), None)
        }
        None => {
            let temporary = tempfile::tempdir().context("cannot make a folder for the demo")?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let stage = Stage::new(&folder, context.output)?;
    story::play(&stage)?;
    if args.keep.is_some() {
        stage.stay()?;
    }
    stage.end()
}
