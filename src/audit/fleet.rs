//! The reports of many accounts as one, a report at a time: memory holds the largest of them and the counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::grade::Grade;
use super::report::{Report, counted, word};
use crate::arn::Arn;
use crate::error::plain;

/// The form of a merged report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetForm {
    /// For people.
    Table,
    /// For programs: an object with the member `Accounts`.
    Json,
}

/// The merged report, written while the accounts come.
#[derive(Debug)]
pub struct Fleet<W> {
    out: W,
    form: FleetForm,
    accounts: usize,
    failed: usize,
    grades: BTreeMap<Grade, usize>,
}

impl<W: Write> Fleet<W> {
    /// Begins a merged report.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(mut out: W, form: FleetForm) -> io::Result<Self> {
        if form == FleetForm::Json {
            write!(out, "{{\"Accounts\":[")?;
        }
        Ok(Self { out, form, accounts: 0, failed: 0, grades: BTreeMap::new() })
    }

    /// Adds an account: its report in JSON, or the reason for which there is none. `source` names it where the report does not.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, source: &str, report: Result<String, String>) -> io::Result<()> {
        let report = report.and_then(|text| {
            serde_json::from_str::<Report>(&text)
                .map_err(|error| format!("expected a report of `audit --output json`: {error}"))
        });
        let comma = if self.accounts == 0 { "" } else { "," };
        self.accounts += 1;
        match &report {
            Ok(report) => {
                for role in &report.roles {
                    *self.grades.entry(role.grade()).or_default() += 1;
                }
            }
            Err(_) => self.failed += 1,
        }
        let account = report.as_ref().ok().and_then(account_of);
        match (self.form, report) {
            (FleetForm::Json, report) => {
                let mut row = json!({"Source": source});
                if let Some(account) = account {
                    row["Account"] = json!(account);
                }
                match report {
                    Ok(report) => row["Report"] = serde_json::to_value(&report).unwrap_or(Value::Null),
                    Err(reason) => row["Failed"] = json!(reason),
                }
                write!(self.out, "{comma}\n{row}")
            }
            (FleetForm::Table, Ok(report)) => {
                let account = account.unwrap_or_else(|| source.to_owned());
                writeln!(self.out, "== {}\n{report}", plain(&account))
            }
            (FleetForm::Table, Err(reason)) => {
                writeln!(self.out, "== {}\n{:<14}{}\n", plain(source), "not read", plain(&reason))
            }
        }
    }

    /// Ends the report. Returns the roles by their worst grades, and the number of accounts that failed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(self) -> io::Result<(BTreeMap<Grade, usize>, usize)> {
        let Self { mut out, form, accounts, failed, grades } = self;
        match form {
            FleetForm::Json => {
                let counts: BTreeMap<String, usize> =
                    grades.iter().map(|(grade, count)| (word(grade), *count)).collect();
                writeln!(out, "\n],\"Grades\":{},\"Failed\":{failed}}}", json!(counts))?;
            }
            FleetForm::Table => {
                let mut line = format!("{}, {failed} not read", counted(accounts, "account"));
                for (grade, count) in &grades {
                    let _ = write!(line, ", {count} {}", word(grade));
                }
                writeln!(out, "{line}")?;
            }
        }
        out.flush()?;
        Ok((grades, failed))
    }
}

/// The account of a report, as its ARNs name it.
fn account_of(report: &Report) -> Option<String> {
    let arns = report.roles.iter().map(|role| &role.arn).chain(&report.providers);
    arns.filter_map(|arn| Arn::parse(arn)).map(|arn| arn.account.to_owned()).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::report::AuditedRole;

    fn report(account: usize, roles: usize) -> String {
        let role = |index: usize| {
            let arn = format!("arn:aws:iam::{account:012}:role/role-{index}");
            let finding =
                json!({"Grade": if index == 0 { "open" } else { "exact" }, "Sentence": "Certain jobs get in."});
            let finding = serde_json::from_value(finding).unwrap();
            AuditedRole::new(arn, json!({"Statement": []}), vec![finding])
        };
        let report = Report {
            providers: Vec::new(),
            roles: (0..roles).map(role).collect(),
            not_judged: Vec::new(),
            not_read: Vec::new(),
        };
        serde_json::to_string(&report).unwrap()
    }

    fn merged(form: FleetForm, reports: impl IntoIterator<Item = Result<String, String>>) -> (String, usize) {
        let mut out = Vec::new();
        let mut fleet = Fleet::begin(&mut out, form).unwrap();
        for (index, report) in reports.into_iter().enumerate() {
            fleet.add(&format!("{index}.json"), report).unwrap();
        }
        let (_, failed) = fleet.end().unwrap();
        (String::from_utf8(out).unwrap(), failed)
    }

    #[test]
    fn an_account_that_fails_is_a_row_among_the_others() {
        let reports = || [Ok(report(1, 1)), Err("No such file".to_owned()), Ok("{}".to_owned()), Ok(report(4, 0))];
        let (text, failed) = merged(FleetForm::Json, reports());
        let merged_report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(failed, 2);
        assert_eq!(merged_report["Failed"], 2);
        assert_eq!(merged_report["Grades"], json!({"open": 1}));
        assert_eq!(merged_report["Accounts"][0]["Account"], "000000000001");
        assert_eq!(merged_report["Accounts"][1], json!({"Source": "1.json", "Failed": "No such file"}));
        let reason = merged_report["Accounts"][2]["Failed"].as_str().unwrap();
        assert!(reason.starts_with("expected a report of `audit --output json`: missing field"), "{reason}");
        let (table, _) = merged(FleetForm::Table, reports());
        assert!(table.contains("== 000000000001\n1 role that"), "{table}");
        assert!(table.contains("== 1.json\nnot read      No such file"), "{table}");
        assert!(table.ends_with("4 accounts, 2 not read, 1 open\n"), "{table}");
    }

    #[test]
    fn a_fleet_of_a_thousand_accounts_is_merged_one_report_at_a_time() {
        /// Counts what is written, and keeps nothing.
        struct Counted(usize);
        impl Write for Counted {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                self.0 += text.len();
                Ok(text.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut out = Counted(0);
        let mut fleet = Fleet::begin(&mut out, FleetForm::Json).unwrap();
        for account in 0..1000 {
            fleet.add("a.json", Ok(report(account, 20))).unwrap();
        }
        let (grades, failed) = fleet.end().unwrap();
        assert_eq!((grades[&Grade::Open], grades[&Grade::Exact], failed), (1000, 19_000, 0));
        assert!(out.0 > 1_000_000, "{}", out.0);
    }
}
