//! What keys look like and carry: form, carriers, pepper, scopes.

use gateway_policy::{Carrier, Pepper, ScopeError, ScopeTable};

use super::Context;
use crate::model::{AlphabetSettings, CarrierSettings, DataScopeSettings, KeysSettings, Named};
use crate::node::Path;
use crate::settings::{Alphabet, KeyForm};

/// Fewest characters of a body: 128 random bits, and base62's checksum of six.
const HEX_LENGTH_MIN: u32 = 32;
const BASE62_LENGTH_MIN: u32 = 28;

pub(super) fn key_form(settings: &KeysSettings, context: &mut Context<'_, '_>) -> KeyForm {
    let section = Path::Root;
    let section = section.key("keys");
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !settings.prefix.bytes().all(plain) {
        let message = format!("`{}` is no prefix of keys", settings.prefix);
        context.fault(&section.key("prefix"), message).help("letters, digits, `_` and `-`");
    }
    let least = match settings.body.alphabet {
        AlphabetSettings::Hex => HEX_LENGTH_MIN,
        AlphabetSettings::Base62 => BASE62_LENGTH_MIN,
    };
    if settings.body.length < least {
        let path = section.key("body");
        let message = format!(
            "{} is below the minimum of {least}, which is 128 random bits",
            settings.body.length
        );
        context.fault(&path.key("length"), message).help(format!("from {least} to 128"));
    }
    if settings.accept.contains(&CarrierSettings::Basic) && !settings.pair {
        context
            .warning(
                &section.key("accept"),
                "`basic` carries KEY:SECRET, and new keys are not pairs",
            )
            .help("set `pair: true`, or import pairs by their digest");
    }
    KeyForm::from(settings)
}

impl From<&KeysSettings> for KeyForm {
    fn from(settings: &KeysSettings) -> KeyForm {
        KeyForm {
            prefix: settings.prefix.clone(),
            alphabet: match settings.body.alphabet {
                AlphabetSettings::Hex => Alphabet::Hex,
                AlphabetSettings::Base62 => Alphabet::Base62,
            },
            length: settings.body.length as usize,
            pair: settings.pair,
            live_max: settings.live_max,
            data_scope_required: settings.data_scope == DataScopeSettings::Required,
            pepper: settings.pepper.clone(),
        }
    }
}

pub(super) fn carriers(settings: &KeysSettings) -> Vec<Carrier> {
    let carrier = |settings: &CarrierSettings| match settings {
        CarrierSettings::Bearer => Carrier::Bearer,
        CarrierSettings::XApiKey => Carrier::XApiKey,
        CarrierSettings::Basic => Carrier::Basic,
    };
    settings.accept.iter().map(carrier).collect()
}

pub(super) fn pepper(settings: &KeysSettings, context: &mut Context<'_, '_>) -> Option<Pepper> {
    let secret = settings.pepper.as_ref()?;
    let pepper = Pepper::new(secret.reveal().as_bytes());
    if pepper.is_none() {
        let section = Path::Root;
        let section = section.key("keys");
        let message = format!("is shorter than {} bytes", Pepper::BYTES_MIN);
        context.fault(&section.key("pepper"), message).help("make one with `openssl rand -hex 32`");
    }
    pepper
}

pub(super) fn scopes(settings: &Named<String>, context: &mut Context<'_, '_>) -> ScopeTable {
    let section = Path::Root;
    let section = section.key("scopes");
    let faults = match ScopeTable::new(settings.iter().map(|(scope, text)| (scope, text.as_str())))
    {
        Ok(table) => return table,
        Err(faults) => faults,
    };
    let names: Vec<&str> = settings.names().collect();
    for (index, error) in &faults {
        let Some(name) = names.get(*index) else { continue };
        let help = match error {
            ScopeError::Malformed { .. } => {
                "for example `calls:read`: lower-case letters, digits, `_`, `.` and `-`"
            }
            ScopeError::Twice { .. } => "`read:calls` and `calls:read` are the same",
            _ => "remove those that no route asks for",
        };
        context.fault_of_key(&section.key(name), error.to_string()).help(help);
    }
    // The sound ones, so that routes are judged by what is meant.
    let faulty = |index: usize| faults.iter().any(|(other, _)| *other == index);
    let sound = settings.iter().enumerate().filter(|(index, _)| !faulty(*index));
    for (index, _) in &faults {
        if let Some(name) = names.get(*index) {
            context.report.spoil(format!("scopes.{name}"));
        }
    }
    ScopeTable::new(sound.map(|(_, (scope, text))| (scope, text.as_str()))).unwrap_or_default()
}
