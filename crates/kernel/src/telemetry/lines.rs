//! What a log line looks like: each carries the id of the request, and of the trace, that it was written for.
//!
//! A line of a library tells who spoke and where in its code, and nothing else: its text and fields hold whatever goes through it
//! (values of variables, headers, SQL with its values). So no filter, `trace` included, brings a secret into the log.

use std::{
    fmt,
    io::{IsTerminal, Write},
};

use serde_json::{Map, Value};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{DefaultFields, Format, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use super::{
    CURRENT, Origin, TelemetryConfig,
    seldom::{Seldom, times},
    throttle::Bounded,
};

/// Lines on standard error. Those that are the same are one, then each place in the code is bounded.
pub(super) fn layer<S>(config: &TelemetryConfig, bounded: &Bounded) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    if config.json {
        let line = JsonLine { service: config.service.clone() };
        lines.event_format(Seldom::around(bounded.around(line))).boxed()
    } else {
        lines.fmt_fields(WithOrigin::default()).event_format(Seldom::around(bounded.around(PersonLine::default()))).boxed()
    }
}

/// Whether our own code wrote it. Everything else is a library, also what comes from the `log` crate.
pub(super) fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().strip_prefix("berth").is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', ':']))
}

/// The event's name: the message of ours, one name for all libraries.
pub(super) fn name(event: &Event<'_>) -> String {
    if !is_ours(event.metadata()) {
        return LIBRARY.to_owned();
    }
    let mut fields = Map::new();
    event.record(&mut Fields(&mut fields));
    fields.get("message").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Has panics told in a line like any other. It names the place; what a panic says may hold what was worked on, so only a text that
/// stands in the code is told. Written without the subscriber: that may be what panicked.
pub(super) fn tell_panics(config: &TelemetryConfig) {
    let service = config.json.then(|| config.service.clone());
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
        let text = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or_default();
        let line = panic_line(service.as_deref(), &place, text);
        // Nothing can be done where nobody listens.
        let _lost = std::io::stderr().write_all(line.as_bytes());
    }));
}

fn panic_line(service: Option<&str>, place: &str, text: &str) -> String {
    let mut time = String::new();
    let _infallible = SystemTime.format_time(&mut Writer::new(&mut time));
    let mut fields = vec![("place", place.to_owned()), ("text", text.to_owned())];
    let _infallible = origin_fields(|name, value| {
        let name = if name == "request.id" { "request.id" } else { "trace.id" };
        fields.push((name, value.to_owned()));
        Ok(())
    });
    let Some(service) = service else {
        let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
        return format!("{time} ERROR berth: {PANIC}{fields}\n");
    };
    fields.extend([("timestamp", time), ("level", "ERROR".to_owned()), ("target", "berth".to_owned())]);
    fields.extend([("service", service.to_owned()), ("message", PANIC.to_owned())]);
    let line: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    format!("{}\n", Value::Object(line))
}

const PANIC: &str = "process.panicked";
/// Message of a library's line.
const LIBRARY: &str = "library.spoke";

/// Who spoke, and where: `hive_router::pipeline::coerce_variables:63`.
fn spoken(event: &Event<'_>) -> (String, String) {
    let metadata = event.metadata();
    let mut told = Map::new();
    if metadata.target() == "log" {
        // An event of the `log` crate keeps its place in fields.
        event.record(&mut Fields(&mut told));
    }
    let of_log = |name: &str| told.get(name).and_then(Value::as_str);
    let target = of_log("log.target").unwrap_or(metadata.target());
    let module = of_log("log.module_path").or(metadata.module_path()).unwrap_or(target);
    let line = told.get("log.line").and_then(Value::as_u64).or(metadata.line().map(u64::from)).unwrap_or_default();
    (target.to_owned(), format!("{module}:{line}"))
}

/// Lines for people; those of libraries are shortened to their place.
#[derive(Default)]
struct PersonLine(Format);

impl<S, N> FormatEvent<S, N> for PersonLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if is_ours(event.metadata()) {
            return self.0.format_event(context, writer, event);
        }
        let (target, place) = spoken(event);
        SystemTime.format_time(&mut writer)?;
        write!(writer, " {:>5} {target}: {LIBRARY} place={place}", event.metadata().level())?;
        origin_fields(|name, value| write!(writer, " {name}={value}"))?;
        writeln!(writer)
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
        let mut target = event.metadata().target().to_owned();
        if is_ours(event.metadata()) {
            event.record(&mut Fields(&mut line));
        } else {
            let place;
            (target, place) = spoken(event);
            line.insert("message".to_owned(), LIBRARY.into());
            line.insert("place".to_owned(), place.into());
        }
        if times() > 1 {
            line.insert("times".to_owned(), times().into());
        }
        origin_fields(|name, value| {
            line.insert(name.to_owned(), value.into());
            Ok(())
        })?;
        line.insert("timestamp".to_owned(), time.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), target.into());
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
pub(super) mod tests {
    use std::{
        io::{self, Write},
        sync::Arc,
    };

    use parking_lot::Mutex;
    use tracing::{Span, instrument::WithSubscriber};
    use tracing_subscriber::{Registry, fmt::MakeWriter, layer::SubscriberExt};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    pub(in crate::telemetry) struct Page(Arc<Mutex<Vec<u8>>>);

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
        pub(in crate::telemetry) fn text(&self) -> String {
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

    #[test]
    fn the_same_error_is_written_once_a_second() {
        let page = Page::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(page.clone());
        let line = Seldom::around(JsonLine { service: "user".to_owned() });
        tracing::subscriber::with_default(Registry::default().with(layer.event_format(line)), || {
            for n in 0..100 {
                tracing::error!(error = "away", "database.lost");
                tracing::info!(n, "seat.told");
            }
            tracing::error!(error = "full", "database.lost");
        });
        let count = |text: &str| page.text().lines().filter(|line| line.contains(text)).count();
        assert_eq!((count("away"), count("full"), count("seat.told")), (1, 1, 100));
    }

    #[test]
    fn a_panic_is_one_line() {
        let line = panic_line(Some("user"), "src/a.rs:7", "a \"text\"\nof two lines");
        let fields: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&fields["message"], &fields["place"]), (&"process.panicked".into(), &"src/a.rs:7".into()));
        let line = panic_line(None, "src/a.rs:7", "a \"text\"\nof two lines");
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
    }

    fn speak_as_libraries() {
        tracing::warn!(target: "router::coerce_variables", value = "hunter2", "can't coerce hunter2");
        tracing::trace!(target: "sqlx::query", summary = "SELECT hunter2");
        tracing::error!(target: "log", { "log.target" = "redis", "log.module_path" = "redis::aio", "log.line" = 7_u64 }, "AUTH hunter2");
        tracing::error!(target: "berthage", "hunter2");
    }

    #[test]
    fn what_a_library_says_is_not_repeated() {
        let (json, people) = (Page::default(), Page::default());
        let of_json = tracing_subscriber::fmt::layer().with_writer(json.clone());
        let of_json = Registry::default().with(of_json.event_format(JsonLine { service: "user".to_owned() }));
        tracing::subscriber::with_default(of_json, speak_as_libraries);
        let of_people = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(people.clone());
        let of_people = of_people.fmt_fields(WithOrigin::default()).event_format(PersonLine::default());
        tracing::subscriber::with_default(Registry::default().with(of_people), speak_as_libraries);
        for text in [json.text(), people.text()] {
            assert!(!text.contains("hunter2"), "{text}");
            assert_eq!(text.lines().filter(|line| line.contains("library.spoke")).count(), 4, "{text}");
            assert!(text.contains("router::coerce_variables") && text.contains("redis::aio:7"), "{text}");
        }
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
