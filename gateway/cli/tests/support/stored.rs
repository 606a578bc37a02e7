//! A gateway on a store, and its admin API as an admin uses it.

use serde_json::{Value, json};

use super::gateway::{ADMIN_TOKEN, Launch};
use super::request::Request;
use super::{Answer, Config, Gateway, Upstream};

/// A gateway whose directory is a store, with the account `acme` in it.
pub(crate) struct Stored {
    pub(crate) gateway: Gateway,
}

/// A key that the admin API made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) text: String,
}

impl Stored {
    /// On a SQLite database of its own.
    pub(crate) fn start(upstream: &Upstream) -> Stored {
        Stored::with(&Config::with_upstream(upstream))
    }

    /// On the SQLite database, with the other sections of a configuration.
    pub(crate) fn with(config: &Config) -> Stored {
        let stored = Stored::empty(&config.clone().section("store", "{ sqlite: colonnade.db }"));
        stored.fill();
        stored
    }

    /// On whatever store the configuration names, as it is.
    pub(crate) fn empty(config: &Config) -> Stored {
        Stored { gateway: Launch::files(&config.text(), "").start() }
    }

    /// Makes the account `acme` and its user.
    pub(crate) fn fill(&self) {
        let stored = self;
        let acme = json!({ "id": "acme", "name": "Acme Heating", "plan": "enterprise", "teams": ["101", "102"] });
        stored.good("POST", "/accounts", &acme);
        let ann = json!({ "email": "ann@acme.test", "active": true });
        stored.good("PUT", "/accounts/acme/users/u_ann", &ann);
    }

    /// One request to the admin API; null is no body.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &Value) -> Answer {
        let mut request =
            Request::new(self.gateway.admin_address(), method, &format!("/admin/v1{path}"))
                .header("Authorization", &format!("Bearer {ADMIN_TOKEN}"));
        if !body.is_null() {
            request = request.body(&body.to_string());
        }
        request.send()
    }

    /// One that must succeed.
    pub(crate) fn good(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.admin(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path} {body}: {}", answer.text());
        answer.json()
    }

    pub(crate) fn read(&self, path: &str) -> Value {
        self.good("GET", path, &Value::Null)
    }

    /// A key of `acme`. No log may hold it from now on.
    pub(crate) fn create(&mut self, body: &Value) -> Made {
        let made = self.good("POST", "/accounts/acme/keys", body);
        self.made(&made)
    }

    /// A key that may read calls, of the team 101.
    pub(crate) fn create_reader(&mut self, name: &str) -> Made {
        self.create(&json!({ "name": name, "scopes": ["calls:read"], "teams": ["101"] }))
    }

    pub(crate) fn made(&mut self, answer: &Value) -> Made {
        let text = |member: &str| answer[member].as_str().expect(member).to_owned();
        let made = Made { id: text("id"), text: text("key") };
        self.gateway.keep_key_secret(&made.text);
        made
    }

    /// What a request with the key comes to.
    pub(crate) fn status(&self, key: &Made) -> u16 {
        self.ask(key, "/api/calls").status
    }

    pub(crate) fn ask(&self, key: &Made, target: &str) -> Answer {
        let bearer = format!("Bearer {}", key.text);
        self.gateway.get(target).header("Authorization", &bearer).send()
    }
}
