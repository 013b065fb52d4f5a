//! The report of an audit as one page of HTML: a map of owners, roles and permissions, and a section for each role. The page
//! asks for nothing: style and script are in it, and its policy of content forbids all else.

mod html_writer;
mod map_links;
mod role;

use std::collections::BTreeMap;

use base64_simd::STANDARD;
use sha2::{Digest, Sha256};

use self::html_writer::Html;
use self::map_links::Links;
use super::grade::Grade;
use super::report::{Report, counted, word};
use crate::arn::Arn;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page. `made` is the time of the audit as it stands there.
#[must_use]
pub fn page(report: &Report, made: &str) -> String {
    let links = Links::of(report);
    let mut html = Html::default();
    head(&mut html, report, made);
    html.raw("<main>");
    map(&mut html, report, &links);
    html.raw("<section id=\"roles\" aria-labelledby=\"roles-title\"><h2 id=\"roles-title\">Roles</h2>");
    for (number, role) in report.roles.iter().enumerate() {
        role::article(&mut html, number, role);
    }
    html.raw("</section>");
    rest(&mut html, report);
    html.raw("</main><footer><p>").text(&format!("Made by github-trust {}.", env!("CARGO_PKG_VERSION")));
    html.raw(" Grades are proven with made-up tokens, by the rules of IAM.</p></footer>\n<script>").raw(SCRIPT);
    html.raw("</script></body></html>\n");
    html.done()
}

fn head(html: &mut Html, report: &Report, made: &str) {
    let hash = |text: &str| STANDARD.encode_to_string(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"").text(&policy).raw("\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>");
    let arn = report.roles.first().map(|role| &role.arn).or(report.providers.first());
    let account = arn.and_then(|arn| Arn::parse(arn)).map(|arn| arn.account).unwrap_or_default();
    html.text(&format!("Who gets in from GitHub: account {account}")).raw("</title><style>").raw(STYLE);
    html.raw("</style></head><body><a class=\"skip\" href=\"#roles\">To the roles</a><header><h1>Who gets in from GitHub</h1><p>");
    let (roles, providers) = (counted(report.roles.len(), "role"), counted(report.providers.len(), "provider"));
    html.text(&format!("AWS account {account}, {made}: {roles} that tokens of GitHub may assume, {providers}."));
    html.raw("</p></header>");
}

fn map(html: &mut Html, report: &Report, links: &Links) {
    html.raw(
        "<section id=\"map\" aria-labelledby=\"map-title\"><h2 id=\"map-title\">Map</h2><form id=\"controls\" hidden>",
    );
    html.raw("<p><label for=\"search\">Search names, grades and permissions</label> <input id=\"search\" type=\"search\" autocomplete=\"off\"></p>");
    html.raw("<fieldset><legend>Grades</legend>");
    let mut counts = BTreeMap::<Grade, usize>::new();
    for role in &report.roles {
        *counts.entry(role.grade()).or_default() += 1;
    }
    for (grade, count) in counts {
        let name = word(&grade);
        html.raw("<label class=\"grade ").text(&name).raw("\"><input type=\"checkbox\" checked value=\"").text(&name);
        html.raw("\"> ").text(&format!("{name} {count}")).raw("</label> ");
    }
    html.raw("</fieldset></form><p id=\"shown\" role=\"status\"></p><div id=\"columns\"><svg id=\"lines\" aria-hidden=\"true\"></svg>");
    html.raw("<section class=\"column\" aria-labelledby=\"sources-title\"><h3 id=\"sources-title\">Owners and repositories</h3><ul>");
    for (number, (source, _)) in links.sources.iter().enumerate() {
        node(html, 's', number, &map_links::source_words(source));
    }
    html.raw("</ul></section><section class=\"column\" aria-labelledby=\"middle-title\"><h3 id=\"middle-title\">Roles by grade</h3><ul>");
    for (number, role) in report.roles.iter().enumerate() {
        let grade = word(&role.grade());
        html.raw("<li data-role=\"").text(&number.to_string()).raw("\" data-grade=\"").text(&grade);
        html.raw("\" data-links=\"").text(&links.of_role(number)).raw("\"><a href=\"#role-").text(&number.to_string());
        html.raw("\"><span class=\"grade ").text(&grade).raw("\">").text(&grade).raw("</span> <bdi>");
        html.text(role::name(&role.arn)).raw("</bdi></a></li>");
    }
    html.raw("</ul></section><section class=\"column\" aria-labelledby=\"rights-title\"><h3 id=\"rights-title\">Permissions and clusters</h3><ul>");
    for (number, (right, _)) in links.rights.iter().enumerate() {
        node(html, 'p', number, &right.1);
    }
    html.raw("</ul></section></div></section>");
}

/// An entry at the left or at the right, which chooses the roles that it is linked to.
fn node(html: &mut Html, side: char, number: usize, words: &str) {
    html.raw("<li data-node=\"").text(&format!("{side}{number}"));
    html.raw("\"><button type=\"button\" aria-pressed=\"false\"><bdi>").text(words).raw("</bdi></button></li>");
}

fn rest(html: &mut Html, report: &Report) {
    html.raw("<section aria-labelledby=\"providers-title\"><h2 id=\"providers-title\">Providers</h2><ul>");
    for provider in &report.providers {
        html.raw("<li>").text(provider).raw("</li>");
    }
    html.raw("</ul></section>");
    if !report.not_judged.is_empty() {
        html.raw(
            "<section aria-labelledby=\"others-title\"><h2 id=\"others-title\">Not judged: other issuers</h2><ul>",
        );
        for (role, provider) in &report.not_judged {
            html.raw("<li>").text(role).raw(" trusts ").text(provider).raw("</li>");
        }
        html.raw("</ul></section>");
    }
    if !report.not_read.is_empty() {
        html.raw("<section aria-labelledby=\"unread-title\"><h2 id=\"unread-title\">Not read</h2><ul>");
        for reason in &report.not_read {
            html.raw("<li>").text(reason).raw("</li>");
        }
        html.raw("</ul></section>");
    }
}
