//! clap's own check of the whole command line: names, groups and requirements that fit together.

use clap::CommandFactory as _;

use super::Cli;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}
