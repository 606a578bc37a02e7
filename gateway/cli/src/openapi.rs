//! `colonnade openapi`: the customers' reference of a configuration, as the gateway serves it.

use std::path::Path;

use gateway_proxy::Docs;

use crate::load::{self, Surroundings};
use crate::{exit, terminal};

pub(crate) fn run(config: &Path) -> u8 {
    let around = Surroundings::default();
    let loaded = load::configuration_text(config)
        .and_then(|text| load::configuration(&text, config, &around));
    match loaded {
        Ok(loaded) => {
            println!("{}", String::from_utf8_lossy(Docs::build(&loaded.rules).openapi()));
            exit::OK
        }
        Err(error) => {
            error.lines().iter().for_each(|line| eprintln!("{}", terminal::body(line)));
            exit::INVALID_CONFIGURATION
        }
    }
}
