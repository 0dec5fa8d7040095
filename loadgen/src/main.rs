//! Part of Tidegate.
fn main() {}
