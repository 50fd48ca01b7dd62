//! Pages to read: nothing in here is code.

#[doc = include_str!("guide/production.md")]
pub mod production {}

#[doc = include_str!("guide/cost.md")]
pub mod cost {}

#[doc = include_str!("guide/migrating.md")]
pub mod migrating {}
