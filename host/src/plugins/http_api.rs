//! `/plugins/<instance>/…`: requests that an instance answers itself.

use super::HandleError;
use crate::error::{Error, Result};
use crate::http::read_body;
use crate::state::App;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use plugin_api::Request as PluginRequest;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const DEADLINE: Duration = Duration::from_secs(30);

pub fn router() -> OpenApiRouter<App> {
    // Each method goes to the instance; the document names the two that nearly all of them serve.
    let (schemas, described, methods) = routes!(get_from_plugin, post_to_plugin);
    let root = OpenApiRouter::default().routes((schemas, described, methods.fallback(forward)));
    let (schemas, described, methods) = routes!(get_from_plugin_path, post_to_plugin_path);
    root.routes((schemas, described, methods.fallback(forward)))
}

/// Ask a plugin
///
/// The instance answers itself, at each path below its own and to each method, within 30 seconds. What it wants and answers is told by the
/// plugin's own documentation.
#[utoipa::path(get, path = "/plugins/{instance}", tag = "Plugins",
    params(("instance" = String, Path, description = "The instance's name in the configuration")),
    responses((status = 404, description = "No plugin instance has this name"),
              (status = "default", description = "What the plugin answers")))]
async fn get_from_plugin(app: State<App>, segments: Path<Vec<(String, String)>>, request: Request) -> Result<Response> {
    forward(app, segments, request).await
}

/// Send something to a plugin
#[utoipa::path(post, path = "/plugins/{instance}", tag = "Plugins",
    params(("instance" = String, Path, description = "The instance's name in the configuration")),
    request_body(content = String, content_type = "application/octet-stream", description = "Whatever the plugin wants"),
    responses((status = 404, description = "No plugin instance has this name"),
              (status = "default", description = "What the plugin answers")))]
async fn post_to_plugin(app: State<App>, segments: Path<Vec<(String, String)>>, request: Request) -> Result<Response> {
    forward(app, segments, request).await
}

/// Ask a plugin, at a path of its own
#[utoipa::path(get, path = "/plugins/{instance}/{*path}", tag = "Plugins",
    params(("instance" = String, Path, description = "The instance's name in the configuration"),
           ("path" = String, Path, description = "The plugin's own path; it may have several segments")),
    responses((status = 404, description = "No plugin instance has this name"),
              (status = "default", description = "What the plugin answers")))]
async fn get_from_plugin_path(
    app: State<App>,
    segments: Path<Vec<(String, String)>>,
    request: Request,
) -> Result<Response> {
    forward(app, segments, request).await
}

/// Send something to a plugin, at a path of its own
#[utoipa::path(post, path = "/plugins/{instance}/{*path}", tag = "Plugins",
    params(("instance" = String, Path, description = "The instance's name in the configuration"),
           ("path" = String, Path, description = "The plugin's own path; it may have several segments")),
    request_body(content = String, content_type = "application/octet-stream", description = "Whatever the plugin wants"),
    responses((status = 404, description = "No plugin instance has this name"),
              (status = "default", description = "What the plugin answers")))]
async fn post_to_plugin_path(
    app: State<App>,
    segments: Path<Vec<(String, String)>>,
    request: Request,
) -> Result<Response> {
    forward(app, segments, request).await
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
