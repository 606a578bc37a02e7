//! Bodies that upstreams answer with.

/// One call of team 101, nobody's secret, as a list.
pub(crate) const CALLS: &str = r#"{"data":[{"call_id":"call_1","created_at":"2026-08-04T13:05:00.42763Z","duration_seconds":61,"customer":{"name":"Hidden Person"},"phone_number":"+15550100","user_email":"ann@acme.test","assistant_id":"asst_1","is_private":false,"team_id":101}],"pagination":{"limit":100,"offset":0,"has_more":false}}"#;

/// The same call alone.
pub(crate) const CALL: &str = r#"{"data":{"call_id":"call_1","created_at":"2026-08-04T13:05:00.42763Z","phone_number":"+15550100","is_private":false,"team_id":101}}"#;

/// A contact alone.
pub(crate) const CONTACT: &str = r#"{"data":{"id":"contact_1","name":"Zoë"}}"#;

/// A list of contacts.
pub(crate) const CONTACTS: &str = r#"{"data":[{"id":"contact_1","name":"Zoë","secret":"no"}]}"#;

/// A transcript.
pub(crate) const TRANSCRIPT: &str = r#"{"data":{"call_id":"call_1","transcript":[{"role":"assistant","content":"Hello"},{"role":"user","content":"Hi"}]}}"#;
