//! A small table that is right, and each way to be wrong.

use super::check_table;
use crate::tree::Tree;

const RIGHT: &str = "\
2 of 3 are shown.

| no. | attack | answer | shown by |
|---|---|---|---|
| 1 | one | `no` | [`attack_01_one`](crates/a/src/tests.rs), [`02-two_fail`](tests/vectors/verify/02-two_fail) |
| 2 | two | `no` | [`deny-two`](policies/p/cases/deny-two.yaml) |
| 3 | three | `no` | open |
";

fn check(page: &str, expected: &[&str]) {
    let tree = Tree::of(&[
        ("SECURITY.md", page),
        ("crates/a/src/tests.rs", "fn attack_01_one() {}\nfn attack_01_one_more() {}\n"),
        ("policies/p/cases/deny-two.yaml", ""),
        ("tests/vectors/verify/02-two_fail/case.yaml", ""),
    ]);
    let found: Vec<String> = check_table(&tree, 3).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_the_table_names_must_be_there() {
    check(RIGHT, &[]);
    check(
        &RIGHT.replace("[`attack_01_one`]", "[`attack_01`]"),
        &["SECURITY.md:5: attack 1: there is no attack_01 in crates/a/src/tests.rs"],
    );
    check(
        &RIGHT.replace("[`02-two_fail`]", "[`02-two`]"),
        &["SECURITY.md:5: attack 1: there is no 02-two in tests/vectors/verify/02-two_fail"],
    );
    check(
        &RIGHT.replace("deny-two", "deny-three"),
        &["SECURITY.md:6: attack 2: there is no deny-three in policies/p/cases/deny-three.yaml"],
    );
    check(
        &RIGHT.replace("| open |", "| soon |"),
        &["SECURITY.md:7: attack 3: names no test and is not open", "SECURITY.md: does not say \"3 of 3 are shown\""],
    );
    check(&RIGHT.replace("| 2 |", "| 4 |"), &["SECURITY.md: the table does not list the attacks 1 to 3 in order"]);
    check(&RIGHT.replace("2 of 3", "3 of 3"), &["SECURITY.md: does not say \"2 of 3 are shown\""]);
}
