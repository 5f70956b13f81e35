//! Nothing: the tests of this crate are those of `tests/tests`, compiled under another edition.
