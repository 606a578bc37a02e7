//! When the certificates of listeners end, as a metric: an alert comes before the first client complains.
//!
//! Read from what is shown to clients at every look at the metrics. Labels: addresses of listeners as
//! configured, and first names of certificates, of which settings bound the number.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::tls::Tls;

/// Listeners with TLS, by their addresses.
struct CertificateMetrics {
    listeners: Vec<(String, Arc<Tls>)>,
    descriptions: Vec<Desc>,
}

fn gauges() -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(
        Opts::new(
            "colonnade_tls_certificate_expiry_timestamp_seconds",
            "When a listener's certificate ends, in seconds since the epoch.",
        ),
        &["listener", "certificate"],
    )
}

/// Registers the metric of listeners, each with its address as configured.
///
/// # Errors
/// When its name is taken already.
pub fn register_certificates(
    registry: &Registry,
    listeners: Vec<(String, Arc<Tls>)>,
) -> prometheus::Result<()> {
    let descriptions = gauges()?.desc().into_iter().cloned().collect();
    registry.register(Box::new(CertificateMetrics { listeners, descriptions }))
}

impl Collector for CertificateMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(gauges) = gauges() else { return Vec::new() };
        // Several certificates for one name: the first to end is the one to speak of.
        let mut ends: BTreeMap<(&str, String), i64> = BTreeMap::new();
        for (address, tls) in &self.listeners {
            for end in tls.ends() {
                let at_s = ends.entry((address, end.certificate)).or_insert(i64::MAX);
                *at_s = end.at_s.min(*at_s);
            }
        }
        for ((address, certificate), at_s) in ends {
            gauges.with_label_values(&[address, &certificate]).set(at_s);
        }
        gauges.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use prometheus::TextEncoder;

    use super::*;
    use crate::certificate::tests::certificate;
    use crate::tls::tests::terms;

    #[test]
    fn each_certificate_has_its_end_by_name_or_by_place() {
        let registry = Registry::new();
        let all = [&["a.test"][..], &["b.test", "c.test"], &[], &["a.test"]];
        let tls = Arc::new(Tls::new(terms(all.map(certificate).into())));
        register_certificates(&registry, vec![("[::]:443".into(), Arc::clone(&tls))]).unwrap();
        let shown = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for certificate in ["a.test", "b.test", "2"] {
            let line = format!(
                "colonnade_tls_certificate_expiry_timestamp_seconds{{certificate=\"{certificate}\",\
                 listener=\"[::]:443\"}} 1577923200\n"
            );
            assert_eq!(shown().matches(&line).count(), 1, "{}", shown());
        }
        tls.put(terms(vec![certificate(&["d.test"])]));
        assert!(shown().contains("\"d.test\"") && !shown().contains("\"a.test\""), "{}", shown());
    }
}
