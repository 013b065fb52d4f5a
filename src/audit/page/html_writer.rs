//! HTML as it grows. All text of others is escaped.

use crate::error::plain;

/// A page, or a part of it.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup of this program.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, for an element or for an attribute in double quotes.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in plain(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Adds text of several lines.
    pub(super) fn lines(&mut self, text: &str) -> &mut Self {
        for line in text.lines() {
            self.text(line).raw("\n");
        }
        self
    }

    pub(super) fn done(self) -> String {
        self.0
    }
}
