//! How many turns a conversation begins in a minute: counted when they are claimed, so that what waits for something else is not.

use super::jobs::Claim;
use super::turns::{KIND, Terms};
use super::{Read, State, Tx, sql_error};
use crate::clock::{self, Micros};
use crate::error::Result;
use rusqlite::{OptionalExtension, Row, params};

const MINUTE: Micros = 60_000_000;
/// Windows that one write removes.
const STEP: i64 = 500;

/// Where the refusals of one person in a lane are counted.
pub(super) fn refusals(lane: &str, person: &str) -> String {
    format!("refused:{lane}:{person}")
}

/// The window of a lane after one more turn has begun, as its begin and its count; `Err`: it is full until then.
fn next_window(known: Option<(Micros, u32)>, most: u32, now: Micros) -> Result<(Micros, u32), Micros> {
    match known {
        Some((began, turns)) if (began..began.saturating_add(MINUTE)).contains(&now) => {
            if turns < most {
                Ok((began, turns + 1))
            } else {
                Err(began.saturating_add(MINUTE))
            }
        }
        _ => Ok((now, 1)),
    }
}

impl Tx<'_> {
    /// A due turn that was just claimed goes back where its conversation has had enough of this minute. Answers whether it did.
    pub(super) fn put_off_turn(&mut self, instance: &str, claim: &Claim, kind: &str, payload: &str) -> Result<bool> {
        // What was begun before has been counted.
        if kind != KIND || !claim.is_first {
            return Ok(false);
        }
        let most = Terms::read(payload).turns_per_minute;
        if most == 0 {
            return Ok(false);
        }
        let Some(held) = self.held(claim.key, claim.number)? else { return Ok(false) };
        let Err(until) = self.begin_in_window(instance, &held.lane, most)? else { return Ok(false) };
        self.execute(
            "update queue set state = 'pending', claim = claim - 1, lease_until = null, started_at = null, next_at = ?2
             where key = ?1",
            params![claim.key, until],
        )?;
        self.leave_processing(instance, State::Pending);
        // Its slot is free again, and somebody else may be waiting for it.
        self.effects.woken.push(instance.into());
        Ok(true)
    }

    /// Counts one more in the lane's minute; `Err`: the minute is full until then.
    pub(super) fn begin_in_window(&mut self, instance: &str, lane: &str, most: u32) -> Result<Result<(), Micros>> {
        let sql = "select began, turns from turn_windows where lane = ?2 and instance = ?1";
        let mut statement = self.prepare(sql)?;
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let known = statement.query_row([instance, lane], row).optional().map_err(sql_error)?;
        let (began, turns) = match next_window(known, most, clock::now()) {
            Ok(window) => window,
            Err(until) => return Ok(Err(until)),
        };
        self.execute(
            "insert into turn_windows (instance, lane, began, turns) values (?1, ?2, ?3, ?4)
             on conflict (lane, instance) do update set began = excluded.began, turns = excluded.turns",
            params![instance, lane, began, turns],
        )?;
        Ok(Ok(()))
    }

    /// Those of a lane that ends, with the refusals there: they name people.
    pub(super) fn forget_windows(&self, lane: &str) -> Result<()> {
        self.execute("delete from turn_windows where lane = ?1", [lane])?;
        let sql = "delete from turn_windows where lane > ?1 and lane < ?2";
        self.execute(sql, [format!("refused:{lane}:"), format!("refused:{lane};")]).map(drop)
    }

    /// Somebody's refusals in a lane that goes on.
    pub(super) fn forget_refusals(&self, lane: &str, person: &str) -> Result<()> {
        self.execute("delete from turn_windows where lane = ?1", [refusals(lane, person)]).map(drop)
    }

    /// Removes some windows that are over. Answers whether there may be more.
    pub fn sweep_windows(&mut self) -> Result<bool> {
        let sql = "delete from turn_windows where (lane, instance) in (
                       select lane, instance from turn_windows where began < ?1 order by began limit ?2)";
        Ok(self.execute(sql, [clock::now() - MINUTE, STEP])? as i64 == STEP)
    }
}

impl Read<'_> {
    /// Whether windows are over that nobody has removed.
    pub fn has_old_windows(&self) -> Result<bool> {
        let sql = "select exists (select 1 from turn_windows where began < ?1)";
        Ok(self.number(sql, [clock::now() - MINUTE])? == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Turns that want to begin at any times: each that is put off may begin at the time that it was told, no window holds more
        /// than its number, and none is put off for longer than a minute.
        #[test]
        fn window_never_holds_more_than_its_number(most in 1u32..5, steps in prop::collection::vec(0i64..90_000_000, 1..60)) {
            let (mut known, mut now) = (None, 0);
            let mut begun: Vec<(Micros, Micros)> = Vec::new();
            for step in steps {
                now += step;
                let window = next_window(known, most, now).or_else(|until| {
                    assert!(until > now && until <= now + MINUTE, "a wait of at most a minute");
                    now = until;
                    next_window(known, most, now)
                });
                let window = window.expect("it may begin when it was told to");
                known = Some(window);
                begun.push((window.0, now));
                let of_window = begun.iter().filter(|(began, _)| *began == window.0).count();
                prop_assert!(of_window <= most as usize, "{begun:?}");
            }
        }
    }
}
