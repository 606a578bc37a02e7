//! The table `nodes`: which gateways there are, and what they serve.

use gateway_limits::UnixMs;

use super::{Row, Sql, at, list, number, text};
use crate::store::{Node, StoreError};

/// A gateway that was silent for so long is forgotten.
const KEPT_MS: u64 = 24 * 3_600_000;

pub(crate) async fn put<S: Sql>(sql: &mut S, node: &Node) -> Result<(), StoreError> {
    let text = "insert into nodes (id, revision, seen_at, version) values ($1, $2, $3, $4) \
                on conflict (id) do update set revision = excluded.revision, \
                seen_at = excluded.seen_at, version = excluded.version";
    let values =
        [(&node.id).into(), node.revision.into(), at(node.seen_at), (&node.version).into()];
    sql.run(text, &values).await?;
    let silent = node.seen_at.0.saturating_sub(KEPT_MS);
    sql.run("delete from nodes where seen_at < $1", &[silent.into()]).await.map(drop)
}

/// By id.
pub(crate) async fn since<S: Sql>(sql: &mut S, since: UnixMs) -> Result<Vec<Node>, StoreError> {
    let text = "select id, revision, seen_at, version from nodes where seen_at >= $1 order by id";
    list(sql, text, &[at(since)], node).await
}

fn node(row: &dyn Row) -> Result<Node, StoreError> {
    Ok(Node {
        id: text(row, 0)?,
        revision: number(row, 1)?,
        seen_at: UnixMs(number(row, 2)?),
        version: text(row, 3)?,
    })
}
