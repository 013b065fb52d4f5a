//! Time passes only where somebody waits: the clock is tokio's paused one, read as a date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::time::TimeSource;
use tokio::time::Instant;

/// Every simulated history begins at this date, so that two runs of one seed sign, tag and expire alike.
pub(crate) const BEGINNING: Duration = Duration::from_secs(1_795_000_000);

/// A date derived from tokio's clock. Made inside the runtime whose time is paused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// Midnight of a history: now is [`BEGINNING`].
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        UNIX_EPOCH + BEGINNING + self.elapsed()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    /// The moment of a date, for `sleep_until`.
    pub(crate) fn instant(&self, date: SystemTime) -> Instant {
        let since = date.duration_since(UNIX_EPOCH + BEGINNING).unwrap_or_default();
        self.started + since
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Clock::now(self)
    }
}

/// Seconds since 1970, as EKS writes dates.
pub(crate) fn epoch(date: SystemTime) -> f64 {
    date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// `2026-11-18T12:00:00Z`, as IAM writes dates: whole seconds.
pub(crate) fn iso(date: SystemTime) -> String {
    let (day, second) = day_and_second(date);
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// `20261118T120000Z`, as signatures write dates.
pub(crate) fn compact(date: SystemTime) -> String {
    iso(date).replace(['-', ':'], "")
}

/// Reads what [`compact`] writes.
pub(crate) fn from_compact(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    if text.len() != 16 || text.as_bytes()[8] != b'T' || !text.ends_with('Z') {
        return None;
    }
    let days = days_since_1970(number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let seconds = days * 86_400 + number(9, 11)? * 3600 + number(11, 13)? * 60 + number(13, 15)?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn day_and_second(date: SystemTime) -> (u64, u64) {
    let seconds = date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    (seconds / 86_400, seconds % 86_400)
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March, so a leap day ends one.
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year % 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year / 400 * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    days - 719_468
}

fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = days / 146_097 * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_services_write_them_and_read_back() {
        let date = UNIX_EPOCH + Duration::from_secs(1_709_210_096);
        assert_eq!(iso(date), "2024-02-29T12:34:56Z");
        assert_eq!(from_compact(&compact(date)), Some(date));
        assert_eq!(from_compact("20240229T1234Z"), None);
    }
}
