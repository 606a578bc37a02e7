//! What hands are shaken with, by listeners and with upstreams, exchanged while they serve.
//!
//! It belongs to the configuration: a reload in which a certificate cannot be used changes nothing, and
//! a configuration that waits for one comes into force with it. When only the files have changed, they
//! are judged under the configuration in force. A certificate that is renewed before its key is a fault
//! for as long as the key is the old one, and then no more.
//!
//! Listeners are bound once. One that a configuration does not name any more, or without TLS, goes on with
//! what it had; that it takes a restart is told with the rest.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use gateway_policy::UnixMs;
use gateway_proxy::{Tls, TlsTerms, UpstreamSpec, UpstreamTls, Upstreams};
use gateway_settings::{Fault, Loaded, Settings};

use super::{Publisher, StartError, warn_all};
use crate::load;
use crate::tls::{self, Shown, TlsFiles};
use crate::upstreams::upstream_specs;

/// The listeners as bound, what upstreams must prove, and the files of both.
pub(super) struct Certificates {
    listeners: Vec<(SocketAddr, Option<Arc<Tls>>)>,
    /// One an upstream of the settings in force.
    upstreams: Vec<Option<UpstreamTls>>,
    files: TlsFiles,
    /// Of the configuration in force, to show faults in.
    text: String,
    /// Put in place with the rules that it came with.
    staged: Vec<(SocketAddr, Option<TlsTerms>)>,
    waiting: Option<Waiting>,
}

/// A configuration that is sound but for its TLS files.
struct Waiting {
    text: String,
    files: TlsFiles,
}

/// What is put in place with a configuration.
pub(super) struct Prepared {
    terms: Vec<(SocketAddr, Option<TlsTerms>)>,
    upstreams: Vec<Option<UpstreamTls>>,
    files: TlsFiles,
    warnings: Vec<Fault>,
}

impl Certificates {
    pub(super) fn start(settings: &Settings, shown: Shown<'_>) -> Result<Certificates, StartError> {
        let mut files = TlsFiles::default();
        let read = tls::read(settings, &mut files, shown);
        if !read.is_good() {
            return Err(StartError::Configuration(lines(&read.faults)));
        }
        warn_all(&read.faults);
        let served = |terms: Option<TlsTerms>| terms.map(|terms| Arc::new(Tls::new(terms)));
        let listeners = read.terms.into_iter().map(|(at, terms)| (at, served(terms))).collect();
        Ok(Certificates {
            listeners,
            upstreams: read.upstreams,
            files,
            text: shown.text.into(),
            staged: Vec::new(),
            waiting: None,
        })
    }

    /// Reads what a configuration names, without changing what is served.
    fn prepare(&self, settings: &Settings, shown: Shown<'_>) -> Result<Prepared, Unusable> {
        let mut files = TlsFiles::default();
        let read = tls::read(settings, &mut files, shown);
        if read.is_good() {
            let tls::Read { terms, upstreams, faults } = read;
            Ok(Prepared { terms, upstreams, files, warnings: faults })
        } else {
            Err(Unusable { lines: lines(&read.faults), files })
        }
    }

    /// Takes what a configuration comes with; listeners serve it once [`Certificates::put_staged`] is called.
    pub(super) fn stage(&mut self, prepared: Prepared, text: &str) {
        warn_all(&prepared.warnings);
        self.files = prepared.files;
        self.text = text.into();
        self.staged = prepared.terms;
        self.upstreams = prepared.upstreams;
    }

    pub(super) fn put_staged(&mut self) {
        let terms = std::mem::take(&mut self.staged);
        self.serve(terms);
    }

    /// The nth listener of an address is the nth listener of that address: several may be of port 0.
    fn serve(&self, terms: Vec<(SocketAddr, Option<TlsTerms>)>) {
        let mut left: Vec<_> = terms.into_iter().map(Some).collect();
        for (address, served) in &self.listeners {
            let next =
                left.iter_mut().find(|next| next.as_ref().is_some_and(|(at, _)| at == address));
            let terms = next.and_then(Option::take).and_then(|(_, terms)| terms);
            if let (Some(tls), Some(terms)) = (served, terms) {
                tls.put(terms);
            }
        }
    }

    /// Reads the files of the configuration in force again, and serves with them. Whether those of upstreams
    /// are others than before.
    fn renew(&mut self, settings: &Settings, file: &Path, at: UnixMs) -> Result<bool, Vec<String>> {
        let read = tls::read(settings, &mut self.files, Shown { text: &self.text, file, at });
        if !read.is_good() {
            return Err(lines(&read.faults));
        }
        warn_all(&read.faults);
        self.serve(read.terms);
        let have_changed = self.upstreams != read.upstreams;
        self.upstreams = read.upstreams;
        Ok(have_changed)
    }

    /// The upstreams with what they must prove and are shown.
    pub(super) fn upstream_specs(&self, settings: &Settings) -> Vec<UpstreamSpec> {
        upstream_specs(settings, &self.upstreams)
    }

    pub(super) fn have_changed(&mut self) -> bool {
        self.files.have_changed()
    }

    /// The configuration that waits, when a file that it names has changed.
    pub(super) fn no_longer_waiting(&mut self) -> Option<String> {
        let waits = self.waiting.as_mut()?;
        waits.files.have_changed().then(|| self.waiting.take())?.map(|waiting| waiting.text)
    }
}

/// TLS files that a configuration cannot be served with.
struct Unusable {
    lines: Vec<String>,
    files: TlsFiles,
}

impl Publisher {
    /// What each listener shakes hands with, in the order of the settings.
    pub(crate) fn tls(&self) -> impl Iterator<Item = Option<&Arc<Tls>>> {
        self.certificates.listeners.iter().map(|(_, tls)| tls.as_ref())
    }

    /// Parses a configuration and reads its certificates, without changing what is served.
    pub(super) fn load(&mut self, text: &str) -> Result<(Loaded, Prepared), Vec<String>> {
        // Whatever waits is older.
        self.certificates.waiting = None;
        let file = self.config.path();
        let loaded =
            load::configuration(text, file, &self.around).map_err(|error| error.lines())?;
        let shown = Shown { text, file, at: self.clock.wall() };
        match self.certificates.prepare(&loaded.settings, shown) {
            Ok(prepared) => Ok((loaded, prepared)),
            Err(Unusable { lines, files }) => {
                if text == self.certificates.text {
                    // The same files wait with it: their change is told by now.
                    self.certificates.have_changed();
                }
                self.certificates.waiting = Some(Waiting { text: text.into(), files });
                Err(lines)
            }
        }
    }

    /// Serves with certificates that have changed. Behind a configuration that is faulty only what is
    /// new is told, beside its faults.
    pub(super) fn take_certificates(&mut self, is_good: bool) {
        let told = if is_good { Vec::new() } else { self.shown().faults };
        let (file, at) = (self.config.path(), self.clock.wall());
        let news = match self.certificates.renew(&self.settings, file, at) {
            Ok(are_others) => {
                tracing::info!("serving with the certificates that are there now");
                if are_others {
                    self.renew_upstreams();
                }
                Vec::new()
            }
            Err(news) => news,
        };
        let mut faults = told.clone();
        faults.extend(news.into_iter().filter(|fault| !told.contains(fault)));
        if is_good || faults.len() > told.len() {
            let outcome = self.outcome_of(faults, self.shown().left_out);
            self.tell(&outcome);
        }
    }

    /// Publishes what is in force with the TLS files of upstreams as they are now.
    fn renew_upstreams(&mut self) {
        let before = self.published.current();
        let upstreams = self.upstreams_after(&before.upstreams);
        self.put(before.snapshot.keys.clone(), upstreams, Arc::clone(&before.docs));
    }

    /// The upstreams of the settings in force; what is known of those before goes on.
    pub(super) fn upstreams_after(&self, before: &Upstreams) -> Arc<Upstreams> {
        let specs = self.certificates.upstream_specs(&self.settings);
        Arc::new(Upstreams::build(specs, Some(before)))
    }
}

fn lines(faults: &[Fault]) -> Vec<String> {
    faults.iter().filter(|fault| !fault.warning).map(Fault::to_string).collect()
}
