//! Rules as sentences; `world.rs` is the bench they run on.

mod chaos;
mod cross;
mod end;
mod golden;
mod hostile;
mod pay;
mod place;
mod sale_over;
mod stock;
mod world;
