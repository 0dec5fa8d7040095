//! What can go wrong with the cache.

use std::fmt;

/// Why something that only Redis can do was not done.
#[derive(Debug)]
pub enum CacheError {
    /// A setting cannot be used: a line that names it.
    Settings(String),
    /// A key or an argument cannot be used: a line that names it.
    Argument(String),
    /// Redis cannot be reached, did not answer in time, or refused. Whether it was done is unknown.
    Redis(String),
    /// No random bytes.
    Random(String),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheError::Settings(line) | CacheError::Argument(line) => f.write_str(line),
            CacheError::Redis(line) => write!(f, "Redis: {line}"),
            CacheError::Random(line) => write!(f, "no random bytes: {line}"),
        }
    }
}

impl std::error::Error for CacheError {}

/// Why a value was not read. Redis is never the reason: without it the loader is asked.
#[derive(Debug)]
pub enum GetError<E> {
    /// The key cannot be used.
    Key(CacheError),
    /// The loader's own word, shared by all that waited for this load.
    Load(E),
    /// The load took longer than `load_timeout`.
    TimedOut,
    /// As many loads as `loads_max` are under way, and none ended within `load_timeout`. The source is overloaded.
    Busy,
    /// The value cannot be written as JSON, or is not of the type that was asked for: one key is read as two types.
    Shape(String),
}

impl<E: fmt::Display> fmt::Display for GetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::Key(error) => fmt::Display::fmt(error, f),
            GetError::Load(error) => fmt::Display::fmt(error, f),
            GetError::TimedOut => f.write_str("the load took longer than load_timeout"),
            GetError::Busy => f.write_str("too many loads are under way (loads_max), try again later"),
            GetError::Shape(line) => write!(f, "the value's shape: {line}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for GetError<E> {}
