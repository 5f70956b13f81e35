//! Nothing: the tests of this crate use the library under another name.
