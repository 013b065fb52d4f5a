//! What is behind TLS: the issuer, GitHub's API, and the bucket that takes the answers.

use serde_json::json;

use super::http::{Answer, Request};
use super::simulation::perform::answered;
use super::stage::Stage;

pub(crate) fn answer(stage: &Stage, request: &Request) -> Answer {
    if request.method == "PUT" {
        stage.answered(request);
        return Answer::new(200, "");
    }
    let path = request.target.as_str();
    if let Some(issuer) = path.strip_suffix("/.well-known/openid-configuration") {
        let issuer = format!("https://{}{issuer}", request.header("host").unwrap_or_default());
        let body = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/.well-known/jwks")}).to_string();
        return stage.call("issuer: openid-configuration", request, |_, _| Answer::new(200, body));
    }
    stage.call(&format!("github: {} {path}", request.method), request, |account, id| {
        answered(account, &request.to("api.github.com"), id).map_or_else(|| Answer::new(500, ""), Into::into)
    })
}
