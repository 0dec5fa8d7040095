//! The database did not answer.

use std::error::Error;
use std::fmt;

/// Why a call was not answered, in the database's words. A write may have been done.
#[derive(Debug)]
pub struct RowsError(Box<dyn Error + Send + Sync>);

impl RowsError {
    /// From the database's own error, or a sentence.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> RowsError {
        RowsError(error.into())
    }
}

impl fmt::Display for RowsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for RowsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
