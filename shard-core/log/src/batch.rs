//! A batch header.
