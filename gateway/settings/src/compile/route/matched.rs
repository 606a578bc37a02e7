//! `match:`, a route's methods and pattern.

use gateway_policy::{Pattern, Reserved};
use http::Method;

use super::Reader;
use crate::compile::Context;
use crate::node::Path;
use crate::report::nearest;

const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

impl Reader<'_> {
    /// `METHOD[|METHOD] /pattern`.
    pub(super) fn matched(&self, context: &mut Context<'_, '_>) -> Option<(Vec<Method>, Pattern)> {
        let place = self.place.key("match");
        let text = self.settings.pattern.as_deref()?;
        let Some((methods, pattern)) = text.split_once(' ') else {
            let help = "for example `GET /api/calls` or `GET|POST /api/contacts`";
            context.fault(&place, format!("`{text}` has no method and path")).help(help);
            return None;
        };
        let methods = self.methods(methods, &place, context);
        let pattern = match Pattern::parse(pattern) {
            Ok(pattern) => {
                self.refuse_reserved(&pattern, &place, context);
                Some(pattern)
            }
            Err(error) => {
                let help = "for example `/api/calls/{id}`, `/api/calls/{id:int}` or `/files/**`";
                context.fault(&place, error.to_string()).help(help);
                None
            }
        };
        Some((methods?, pattern?))
    }

    fn methods(
        &self,
        text: &str,
        place: &Path<'_>,
        context: &mut Context<'_, '_>,
    ) -> Option<Vec<Method>> {
        let mut methods = Vec::new();
        for word in text.split('|') {
            let Some(method) = METHODS.into_iter().find(|method| method.as_str() == word) else {
                let known = METHODS.each_ref().map(Method::as_str);
                let help = nearest(word, known).map(|near| format!("did you mean `{near}`?"));
                let help = help.unwrap_or_else(|| {
                    format!("known here: {}; several are joined by `|`", known.join(", "))
                });
                context.fault(place, format!("`{word}` is no method")).help(help);
                return None;
            };
            if methods.contains(&method) {
                context.fault(place, format!("`{method}` is there twice")).help("name each once");
                return None;
            }
            methods.push(method);
        }
        Some(methods)
    }

    fn refuse_reserved(&self, pattern: &Pattern, place: &Path<'_>, context: &mut Context<'_, '_>) {
        let Reserved { key, docs } = self.tables.reserved;
        let path = pattern.as_str();
        let below_docs = |docs: &str| {
            path.strip_prefix(docs).is_some_and(|rest| matches!(rest, "" | "/openapi.json"))
        };
        let name = if key.as_deref() == Some(path) {
            "key"
        } else if docs.as_deref().is_some_and(below_docs) {
            "docs"
        } else {
            return;
        };
        let help = format!("move it with `reserved: {{ {name}: … }}`, or switch it `off`");
        context.fault(place, format!("`{path}` is answered by the gateway itself")).help(help);
    }
}
