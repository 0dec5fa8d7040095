//! Part of Tidegate.
