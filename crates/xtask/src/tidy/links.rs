//! Links between the project's own pages and files lead somewhere.

use super::Finding;
use crate::command;
use crate::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let pages = tree.files().filter(|(path, _)| path.ends_with(".md"));
    // Other people's data is not in the tree, but our pages point there too.
    pages.flat_map(|(path, text)| dead_links(path, text, |target| command::root().join(target).exists())).collect()
}

fn dead_links(page: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut in_code = false;
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        for target in targets(line) {
            if !resolve(folder, target).is_some_and(|path| exists(&path)) {
                findings
                    .push(Finding::new(format!("{page}:{}", at + 1), format!("the link to {target} leads nowhere")));
            }
        }
    }
    findings
}

/// The files that `[text](target)` names, without addresses and places in the same page.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let links = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = links.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    files.map(|target| target.split_once('#').map_or(target, |(file, _)| file)).filter(|file| !file.is_empty())
}

/// The path from the root, or nothing where it leads out of the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<_> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests;
