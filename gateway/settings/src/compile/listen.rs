//! Listeners, admin, telemetry, store and drain.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};

use gateway_policy::{Digest, DigestKind};

use super::Context;
use crate::model::{
    AccessLogSettings, AdminSettings, DrainSettings, GatewaySettings, ListenerSettings,
    PermissionSettings, StoreSettings, TelemetrySettings, TlsSettings, TlsVersionSettings,
};
use crate::node::Path;
use crate::settings::{
    AccessLog, Admin, AdminToken, CertificateFiles, ClientCertificates, Drain, Listener,
    ListenerTls, Permissions, Store, Telemetry, TlsVersion, Traces,
};

pub(super) fn listeners(model: &GatewaySettings, context: &mut Context<'_, '_>) -> Vec<Listener> {
    refuse_shared_addresses(model, context);
    let section = Path::Root;
    let section = section.key("listeners");
    for (index, listener) in model.listeners.iter().enumerate() {
        let place = section.index(index);
        if listener.h2c && listener.tls.is_some() {
            let help = "with `tls`, HTTP/2 is served already; remove `h2c`";
            context
                .fault(&place.key("h2c"), "is HTTP/2 without TLS, and this listener has TLS")
                .help(help);
        }
    }
    model.listeners.iter().map(|settings| listener(settings, context.directory)).collect()
}

fn listener(settings: &ListenerSettings, directory: &FilePath) -> Listener {
    Listener {
        address: settings.address.0,
        tls: settings.tls.as_ref().map(|settings| tls(settings, directory)),
        trusted_proxies: settings.trusted_proxies.iter().map(|network| network.0).collect(),
        h2c: settings.h2c,
    }
}

fn tls(settings: &TlsSettings, directory: &FilePath) -> ListenerTls {
    let pair = |certificate: &str, key: &str| CertificateFiles {
        certificate: directory.join(certificate),
        key: directory.join(key),
    };
    let further = settings.certificates.iter();
    ListenerTls {
        main: pair(&settings.certificate, &settings.key),
        further: further.map(|files| pair(&files.certificate, &files.key)).collect(),
        min_version: match settings.min_version {
            TlsVersionSettings::V12 => TlsVersion::V12,
            TlsVersionSettings::V13 => TlsVersion::V13,
        },
        clients: settings.client_certificates.as_ref().map(|clients| ClientCertificates {
            ca: directory.join(&clients.ca),
            required: clients.required,
        }),
    }
}

/// Two listeners at one address: the second would fail to start, or steal from the first.
fn refuse_shared_addresses(model: &GatewaySettings, context: &mut Context<'_, '_>) {
    let root = Path::Root;
    let (listeners, admin, telemetry) =
        (root.key("listeners"), root.key("admin"), root.key("telemetry"));
    let items: Vec<Path<'_>> =
        (0..model.listeners.len()).map(|index| listeners.index(index)).collect();
    let mut known: Vec<(SocketAddr, String)> = Vec::new();
    let all = items
        .iter()
        .zip(model.listeners.iter().map(|listener| listener.address.0))
        .chain([(&admin, model.admin.address.0), (&telemetry, model.telemetry.address.0)]);
    for (place, address) in all {
        let path = place.key("address");
        if let Some((_, other)) = known.iter().find(|(other, _)| overlap(*other, address)) {
            let message = format!("`{address}` is taken by `{other}`");
            context.fault(&path, message).help("give each listener an address of its own");
        }
        known.push((address, path.resolve(context.root).text));
    }
}

/// Port 0 is a new port each time; an unspecified address takes the port on all of its family.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    let same = a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()));
    one.port() == other.port() && one.port() != 0 && same
}

pub(super) fn admin(settings: &AdminSettings, context: &mut Context<'_, '_>) -> Admin {
    let section = Path::Root;
    let section = section.key("admin");
    if !settings.address.0.ip().is_loopback() {
        context
            .warning(&section.key("address"), "admin tokens cross this address as they are")
            .help("keep it on loopback, or behind something that speaks TLS");
    }
    let tokens_place = section.key("tokens");
    let mut digests = HashMap::new();
    let mut tokens = Vec::new();
    for (name, token) in settings.tokens.iter() {
        let place = tokens_place.key(name);
        context.check_name(&place, name);
        let digest = token.digest.0;
        if digest.kind() != DigestKind::Sha256 {
            let help = "put `sha256:` and the output of `printf %s \"$TOKEN\" | sha256sum` here";
            context
                .fault(&place.key("digest"), "an admin token's digest is plain SHA-256")
                .help(help);
        }
        if digest == Digest::sha256(b"") {
            context
                .fault(&place.key("digest"), "is the digest of no text at all")
                .help("the variable was empty when the digest was made: set it, and make it again");
        }
        if let Some(other) = digests.insert(digest, name) {
            context
                .fault(&place.key("digest"), format!("is the digest of the token `{other}` too"))
                .help("give each token a text of its own");
        }
        let may = |permission| token.permissions.contains(&permission);
        let permissions = Permissions {
            keys: may(PermissionSettings::Keys),
            data: may(PermissionSettings::Data),
            accounts: may(PermissionSettings::Accounts),
        };
        tokens.push(AdminToken { name: name.into(), digest, permissions });
    }
    Admin { address: settings.address.0, tokens }
}

pub(super) fn telemetry(
    settings: &TelemetrySettings,
    traces: Option<Traces>,
    directory: &FilePath,
) -> Telemetry {
    let AccessLogSettings(access_log) = &settings.access_log;
    let access_log = match access_log.as_str() {
        "stdout" => AccessLog::Stdout,
        "off" => AccessLog::Off,
        path => AccessLog::File(directory.join(path)),
    };
    Telemetry { address: settings.address.0, access_log, traces }
}

/// The checker has seen to it that there is exactly one; of none, the default is meant.
pub(super) fn store(settings: &StoreSettings, directory: &FilePath) -> Store {
    let path = |text: &str| -> PathBuf { directory.join(text) };
    match settings {
        StoreSettings { postgres: Some(address), .. } => Store::Postgres(address.clone()),
        StoreSettings { file: Some(file), .. } => Store::File(path(file)),
        StoreSettings { sqlite, .. } => {
            Store::Sqlite(path(sqlite.as_deref().unwrap_or("colonnade.db")))
        }
    }
}

pub(super) fn drain(settings: &DrainSettings) -> Drain {
    Drain { delay_ms: settings.delay.0, grace_ms: settings.grace.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{LookUp, Settings, load};

    struct Nothing;

    impl LookUp for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &FilePath) -> std::io::Result<String> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    fn loaded(text: &str) -> Settings {
        load(text, FilePath::new("gateway.yaml"), &Nothing).unwrap().settings
    }

    /// Who had TLS before there was more to say of it has what it was.
    #[test]
    fn tls_of_a_certificate_and_a_key_is_of_any_version_and_asks_clients_for_nothing() {
        let tls = |members: &str| {
            let text = format!(
                "version: 1\nlisteners: [{{ tls: {{ certificate: a.crt, key: a.key{members} }} }}]\n"
            );
            loaded(&text).listeners[0].tls.clone().unwrap()
        };
        let plain = tls("");
        assert_eq!((plain.certificates().count(), plain.clients.is_some()), (1, false));
        for (members, version) in [
            ("", TlsVersion::V12),
            (", min_version: \"1.2\"", TlsVersion::V12),
            (", min_version: \"1.3\"", TlsVersion::V13),
            (", min_version: 1.3", TlsVersion::V13),
        ] {
            assert_eq!(tls(members).min_version, version, "{members}");
        }
    }

    /// Certificates come with a reload; sockets do not.
    #[test]
    fn only_what_a_socket_is_bound_with_needs_a_restart() {
        let listener = |members: &str| {
            let text =
                format!("version: 1\nlisteners: [{{ address: \"127.0.0.1:1\"{members} }}]\n");
            loaded(&text).listeners[0].clone()
        };
        let plain = listener("");
        let tls = listener(", tls: { certificate: a.crt, key: a.key }");
        for (one, other, expected) in [
            (&plain, listener(""), false),
            (&plain, listener(", h2c: true"), true),
            (&plain, listener(", trusted_proxies: [10.0.0.0/8]"), true),
            (&plain, tls.clone(), true),
            (&tls, plain.clone(), true),
            (
                &tls,
                listener(", tls: { certificate: b.crt, key: b.key, min_version: \"1.3\" }"),
                false,
            ),
        ] {
            assert_eq!(one.needs_restart(&other), expected, "{other:?}");
        }
    }
}
