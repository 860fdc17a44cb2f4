//! The way of spans to a collector.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter as Otlp, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use crate::urls;

/// How long a batch may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn provider(
    service: &str,
    url: &str,
    runtime: &Handle,
) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let (url, login) = urls::without_login(url);
    let endpoint = format!("{}/v1/traces", url.trim_end_matches('/').trim_end_matches("/v1/traces"));
    let otlp = Otlp::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint).with_timeout(TIMEOUT);
    // In a header: the client does not take it from the URL, and tells the URL in its errors.
    let basic = login.map(|login| ("authorization".to_owned(), format!("Basic {}", STANDARD.encode(login))));
    let otlp = otlp.with_headers(basic.into_iter().collect());
    let exporter = OnRuntime { otlp: Arc::new(otlp.build()?), runtime: runtime.clone(), failing: Arc::default() };
    let resource = Resource::builder().with_service_name(format!("berth-{service}")).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

pub(super) fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(
    provider: &SdkTracerProvider,
) -> OpenTelemetryLayer<S, SdkTracer> {
    tracing_opentelemetry::layer().with_tracer(provider.tracer("berth"))
}

/// Batches are made on a thread of their own; the HTTP client needs the runtime.
#[derive(Debug)]
struct OnRuntime {
    otlp: Arc<Otlp>,
    runtime: Handle,
    failing: Arc<AtomicBool>,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let otlp = self.otlp.clone();
        let sent = self.runtime.spawn(async move { otlp.export(batch).await }).await;
        let sent = sent.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        // Said once per outage, not once per batch.
        if let (Err(error), false) = (&sent, self.failing.swap(sent.is_err(), Ordering::Relaxed)) {
            tracing::warn!(error = %error, "telemetry.export.failed");
        }
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        // The first thing that happens to an exporter: nobody shares it yet.
        if let Some(otlp) = Arc::get_mut(&mut self.otlp) {
            otlp.set_resource(resource);
        }
    }
}
