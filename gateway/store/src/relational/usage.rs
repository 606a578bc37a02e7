//! The tables of usage: counts by key and hour, key and day, and in all.
//!
//! A flush is added in one transaction that first notes its node and number: a flush sent twice, after
//! an answer that was lost, finds its note and adds nothing. Additions commute, so nodes need not know
//! of one another.
//!
//! Whose spans begin when is said by the flush's own time, not by the store's clock. Hours are kept
//! for 9 days and days for 400, which is pruned now and then, a bounded number of rows at a time.

use gateway_limits::UnixMs;

use super::{Row, Span, Sql, Value, int, number, one};
use crate::store::StoreError;
use crate::usage::{Counts, Usage, UsageFlush, UsageRow};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const HOURS_KEPT_MS: u64 = 9 * DAY_MS;
const DAYS_KEPT_MS: u64 = 400 * DAY_MS;
const FLUSHES_KEPT_MS: u64 = DAY_MS;
/// A node prunes with each so many of its flushes, and with its first.
const PRUNE_EVERY: u64 = 16;
/// Rows of one table that go at once.
const PRUNED_MAX: i64 = 20_000;
/// More than a gateway can count between two flushes; keeps sums within 63 bits.
const COUNT_MAX: u64 = 1 << 48;

/// Adds a flush, inside of a transaction of the caller. The same one again adds nothing.
pub(crate) async fn add<S: Sql>(sql: &mut S, flush: &UsageFlush) -> Result<(), StoreError> {
    let note = "insert into usage_flushes (node, number, at) values ($1, $2, $3) \
                on conflict (node, number) do nothing";
    let values = [(&flush.node).into(), flush.number.into(), super::at(flush.at)];
    if sql.run(note, &values).await? == 0 {
        return Ok(());
    }
    let rows = merged(&flush.rows);
    sql.add_totals(&rows).await?;
    sql.add_counts(Span::Hours, int(begun(flush.at, HOUR_MS)), &rows).await?;
    sql.add_counts(Span::Days, int(begun(flush.at, DAY_MS)), &rows).await?;
    if flush.number % PRUNE_EVERY <= 1 {
        prune(sql, flush.at).await?;
    }
    Ok(())
}

/// Each key once and by key: two nodes then never wait for one another in a circle.
fn merged(rows: &[UsageRow]) -> Vec<UsageRow> {
    let mut sorted: Vec<UsageRow> = rows.to_vec();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    let mut merged: Vec<UsageRow> = Vec::with_capacity(sorted.len());
    for row in sorted {
        let UsageRow { key, counts, last_used } = row;
        let capped = |count: u64| count.min(COUNT_MAX);
        let counts = Counts {
            admitted: capped(counts.admitted),
            limited: capped(counts.limited),
            refused: capped(counts.refused),
        };
        match merged.last_mut().filter(|last| last.key == key) {
            Some(last) => {
                last.counts += counts;
                last.last_used = last.last_used.max(last_used);
            }
            None => merged.push(UsageRow { key, counts, last_used }),
        }
    }
    merged
}

fn begun(at: UnixMs, span_ms: u64) -> u64 {
    at.0 - at.0 % span_ms
}

async fn prune<S: Sql>(sql: &mut S, now: UnixMs) -> Result<(), StoreError> {
    let before = |kept_ms| Value::from(now.0.saturating_sub(kept_ms));
    let limit = Value::Int(Some(PRUNED_MAX));
    for (text, before) in [
        (
            "delete from usage_hours where (key, start) in (select key, start \
             from usage_hours where start < $1 order by start limit $2)",
            before(HOURS_KEPT_MS),
        ),
        (
            "delete from usage_days where (key, start) in (select key, start \
             from usage_days where start < $1 order by start limit $2)",
            before(DAYS_KEPT_MS),
        ),
        (
            "delete from usage_flushes where (node, number) in (select node, number \
             from usage_flushes where at < $1 order by at limit $2)",
            before(FLUSHES_KEPT_MS),
        ),
    ] {
        sql.run(text, &[before, limit]).await?;
    }
    Ok(())
}

/// Usage of each key that was ever used, in the order that they are asked for.
pub(crate) async fn read<S: Sql>(
    sql: &mut S,
    keys: &[String],
    now: UnixMs,
) -> Result<Vec<Usage>, StoreError> {
    // The hour and the day that are under way, and the full ones before.
    let back = |span_ms: u64, ms: u64| Value::from(begun(now, span_ms).saturating_sub(ms));
    let windows = [back(HOUR_MS, DAY_MS), back(HOUR_MS, 7 * DAY_MS), back(DAY_MS, 30 * DAY_MS)];
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let [day, week, month] = windows;
        let values = [key.into(), day, week, month];
        found.extend(one(sql, USAGE, &values, |row| usage(key, row)).await?);
    }
    Ok(found)
}

/// Totals first; a key without them was never used.
const USAGE: &str = "\
select t.admitted, t.limited, t.refused, \
       h.day_admitted, h.day_limited, h.day_refused, h.admitted, h.limited, h.refused, \
       d.admitted, d.limited, d.refused, t.last_used \
from usage_totals t, \
     (select cast(coalesce(sum(case when start >= $2 then admitted end), 0) as bigint) day_admitted, \
             cast(coalesce(sum(case when start >= $2 then limited end), 0) as bigint) day_limited, \
             cast(coalesce(sum(case when start >= $2 then refused end), 0) as bigint) day_refused, \
             cast(coalesce(sum(admitted), 0) as bigint) admitted, \
             cast(coalesce(sum(limited), 0) as bigint) limited, \
             cast(coalesce(sum(refused), 0) as bigint) refused \
      from usage_hours where key = $1 and start >= $3) h, \
     (select cast(coalesce(sum(admitted), 0) as bigint) admitted, \
             cast(coalesce(sum(limited), 0) as bigint) limited, \
             cast(coalesce(sum(refused), 0) as bigint) refused \
      from usage_days where key = $1 and start >= $4) d \
where t.key = $1";

fn usage(key: &str, row: &dyn Row) -> Result<Usage, StoreError> {
    let counts = |at: usize| {
        let (admitted, limited) = (number(row, at)?, number(row, at + 1)?);
        Ok::<_, StoreError>(Counts { admitted, limited, refused: number(row, at + 2)? })
    };
    Ok(Usage {
        key: key.to_owned(),
        total: counts(0)?,
        day: counts(3)?,
        week: counts(6)?,
        month: counts(9)?,
        last_used: Some(UnixMs(number(row, 12)?)),
    })
}
