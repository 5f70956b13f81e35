//! The shape of a graph: how many nodes, which follow which.
//!
//! `GraphFlow` keeps its graph to itself; what it shows of it is the graph in DOT.

use std::collections::HashSet;
use std::sync::Arc;

use apalis_core::backend::{Backend, WireFormatBackend};
use apalis_workflow::GraphFlow;

use crate::ends::Ends;

/// What a worker has to know of the graph that it runs.
#[derive(Debug, Clone)]
pub struct Orchestration {
    shape: Arc<Shape>,
    pub(crate) ends: Ends,
}

#[derive(Debug)]
struct Shape {
    name: String,
    /// By index: the node's name, the nodes that follow it, and how many come after it, nearest or farthest.
    nodes: Vec<Node>,
    /// Those that follow none.
    first: Vec<usize>,
}

#[derive(Debug, Default)]
struct Node {
    name: String,
    unit: String,
    next: Vec<usize>,
    after: u64,
}

/// Why a graph cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// It has no nodes.
    #[error("the graph `{0}` has no nodes")]
    Empty(String),
    /// It ends in several nodes, so that no single moment is its end.
    #[error("the graph `{graph}` ends in {}: add one node that depends on them all, for a task ends once", .ends.join(", "))]
    SeveralEnds {
        /// The graph.
        graph: String,
        /// The nodes that nothing follows.
        ends: Vec<String>,
    },
    /// The text that apalis gives of it could not be read.
    #[error("the graph `{0}` could not be read from its DOT: is this apalis newer than 1.0?")]
    Unreadable(String),
}

impl Orchestration {
    /// The shape of that graph. Ask before the worker's builder consumes it.
    ///
    /// # Errors
    /// [`ShapeError`] for a graph without nodes, or with several ends.
    pub fn of<B>(graph: &GraphFlow<B>) -> Result<Self, ShapeError>
    where
        B: Backend + WireFormatBackend,
    {
        // "Graph name: x\nDot format:\n..." is how it shows itself.
        let shown = graph.to_string();
        let name = shown.lines().next().and_then(|line| line.strip_prefix("Graph name: ")).unwrap_or_default();
        Self::read(name, &graph.to_dot())
    }

    fn read(name: &str, dot: &str) -> Result<Self, ShapeError> {
        let mut nodes = Vec::new();
        for line in dot.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let unreadable = || ShapeError::Unreadable(name.to_owned());
            match words.as_slice() {
                [from, "->", to, ..] => {
                    let (from, to) = (from.parse::<usize>().ok(), to.parse::<usize>().ok());
                    let (Some(from), Some(to)) = (from, to) else { return Err(unreadable()) };
                    let node: &mut Node = nodes.get_mut(from).ok_or_else(unreadable)?;
                    node.next.push(to);
                }
                [index, "[", ..] => {
                    let label = line.split_once("label=\"").and_then(|(_, rest)| rest.rsplit_once('"'));
                    let (Ok(index), Some((label, _))) = (index.parse::<usize>(), label) else {
                        return Err(unreadable());
                    };
                    if index != nodes.len() {
                        return Err(unreadable());
                    }
                    nodes.push(Node { name: label.to_owned(), unit: format!("{label}#{index}"), ..Node::default() });
                }
                _ => {}
            }
        }
        let all = nodes.len();
        if nodes.iter().any(|node| node.next.iter().any(|next| *next >= all)) {
            return Err(ShapeError::Unreadable(name.to_owned()));
        }
        let ends: Vec<_> = nodes.iter().filter(|node| node.next.is_empty()).map(|node| node.name.clone()).collect();
        match ends.len() {
            0 => return Err(ShapeError::Empty(name.to_owned())),
            1 => {}
            _ => return Err(ShapeError::SeveralEnds { graph: name.to_owned(), ends }),
        }
        let after: Vec<_> = (0..all).map(|node| reachable(&nodes, node)).collect();
        for (node, after) in nodes.iter_mut().zip(after) {
            node.after = after;
        }
        let followers: HashSet<_> = nodes.iter().flat_map(|node| &node.next).copied().collect();
        let first = (0..all).filter(|node| !followers.contains(node)).collect();
        Ok(Self { shape: Arc::new(Shape { name: name.to_owned(), nodes, first }), ends: Ends::default() })
    }

    /// Lets the processes that run it agree in that store on how a task ended, and stop where an operator cancelled it.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[must_use]
    pub fn store(mut self, store: &tasker_telemetry::store::Store) -> Self {
        self.ends = Ends::in_store(store.clone());
        self
    }

    /// The graph's name: that of a task which nobody began with [`start_task`](crate::start_task).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shape.name
    }

    /// How many nodes it has.
    #[must_use]
    pub fn node_count(&self) -> u64 {
        self.shape.nodes.len() as u64
    }

    /// The nodes that follow that one.
    pub(crate) fn next(&self, node: usize) -> &[usize] {
        self.shape.nodes.get(node).map_or(&[], |node| &node.next)
    }

    /// The nodes that follow none.
    pub(crate) fn first(&self) -> &[usize] {
        &self.shape.first
    }

    /// How many nodes come after that one.
    pub(crate) fn after(&self, node: usize) -> u64 {
        self.shape.nodes.get(node).map_or(0, |node| node.after)
    }

    /// What we call a node towards the life cycle: its name and index, so that two nodes of one name stay two.
    pub(crate) fn unit(&self, node: usize) -> &str {
        self.shape.nodes.get(node).map_or("", |node| &node.unit)
    }
}

fn reachable(nodes: &[Node], from: usize) -> u64 {
    let mut seen = HashSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        open.extend(nodes[node].next.iter().filter(|next| seen.insert(**next)));
    }
    seen.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIAMOND: &str = r#"digraph {
    0 [ label="fetch"]
    1 [ label="left -> \"b\""]
    2 [ label="right"]
    3 [ label="join"]
    0 -> 1 [ ]
    0 -> 2 [ ]
    1 -> 3 [ ]
    2 -> 3 [ ]
}
"#;

    #[test]
    fn the_shape_is_read_from_the_dot() {
        let graph = Orchestration::read("diamond", DIAMOND).unwrap();
        assert_eq!((graph.name(), graph.node_count(), graph.first()), ("diamond", 4, [0].as_slice()));
        assert_eq!((graph.next(0), graph.next(3)), ([1, 2].as_slice(), [].as_slice()));
        assert_eq!([0, 1, 2, 3, 9].map(|node| graph.after(node)), [3, 1, 1, 0, 0]);
        assert_ne!(graph.unit(1), graph.unit(2));
    }

    #[test]
    fn a_graph_needs_one_end() {
        assert_eq!(Orchestration::read("g", "digraph {\n}\n").unwrap_err(), ShapeError::Empty("g".to_owned()));
        let two = "digraph {\n 0 [ label=\"a\"]\n 1 [ label=\"b\"]\n}\n";
        let error = Orchestration::read("g", two).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the graph `g` ends in a, b: add one node that depends on them all, for a task ends once"
        );
        let strange = "digraph {\n 3 [ label=\"a\"]\n}\n";
        assert_eq!(Orchestration::read("g", strange).unwrap_err(), ShapeError::Unreadable("g".to_owned()));
    }
}
