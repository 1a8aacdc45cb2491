//! Where the fields of a document stand.

use crate::error::Problem;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) shape: Shape,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Field>),
}

/// A field of a map; its place is that of the name.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) node: Node,
}

impl Node {
    /// The text of a scalar field.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.field(name)?.node.shape {
            Shape::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The map in a field.
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.field(name).map(|field| &field.node)
    }

    fn field(&self, name: &str) -> Option<&Field> {
        match &self.shape {
            Shape::Map(fields) => fields.iter().find(|field| field.name == name),
            _ => None,
        }
    }

    /// The path of the innermost field or item that begins at or before a place and holds it.
    pub(super) fn path_at(&self, line: u32, column: u32) -> String {
        let mut path = String::new();
        let mut node = self;
        loop {
            let before = |l: u32, c: u32| (l, c) <= (line, column);
            node = match &node.shape {
                Shape::Map(fields) => match fields.iter().rfind(|field| before(field.line, field.column)) {
                    Some(field) => {
                        push_field(&mut path, &field.name);
                        &field.node
                    }
                    None => return path,
                },
                Shape::List(items) => match items.iter().rposition(|item| before(item.line, item.column)) {
                    Some(index) => {
                        path.push_str(&format!("[{index}]"));
                        &items[index]
                    }
                    None => return path,
                },
                Shape::Scalar(_) => return path,
            };
        }
    }
}

fn push_field(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&attestry_core::reason::clean(name, 64));
}

/// A place in a document that walks along with the typed value, for messages.
#[derive(Debug, Clone)]
pub(crate) struct At<'a> {
    file: &'a str,
    document: Option<&'a str>,
    node: Option<&'a Node>,
    line: u32,
    column: u32,
    path: String,
}

impl<'a> At<'a> {
    pub(super) fn root(file: &'a str, document: Option<&'a str>, node: &'a Node) -> Self {
        Self { file, document, node: Some(node), line: node.line, column: node.column, path: String::new() }
    }

    /// The place of a field; that of the map itself where the field is absent.
    #[must_use]
    pub(crate) fn field(&self, name: &str) -> Self {
        let mut at = self.clone();
        push_field(&mut at.path, name);
        match self.node.and_then(|node| node.field(name)) {
            Some(field) => (at.node, at.line, at.column) = (Some(&field.node), field.line, field.column),
            None => at.node = None,
        }
        at
    }

    /// The place of an item of a list.
    #[must_use]
    pub(crate) fn index(&self, index: usize) -> Self {
        let mut at = self.clone();
        at.path.push_str(&format!("[{index}]"));
        at.node = match self.node.map(|node| &node.shape) {
            Some(Shape::List(items)) => items.get(index),
            _ => None,
        };
        if let Some(node) = at.node {
            (at.line, at.column) = (node.line, node.column);
        }
        at
    }

    /// Something wrong here.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: self.line,
            column: self.column,
            document: self.document.map(str::to_owned),
            path: self.path.clone(),
            message: message.into(),
            hint: None,
        }
    }
}
