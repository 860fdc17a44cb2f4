//! What a log line looks like: each carries the id of the request, and of the trace, that it was written for.

use std::{fmt, io::IsTerminal};

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{DefaultFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use super::{CURRENT, Origin, TelemetryConfig, seldom::times};

/// Lines on standard error.
pub(super) fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(config: &TelemetryConfig) -> Box<dyn Layer<S> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // A log on a full disk is lost. Telling so on the same disk would panic in the middle of whatever was told of.
    let lines = lines.log_internal_errors(false);
    if config.json {
        lines.event_format(JsonLine { service: config.service.clone() }).boxed()
    } else {
        lines.fmt_fields(WithOrigin::default()).boxed()
    }
}

/// Lines for people: the usual fields, then the origin.
#[derive(Default)]
struct WithOrigin(DefaultFields);

impl<'writer> FormatFields<'writer> for WithOrigin {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = String::new();
        self.0.format_fields(Writer::new(&mut text), fields)?;
        write!(writer, "{text}")?;
        if times() > 1 {
            write!(writer, " times={}", times())?;
        }
        origin_fields(|name, value| write!(writer, " {name}={value}"))
    }
}

/// One JSON object per line, fields at the top level.
struct JsonLine {
    service: String,
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Map::new();
        event.record(&mut Fields(&mut line));
        if times() > 1 {
            line.insert("times".to_owned(), times().into());
        }
        origin_fields(|name, value| {
            line.insert(name.to_owned(), value.into());
            Ok(())
        })?;
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        line.insert("service".to_owned(), self.service.as_str().into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn origin_fields(mut put: impl FnMut(&str, &str) -> fmt::Result) -> fmt::Result {
    let both = |origin: &Origin| {
        origin.request_id().map_or(Ok(()), |id| put("request.id", id))?;
        origin.trace_id().map_or(Ok(()), |id| put("trace.id", id))
    };
    CURRENT.try_with(both).unwrap_or(Ok(()))
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::Arc,
    };

    use parking_lot::Mutex;
    use tracing::{Span, instrument::WithSubscriber};
    use tracing_subscriber::{Registry, fmt::MakeWriter, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Page {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    async fn write_one() {
        let origin = Origin::new(Some("req-7"), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        origin.run(Span::none(), async { tracing::info!(seat.id = %"a\nb", count = 2, "seat.told") }).await;
    }

    #[tokio::test]
    async fn a_json_line_is_one_object_with_its_origin() {
        let page = Page::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(page.clone());
        let subscriber = Registry::default().with(layer.event_format(JsonLine { service: "user".to_owned() }));
        write_one().with_subscriber(subscriber).await;
        assert_eq!(page.text().lines().count(), 1);
        let line: Value = serde_json::from_str(&page.text()).unwrap();
        assert_eq!(line["message"], "seat.told");
        assert_eq!(line["seat.id"], "a\nb");
        assert_eq!(line["count"], 2);
        assert_eq!(line["request.id"], "req-7");
        assert_eq!(line["trace.id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(line["service"], "user");
    }

    #[tokio::test]
    async fn a_line_for_people_ends_with_its_origin() {
        let page = Page::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(page.clone());
        write_one().with_subscriber(Registry::default().with(layer.fmt_fields(WithOrigin::default()))).await;
        let text = page.text();
        assert!(text.trim_end().ends_with("request.id=req-7 trace.id=4bf92f3577b34da6a3ce929d0e0e4736"), "{text}");
    }
}
