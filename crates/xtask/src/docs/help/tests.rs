//! Reading the list of commands.

use super::subcommands;

#[test]
fn commands_are_read_from_help() {
    let check = |help: &str, expected: &[&str]| {
        assert_eq!(subcommands(help).collect::<Vec<_>>(), expected, "{help}");
    };
    check(
        "Does it.\n\nUsage: a <COMMAND>\n\nCommands:\n  key   Make keys\n          and more\n  sign\n  help  Print\n\nOptions:\n  -q  Quiet\n",
        &["key", "sign"],
    );
    check("Usage: a [OPTIONS]\n\nOptions:\n  -q  Quiet\n", &[]);
}
