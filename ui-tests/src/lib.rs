//! Nothing: the tests of this crate compile the files under `ui` and compare what the compiler says.
