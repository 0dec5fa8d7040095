//! What the shop asks of its database, by nouns: [`Orders`] and [`Skus`], which follow the log and are only read here, [`Charges`], the
//! [`Books`] of the provider `simulated`, and [`Imports`]. No database and no runtime: a store implements the traits, and the shop is one
//! implementation over them.
//!
//! **Each call is one transaction**: all of it is durable when it answers, or, after an error, all or nothing of it. Several processes may
//! ask the same database at once, so a call that moves a row on says where it saw the row, and does nothing if it stands elsewhere.
//! Dropping a call leaves it done or not done.

mod books;
mod charges;
mod error;
mod imports;
mod orders;
mod skus;
#[cfg(feature = "suite")]
pub mod suite;

use std::future::Future;
use std::pin::Pin;

pub use books::{Book, Books, Decision, Standing};
pub use charges::{CHARGES_MAX, Callback, Charge, ChargeStatus, Charges, FIRST_LOOK_MS};
pub use error::RowsError;
pub use imports::{
    DRIVER_LEASE_MS, Driver, FAILURES_SHOWN, FINISHED_MAX, Failure, ImportRow, ImportState, Imports, Part,
    Taken, UPLOADS_MAX,
};
pub use orders::{Filter, Orders, StepRow};
pub use skus::{SEARCH_ESCAPE, Skus, escaped};

/// What a call gives.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RowsError>> + Send + 'a>>;

/// Everything that the shop asks of its database.
pub trait Rows: Orders + Skus + Charges + Books + Imports {}

impl<T: Orders + Skus + Charges + Books + Imports> Rows for T {}
