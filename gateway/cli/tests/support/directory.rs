//! Key texts, and directories of accounts, users and keys that hold their digests.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// A key as its bearer holds it, and the record that the directory has of it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    /// What is presented.
    pub(crate) text: String,
    record: Map<String, Value>,
}

impl Key {
    /// A key of the vendor's shape, `avoca_` and 64 hex digits; the same id gives the same text.
    pub(crate) fn new(id: &str, scopes: &[&str]) -> Key {
        Key::with_text(
            id,
            &format!("avoca_{}", sha256(format!("secret of {id}").as_bytes())),
            scopes,
        )
    }

    pub(crate) fn with_text(id: &str, text: &str, scopes: &[&str]) -> Key {
        let key = Key { id: id.into(), text: text.into(), record: Map::new() };
        key.with("digest", format!("sha256:{}", sha256(text.as_bytes())))
            .with("name", id)
            .with("scopes", scopes)
    }

    /// Sets a member of the record; null takes it away.
    #[must_use]
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Key {
        match value.into() {
            Value::Null => self.record.remove(member),
            value => self.record.insert(member.into(), value),
        };
        self
    }

    /// The member `limits` of one window by the name `minute`.
    #[must_use]
    pub(crate) fn limited(self, requests: u32, window: &str) -> Key {
        self.with("limits", json!({ "minute": { "requests": requests, "window": window } }))
    }
}

/// Lower-case hex of the SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lower-case hex of the HMAC-SHA-256 (RFC 2104) of `text` under a key of at most 64 bytes.
pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> String {
    let pad = |with: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect()
    };
    let inner = Sha256::digest([pad(0x36).as_slice(), text].concat());
    sha256(&[pad(0x5c).as_slice(), &inner].concat())
}

/// A directory file in the making. One account, `acme`, unless told otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    accounts: Vec<(String, Map<String, Value>)>,
    keys: Vec<(String, Key)>,
}

impl Directory {
    /// `acme` on the plan `enterprise` with the teams 101 and 102, the active user `u_ann`, and `keys`.
    pub(crate) fn of(keys: impl IntoIterator<Item = Key>) -> Directory {
        let acme = json!({
            "name": "Acme Heating",
            "plan": "enterprise",
            "teams": [101, 102],
            "users": { "u_ann": { "email": "ann@acme.test", "active": true } },
        });
        keys.into_iter().fold(Directory::empty().account("acme", acme), |directory, key| {
            directory.key("acme", key)
        })
    }

    pub(crate) fn empty() -> Directory {
        Directory { accounts: Vec::new(), keys: Vec::new() }
    }

    /// Adds an account, or takes the place of one.
    #[must_use]
    pub(crate) fn account(mut self, id: &str, record: Value) -> Directory {
        let Value::Object(record) = record else { panic!("an account is an object") };
        self.accounts.retain(|(known, _)| known != id);
        self.accounts.push((id.into(), record));
        self
    }

    /// Sets a member of `acme`; null takes it away.
    #[must_use]
    pub(crate) fn acme(mut self, member: &str, value: impl Into<Value>) -> Directory {
        let record = self
            .accounts
            .iter_mut()
            .find(|(id, _)| id == "acme")
            .map(|(_, record)| record)
            .unwrap();
        match value.into() {
            Value::Null => record.remove(member),
            value => record.insert(member.into(), value),
        };
        self
    }

    /// Adds a key to an account, or takes the place of the one with its id.
    #[must_use]
    pub(crate) fn key(mut self, account: &str, key: Key) -> Directory {
        self.keys.retain(|(_, known)| known.id != key.id);
        self.keys.push((account.into(), key));
        self
    }

    #[must_use]
    pub(crate) fn without_key(mut self, id: &str) -> Directory {
        self.keys.retain(|(_, known)| known.id != id);
        self
    }

    /// The texts that no log may ever hold.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.keys.iter().map(|(_, key)| key.text.clone()).collect()
    }

    /// With one more key, in the first account, that tells when this text is in force.
    #[must_use]
    pub(crate) fn marked(&self, mark: &Key) -> Directory {
        let account = self.accounts.first().map(|(id, _)| id.clone()).expect("an account");
        self.clone().key(&account, mark.clone())
    }

    /// The file's text, in JSON, which is YAML too.
    pub(crate) fn text(&self) -> String {
        let accounts: Map<String, Value> = self
            .accounts
            .iter()
            .map(|(id, record)| {
                let keys = self.keys.iter().filter(|(account, _)| account == id);
                let keys: Map<String, Value> = keys
                    .map(|(_, key)| (key.id.clone(), Value::Object(key.record.clone())))
                    .collect();
                let mut record = record.clone();
                record.insert("keys".into(), Value::Object(keys));
                (id.clone(), Value::Object(record))
            })
            .collect();
        serde_json::to_string_pretty(&json!({ "version": 1, "accounts": accounts })).unwrap()
    }
}
