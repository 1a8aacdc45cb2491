//! The first pass: bounds, what YAML may not be used for, and places.

use serde_saphyr::{
    Options,
    granit_parser::{Event, Marker, Parser, StrInput},
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};

use super::place::{Node, Shape};

/// Nesting of maps and lists. The deepest field of any kind is at 9.
const MAX_DEPTH: usize = 32;
/// Maps, lists and scalars in one document.
const MAX_NODES: usize = 500_000;

/// Why a document cannot be read as YAML.
pub(super) struct Fault {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

/// The options of the second pass. Bounds as in the first, so that neither relies on the other.
pub(super) fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        with_snippet: false,
    }
}

/// The places of one document's fields; `None` for an empty document.
pub(super) fn read(text: &str, lines_before: u32) -> Result<Option<Node>, Fault> {
    let place = |mark: &Marker| (lines_before + mark.line() as u32, mark.col() as u32 + 1);
    let fault = |mark: &Marker, message: &str, hint| {
        let (line, column) = place(mark);
        Fault { line, column, message: message.to_owned(), hint }
    };
    let parser_options = serde_saphyr::granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut open: Vec<Open> = Vec::new();
    let (mut root, mut nodes) = (None, 0usize);
    for item in Parser::with_options(StrInput::new(text), parser_options) {
        let (event, span) = item.map_err(|error| fault(error.marker(), &error.info(), None))?;
        let mark = &span.start;
        let (line, column) = place(mark);
        if event.anchor_id().is_some() {
            return Err(fault(mark, "YAML anchors are refused", Some("write the value out where it is needed")));
        }
        if event.tag().is_some() {
            return Err(fault(mark, "YAML tags are refused", Some("remove the !tag")));
        }
        let finished = match event {
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let hint = "write the value out; quote a text that begins with *";
                return Err(fault(mark, "YAML aliases are refused", Some(hint)));
            }
            Event::MappingStart(..) => {
                open.push(Open::new(line, column, Shape::Map(Vec::new())));
                None
            }
            Event::SequenceStart(..) => {
                open.push(Open::new(line, column, Shape::List(Vec::new())));
                None
            }
            Event::Scalar(value, ..) => {
                let in_key = open.last().is_some_and(Open::wants_key);
                if in_key && value == "<<" {
                    return Err(fault(mark, "YAML merge keys are refused", Some("write the fields out")));
                }
                Some(Node { line, column, shape: Shape::Scalar(value.into_owned()) })
            }
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop().map(|open| Node { line: open.line, column: open.column, shape: open.shape })
            }
            _ => None,
        };
        if open.len() > MAX_DEPTH {
            return Err(fault(mark, "maps and lists are nested too deeply", None));
        }
        let Some(node) = finished else { continue };
        nodes += 1;
        if nodes > MAX_NODES {
            return Err(fault(mark, "the document holds too many values", None));
        }
        match open.last_mut() {
            None => root = Some(node),
            Some(parent) => parent.add(node).map_err(|message| Fault { line, column, message, hint: None })?,
        }
    }
    Ok(root.filter(|node| !matches!(&node.shape, Shape::Scalar(text) if text.is_empty() || text == "~")))
}

/// A map or list that is not closed yet.
struct Open {
    line: u32,
    column: u32,
    shape: Shape,
    key: Option<Node>,
}

impl Open {
    fn new(line: u32, column: u32, shape: Shape) -> Self {
        Self { line, column, shape, key: None }
    }

    fn wants_key(&self) -> bool {
        matches!(self.shape, Shape::Map(_)) && self.key.is_none()
    }

    fn add(&mut self, node: Node) -> Result<(), String> {
        match &mut self.shape {
            Shape::List(items) => items.push(node),
            Shape::Map(fields) => match self.key.take() {
                None if matches!(node.shape, Shape::Scalar(_)) => self.key = Some(node),
                None => return Err("a field name must be a plain text".to_owned()),
                Some(Node { line, column, shape: Shape::Scalar(name) }) => {
                    fields.push(super::place::Field { name, line, column, node });
                }
                Some(_) => {}
            },
            Shape::Scalar(_) => {}
        }
        Ok(())
    }
}
