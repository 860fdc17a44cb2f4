//! Logs and traces: the one subscriber of the process, and what ties the work of several processes to the request that caused
//! it. An [`Origin`] (request id, W3C trace parent) goes in by headers or in an event's envelope, is current while the work
//! runs, stands in each of its log lines, and goes out with each call it makes.
//!
//! At a door: `Origin::from_headers(request.headers()).run(span, work).await`; at a call: `Origin::current().write_to(headers)`.
//! Spans are exported over OTLP when a URL is set; without one they are never made.

mod export;
mod filter;
mod lines;
mod seldom;
mod throttle;

pub use filter::check_filter;

use std::{future::Future, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Instrument, Metadata, Span, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterFn, Targets, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::secret::Secret;
use throttle::Bounded;
pub use throttle::Throttle;

/// Header of the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header of the W3C trace context.
pub const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const MAX_REQUEST_ID: usize = 128;

tokio::task_local! {
    static CURRENT: Origin;
}

/// What is logged and traced, and where to.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Name of the process in traces and in JSON lines: its roles.
    pub service: String,
    /// Filter of log lines, levels by target: `warn,berth=info`.
    pub filter: String,
    /// One JSON object per line, or lines for people.
    pub json: bool,
    /// Collector of traces (OTLP over HTTP), `http://collector:4318`. Without it nothing is traced.
    pub otlp_url: Option<Secret>,
}

/// Why telemetry doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of log lines can't be read.
    #[error("the log filter can't be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The collector's URL is none.
    #[error("the collector's URL can't be used: {0}")]
    Collector(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Keeps telemetry going. Stopping sends what was not sent yet.
#[must_use = "dropped at once, no trace is ever sent"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
    bounded: Bounded,
}

impl Guard {
    /// Tells which lines were left out, and sends the last spans. Blocks: call it outside of async code, while the runtime still lives.
    pub fn stop(self) {
        self.bounded.tell();
        if let Some(Err(error)) = self.provider.map(|provider| provider.shutdown()) {
            tracing::warn!(error = %error, "telemetry.stop.failed");
        }
    }
}

/// Installs the process's subscriber. The exporter works on `runtime`. A second start (tests) changes nothing.
pub fn start(config: &TelemetryConfig, runtime: &Handle) -> Result<Guard, TelemetryError> {
    let targets: Targets = config.filter.parse()?;
    let bounded = Bounded::new();
    let lines = lines::layer(config, &bounded);
    let provider = config.otlp_url.as_ref().map(|url| export::provider(&config.service, url.reveal(), runtime)).transpose()?;
    // A second subscriber exists only in tests, where the first is as good. A layer that does nothing would still have every span
    // made, so there is none.
    let _already_set = match &provider {
        Some(provider) => {
            let spans = export::layer(provider).with_filter(our_spans());
            Registry::default().with(lines.with_filter(events())).with(spans).with(wanted(targets, true)).try_init()
        }
        None => Registry::default().with(lines).with(wanted(targets, false)).try_init(),
    };
    bounded.tell_on(runtime);
    lines::tell_panics(config);
    Ok(Guard { provider, bounded })
}

/// What is made at all: lines by their target and level, spans for the collector. It stands outside of the layers: a filter of one
/// layer would keep the answer to a question that no event follows (sqlx asks whether it should write), and drop the next event.
fn wanted(targets: Targets, spans: bool) -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    let levels = targets.iter().map(|(_, level)| level).chain(targets.default_level());
    let most = levels.chain(spans.then_some(LevelFilter::INFO)).max().unwrap_or(LevelFilter::OFF);
    let is_wanted = move |metadata: &Metadata<'_>| {
        if metadata.is_event() {
            targets.would_enable(metadata.target(), metadata.level())
        } else {
            spans && is_our_span(metadata)
        }
    };
    filter_fn(is_wanted).with_max_level_hint(most)
}

fn events() -> FilterFn {
    let is_event: fn(&Metadata<'_>) -> bool = |metadata| metadata.is_event();
    filter_fn(is_event).with_max_level_hint(LevelFilter::TRACE)
}

/// Spans of Berth's own code; events stay in the log.
fn our_spans() -> FilterFn {
    let is_ours: fn(&Metadata<'_>) -> bool = is_our_span;
    filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO)
}

fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && lines::is_ours(metadata) && *metadata.level() <= tracing::Level::INFO
}

/// Which request caused the work that runs: its id, and the span it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    request_id: Option<Arc<str>>,
    trace_parent: Option<Arc<str>>,
}

impl Origin {
    /// Of these two, each kept only when it is well formed.
    pub fn new(request_id: Option<&str>, trace_parent: Option<&str>) -> Self {
        Self {
            request_id: request_id.filter(|id| is_request_id(id)).map(Arc::from),
            trace_parent: trace_parent.filter(|text| parse(text).is_some()).map(Arc::from),
        }
    }

    /// As a request's headers tell.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Self::new(text(&REQUEST_ID), text(&TRACE_PARENT))
    }

    /// Of the work that calls this; empty outside of [`Origin::run`].
    pub fn current() -> Self {
        let mut origin = CURRENT.try_with(Clone::clone).unwrap_or_default();
        if let Some(innermost) = trace_parent_of(&Span::current()) {
            origin.trace_parent = Some(innermost.into());
        }
        origin
    }

    /// The request's id.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The caller's span, as a W3C `traceparent`.
    pub fn trace_parent(&self) -> Option<&str> {
        self.trace_parent.as_deref()
    }

    /// The 32 hexadecimal digits of the trace.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_parent.as_deref().and_then(|text| text.get(3..35))
    }

    /// Tells the callee, in the headers of a call.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        for (name, text) in [(REQUEST_ID, &self.request_id), (TRACE_PARENT, &self.trace_parent)] {
            if let Some(value) = text.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(name, value);
            }
        }
    }

    /// Runs `work` as caused by this origin, without a span of its own: for what one task does for another.
    pub fn keep<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// Runs `work` inside `span`, as caused by this origin. `span` must not have been entered before.
    pub fn run<F: Future>(self, span: Span, work: F) -> impl Future<Output = F::Output> {
        adopt(&span, self.trace_parent());
        let trace_parent = trace_parent_of(&span).map(Arc::from).or(self.trace_parent);
        CURRENT.scope(Self { request_id: self.request_id, trace_parent }, work.instrument(span))
    }
}

/// The current span as a W3C `traceparent`, for whoever continues the trace elsewhere.
pub fn current_trace_parent() -> Option<String> {
    Origin::current().trace_parent().map(str::to_owned)
}

/// Makes a span that was not entered yet a child of another process's span.
pub fn adopt(span: &Span, trace_parent: Option<&str>) {
    if span.is_disabled() {
        return;
    }
    if let Some(parent) = trace_parent.and_then(parse) {
        // Fails only for a span that nobody exports.
        let _not_traced = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

fn trace_parent_of(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let known = span.span_context();
    known.is_valid().then(|| format!("00-{}-{}-{:02x}", known.trace_id(), known.span_id(), known.trace_flags().to_u8()))
}

fn parse(trace_parent: &str) -> Option<SpanContext> {
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(trace_parent));
    let parsed = context.span().span_context().clone();
    parsed.is_valid().then_some(parsed)
}

struct Carrier<'a>(&'a str);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// A plain word, so that it can stand in any log and header.
fn is_request_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[tokio::test]
    async fn an_origin_travels_by_headers() {
        let origin = Origin::new(Some("req-1"), Some(PARENT));
        let mut headers = HeaderMap::new();
        origin.clone().run(Span::none(), async { Origin::current().write_to(&mut headers) }).await;
        assert_eq!(Origin::from_headers(&headers), origin);
        assert_eq!(origin.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    }

    #[tokio::test]
    async fn what_is_malformed_is_dropped() {
        assert_eq!(Origin::new(Some("two words"), Some("00-0-0-01")), Origin::default());
        assert_eq!(Origin::new(Some(""), Some("")), Origin::default());
        assert_eq!(Origin::new(Some(&"x".repeat(129)), None), Origin::default());
    }

    #[test]
    fn outside_of_a_request_there_is_no_origin() {
        assert_eq!(Origin::current(), Origin::default());
        assert_eq!(current_trace_parent(), None);
    }
}
