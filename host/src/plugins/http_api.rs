//! `/plugins/<instance>/…`: requests that an instance answers itself.

use super::HandleError;
use crate::error::{Error, Result};
use crate::http::read_body;
use crate::state::App;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::any;
use plugin_api::Request as PluginRequest;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);

pub fn router() -> Router<App> {
    Router::new().route("/plugins/{instance}", any(forward)).route("/plugins/{instance}/{*path}", any(forward))
}

async fn forward(
    State(app): State<App>,
    Path(segments): Path<Vec<(String, String)>>,
    request: Request,
) -> Result<Response> {
    let instance = segments.into_iter().next().map(|(_, instance)| instance).unwrap_or_default();
    if app.manager.state(&instance).is_none() {
        return Err(Error::NotFound("No plugin instance has this name".into()));
    }
    let path = request.uri().path();
    let rest = path.strip_prefix("/plugins/").and_then(|rest| rest.find('/').map(|at| rest[at..].to_owned()));
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let forwarded = PluginRequest {
        method: request.method().to_string(),
        path: rest.unwrap_or_else(|| "/".into()),
        query: request.uri().query().unwrap_or_default().into(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    let body = read_body(request, &app).await?.to_vec();
    let answer =
        app.manager.http(&instance, PluginRequest { body, ..forwarded }, DEADLINE).await.map_err(
            |error| match error {
                HandleError::NotRunning => Error::Unavailable(format!("The plugin {instance} does not run now")),
                other => Error::Internal(format!("plugin {instance}, request: {other:?}")),
            },
        )?;
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}
