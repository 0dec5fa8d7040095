//! `tidegate-backoffice`.
fn main() {}
