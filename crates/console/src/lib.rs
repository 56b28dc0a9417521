//! stub
pub struct Parts {
    pub gateway: std::sync::Arc<gateway::Gateway>,
    pub render_metrics: std::sync::Arc<dyn Fn() -> String + Send + Sync>,
}
pub struct Console {
    _p: Parts,
}
pub type Body = axum::body::Body;
pub type BodyError = axum::Error;
impl Console {
    pub fn new(p: Parts) -> Self {
        Self { _p: p }
    }
    pub async fn answer(&self, _r: http::Request<hyper::body::Incoming>) -> http::Response<Body> {
        let mut r = http::Response::new(Body::from("stub"));
        *r.status_mut() = http::StatusCode::NOT_FOUND;
        r
    }
}
