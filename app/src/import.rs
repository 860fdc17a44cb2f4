//! `berth import gtfs`, and the demo timetable of a first start.

use std::{path::PathBuf, sync::Arc};

use berth_inventory::{
    Inventory,
    import::{Bounds, ImportOptions, Progress, ProgressFn, Source, Stage, Summary, bounds::DEFAULT_MIB, import_gtfs},
};
use chrono::NaiveDate;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    config::Config,
    files,
    keys::{Keys, Missing},
    services::{Common, inventory_deps},
    text_file,
};

/// What `berth import gtfs` takes.
#[derive(clap::Args)]
pub struct GtfsArguments {
    /// The feed: a zip file or a folder
    #[arg(value_name = "FILE.zip|DIR")]
    source: PathBuf,
    /// Moves the feed by whole weeks, so that its first service day falls into the week of this date
    #[arg(long, value_name = "YYYY-MM-DD")]
    start_date: Option<NaiveDate>,
    /// A layout and fare file for the feed: see docs/LAYOUTS-AND-FARES.md
    #[arg(long, value_name = "FILE.toml")]
    layouts: Option<PathBuf>,
    /// Most mebibytes that the files of the feed may have together, unpacked
    #[arg(long, value_name = "MIB", default_value_t = DEFAULT_MIB, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_mib: u32,
}

/// Imports a feed and prints what came of it.
pub fn gtfs(config: &Config, arguments: &GtfsArguments) -> anyhow::Result<()> {
    files::prepare(config)?;
    let source = Source::open(&arguments.source, Bounds::of_mib(arguments.max_mib))?;
    let layouts = arguments.layouts.as_deref().map(text_file::read).transpose()?;
    let options = ImportOptions { start_date: arguments.start_date, layouts, ..ImportOptions::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let summary = runtime.block_on(async {
        let clock = config.clock();
        let keys = Keys::load(config, &clock, Missing::when_serving(config))?;
        let common = Common::new(config, clock, keys.sealer.clone())?;
        let deps = inventory_deps(config, &common).await?;
        Ok::<_, anyhow::Error>(import_gtfs(&deps, source, options, bar()).await?)
    })?;
    print(&summary);
    Ok(())
}

/// A bar per stage on the terminal; nothing when the output is not one.
fn bar() -> ProgressFn {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{msg:8} {wide_bar} {pos}/{len} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    Arc::new(move |progress: Progress| {
        bar.set_message(match progress.stage {
            Stage::Read => "reading",
            Stage::Plan => "planning",
            Stage::Write => "writing",
        });
        if let Some(total) = progress.total {
            bar.set_length(total);
        }
        bar.set_position(progress.done);
    })
}

#[expect(clippy::print_stdout, reason = "the table is the command's answer")]
fn print(summary: &Summary) {
    for (name, value) in summary.rows() {
        println!("{name:<12} {value}");
    }
    for conflict in &summary.conflicts {
        println!("conflict     {conflict}");
    }
}

/// Brings the demo timetable in, so that it runs for the next 30 days.
pub async fn demo(inventory: &Inventory) -> anyhow::Result<()> {
    let summary = inventory.import_demo().await?;
    if summary.changed() {
        tracing::info!(trips = summary.trips, "demo.imported");
    }
    Ok(())
}
