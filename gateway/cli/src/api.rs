//! The admin API as commands use it: of a running gateway, or of the store that a configuration names.
//!
//! Both are one API. Without `--admin` its routes are called in this process, on the store itself, so
//! that what is checked and written is the same either way, and a running gateway sees it as it sees
//! any other change.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use gateway_admin::{AdminParts, Records, admin_router};
use serde_json::Value;
use tower::ServiceExt;

use crate::exit::{self, Failed};
use crate::feed;
use crate::load::{self, Surroundings};
use crate::node::Offline;
use crate::serve::ADMIN_TOKEN;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// How long a gateway may take to answer: longer than it lets anybody wait.
const TIMEOUT: Duration = Duration::from_secs(70);

/// Where requests go.
pub(crate) enum Api {
    Remote { agent: ureq::Agent, base: String, token: String },
    Local { router: Router, token: String, runtime: tokio::runtime::Runtime },
}

/// An answer, good or not.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Api {
    /// The gateway at an address, or the store of a configuration.
    pub(crate) fn open(admin: Option<&str>, config: &Path) -> Result<Api, Failed> {
        match admin {
            Some(url) => Api::remote(url),
            None => Api::local(config),
        }
    }

    fn remote(url: &str) -> Result<Api, Failed> {
        let token = std::env::var(ADMIN_TOKEN).ok().filter(|token| !token.is_empty());
        let Some(token) = token else {
            let why = format!("--admin needs a token: set {ADMIN_TOKEN}");
            return Err((exit::USAGE, vec![why]));
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .into();
        let base = url.trim_end_matches('/').trim_end_matches("/admin/v1");
        Ok(Api::Remote { agent, base: base.to_owned(), token })
    }

    fn local(config: &Path) -> Result<Api, Failed> {
        let around = Surroundings::default();
        let invalid = |error: load::LoadError| (exit::INVALID_CONFIGURATION, error.lines());
        let text = load::configuration_text(config).map_err(invalid)?;
        let loaded = load::configuration(&text, config, &around).map_err(invalid)?;
        let failed = |error: std::io::Error| (exit::FAILED, vec![error.to_string()]);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(failed)?;
        let records = records(&text, config, &around, &loaded, &runtime)?;
        let token = crate::mint::id("cli_", 0).map_err(failed)?;
        let node = Offline::new(loaded, &token);
        let router = admin_router(AdminParts { records, node: Arc::new(node) });
        Ok(Api::Local { router, token, runtime })
    }

    /// Sends one request; `path` is what follows `/admin/v1`.
    pub(crate) fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failed> {
        let text = body.map(Value::to_string);
        let (status, bytes) = match self {
            Api::Remote { agent, base, token } => {
                let request = Request::builder()
                    .method(method)
                    .uri(format!("{base}/admin/v1{path}"))
                    .header(header::AUTHORIZATION, format!("Bearer {token}"));
                let request = match &text {
                    Some(_) => request.header(header::CONTENT_TYPE, "application/json"),
                    None => request,
                };
                let request = request.body(text.unwrap_or_default()).map_err(odd)?;
                sent(agent, base, request)?
            }
            Api::Local { router, token, runtime } => {
                let request = Request::builder()
                    .method(method)
                    .uri(format!("/admin/v1{path}"))
                    .header(header::AUTHORIZATION, format!("Bearer {token}"));
                let request = match &text {
                    Some(_) => request.header(header::CONTENT_TYPE, "application/json"),
                    None => request,
                };
                let request = request.body(Body::from(text.unwrap_or_default())).map_err(odd)?;
                runtime.block_on(answered(router.clone(), request))?
            }
        };
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, body })
    }
}

fn odd(_: axum::http::Error) -> Failed {
    // What was given is not repeated: it may be a key.
    (exit::USAGE, vec!["an id or an address cannot stand in a request".to_owned()])
}

fn sent(
    agent: &ureq::Agent,
    base: &str,
    request: Request<String>,
) -> Result<(u16, Vec<u8>), Failed> {
    let told = |error: &dyn std::fmt::Display| {
        (exit::FAILED, vec![format!("the gateway at {base} does not answer: {error}")])
    };
    let answer = agent.run(request).map_err(|error| told(&error))?;
    let status = answer.status().as_u16();
    let mut bytes = Vec::new();
    let mut reader = answer.into_body().into_reader().take(ANSWER_BYTES_MAX);
    reader.read_to_end(&mut bytes).map_err(|error| told(&error))?;
    Ok((status, bytes))
}

async fn answered(router: Router, request: Request<Body>) -> Result<(u16, Vec<u8>), Failed> {
    let Ok(answer) = router.oneshot(request).await;
    let status = answer.status().as_u16();
    let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX as usize).await;
    let bytes = bytes.map_err(|error| (exit::FAILED, vec![error.to_string()]))?;
    Ok((status, bytes.to_vec()))
}

fn records(
    text: &str,
    config: &Path,
    around: &Surroundings,
    loaded: &gateway_settings::Loaded,
    runtime: &tokio::runtime::Runtime,
) -> Result<Records, Failed> {
    let Some(path) = load::directory_path(&loaded.settings) else {
        return Ok(Records::Store(feed::store(&loaded.settings, runtime)?));
    };
    let text = load::directory_text(path, text, config)
        .map_err(|error| (exit::STORE_UNREACHABLE, error.lines()))?;
    let read = load::directory(&text, path, around, &loaded.settings.keys)
        .map_err(|error| (exit::INVALID_CONFIGURATION, error.lines()))?;
    Ok(Records::File(Arc::new(move || Arc::clone(&read.directory))))
}
