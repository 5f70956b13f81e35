//! x
/// x
#[derive(Debug)]
pub struct Checker;
