//! What black-box tests stand on: a real gateway process, upstreams that write exact bytes, and a
//! client that reads them.
//!
//! Nothing here knows the product's crates: what is checked is what the outside sees. Ports are
//! chosen by the kernel; every wait has an end and looks at an effect, never at the clock alone.

pub(crate) mod accepting;
pub(crate) mod answer;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod directory;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod lines;
pub(crate) mod modern;
pub(crate) mod postgres;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stored;
pub(crate) mod upstream;
pub(crate) mod waiting;

pub(crate) use answer::Answer;
pub(crate) use client::Connection;
pub(crate) use config::Config;
pub(crate) use directory::{Directory, Key};
pub(crate) use gateway::Gateway;
pub(crate) use reply::{Gate, Reply};
pub(crate) use upstream::Upstream;
