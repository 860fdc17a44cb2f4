//! Feeds that are small until somebody reads them. Each is refused with the name of what is too large, before it is in memory, and
//! nothing is changed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod world;

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use berth_inventory::import::{Bounds, ImportError, ImportOptions, Source, import_gtfs, silent};
use world::{Files, World, small_feed, small_feed_with, zipped};
use zip::{ZipWriter, write::SimpleFileOptions};

const MIB: usize = 1 << 20;
/// No entry of an honest archive has this size, so its four bytes are found in one.
const BOMB: usize = 20 * MIB + 0x1234;
/// What a refusal may cost at most.
const MEMORY_KIB: u64 = 12 * 1024;

/// A feed whose stop times go on with blanks that pack to nothing.
fn bomb(path: &Path) {
    let mut archive = ZipWriter::new(File::create(path).unwrap());
    for (name, text) in small_feed() {
        archive.start_file(format!("rail/{name}"), SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
        if name == "stop_times.txt" {
            let mut left = BOMB - text.len();
            // Rows of nothing: each is short.
            let rows = ",,,,\n".repeat(MIB / 4);
            while left > 0 {
                let size = left.min(rows.len());
                archive.write_all(&rows.as_bytes()[..size]).unwrap();
                left -= size;
            }
        }
    }
    archive.finish().unwrap();
}

/// The same archive, which says that the entry is short.
fn lying(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let real = u32::try_from(BOMB).unwrap().to_le_bytes();
    let at: Vec<usize> = bytes.windows(4).enumerate().filter(|(_, window)| *window == real).map(|(at, _)| at).collect();
    assert_eq!(at.len(), 2, "beside the entry, and in the list");
    for at in at {
        bytes[at..at + 4].copy_from_slice(&1_000_u32.to_le_bytes());
    }
    fs::write(path, bytes).unwrap();
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn refused(world: &World, path: &Path, bounds: Bounds) -> String {
    let source = Source::open(path, bounds);
    let imported = match source {
        Ok(source) => import_gtfs(&world.deps, source, ImportOptions::default(), silent()).await,
        Err(error) => Err(error),
    };
    let error = imported.unwrap_err();
    assert!(matches!(error, ImportError::TooLarge { .. }), "{error}");
    error.to_string()
}

async fn refused_files(files: Files<'_>) -> String {
    let world = World::new().await;
    let path: PathBuf = world.folder.path().join("feed.zip");
    zipped(&files, "", &path);
    refused(&world, &path, Bounds::of_mib(16)).await
}

#[tokio::test]
async fn a_file_that_unpacks_to_much_more_is_refused_by_its_name() {
    let world = World::new().await;
    let path = world.folder.path().join("feed.zip");
    bomb(&path);
    assert!(fs::metadata(&path).unwrap().len() < 2 * MIB as u64, "it is small");
    // What any import takes is taken already.
    world.import(&small_feed()).await.unwrap();
    let before = peak_kib();
    let told = refused(&world, &path, Bounds::default()).await;
    assert!(told.starts_with("rail/stop_times.txt is too large: it unpacks to more than 200 times"), "{told}");
    let told = refused(&world, &path, Bounds::of_mib(16)).await;
    assert!(told.contains("more than 16 MiB (--max-mib)"), "{told}");
    lying(&path);
    let told = refused(&world, &path, Bounds::default()).await;
    assert!(told.starts_with("rail/stop_times.txt is too large"), "what the archive says is believed: {told}");
    let grown = peak_kib() - before;
    assert!(grown < MEMORY_KIB, "{grown} KiB");
}

#[tokio::test]
async fn files_count_together() {
    let rows = "S,20261224,1\n".repeat(120_000);
    let dates = format!("service_id,date,exception_type\n{rows}");
    let files = small_feed_with(&[("calendar_dates.txt", &dates)]);
    let world = World::new().await;
    let path = world.folder.path().join("folder");
    fs::create_dir(&path).unwrap();
    for (name, text) in files {
        fs::write(path.join(name), text).unwrap();
    }
    let told = refused(&world, &path, Bounds::of_mib(1)).await;
    assert!(told.starts_with("calendar_dates.txt is too large: with it the feed has more than 1 MiB"), "{told}");
}

#[tokio::test]
async fn a_row_without_end_is_refused() {
    // An open quote takes every line after it into its field.
    let endless = format!("agency_id,agency_name,agency_url,agency_timezone\n1,\"{}", "and so on\n".repeat(MIB / 20));
    let told = refused_files(small_feed_with(&[("agency.txt", &endless)])).await;
    assert_eq!(told, "agency.txt is too large: it has a row of more than 65536 bytes");
    let wide = format!("{}\n", "stop_id,".repeat(MIB / 16));
    let told = refused_files(small_feed_with(&[("stops.txt", &wide)])).await;
    assert_eq!(told, "stops.txt is too large: it has a row of more than 65536 bytes");
}

#[tokio::test]
async fn an_archive_of_very_many_files_is_refused_unread() {
    let world = World::new().await;
    let path = world.folder.path().join("feed.zip");
    let mut archive = ZipWriter::new(File::create(&path).unwrap());
    for number in 0..10_001 {
        archive.start_file(format!("{number}.txt"), SimpleFileOptions::default()).unwrap();
    }
    archive.finish().unwrap();
    let told = refused(&world, &path, Bounds::default()).await;
    assert!(told.ends_with("feed.zip is too large: it has more than 10000 files"), "{told}");
}

#[tokio::test]
async fn rows_that_stand_for_millions_are_refused() {
    let head = "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n";
    let mut calendar = head.to_owned();
    for number in 0..1_000 {
        writeln!(calendar, "S{number},1,1,1,1,1,1,1,19700101,21490606").unwrap();
    }
    let told = refused_files(small_feed_with(&[("calendar.txt", &calendar)])).await;
    assert!(told.starts_with("calendar.txt is too large: its services run on more than 1280000 days"), "{told}");
    let frequencies = "trip_id,start_time,end_time,headway_secs\n".to_owned() + &"T1,00:00:00,999:00:00,10\n".repeat(10);
    let told = refused_files(small_feed_with(&[("frequencies.txt", &frequencies)])).await;
    assert!(told.starts_with("frequencies.txt is too large: it stands for more than 64000 departures"), "{told}");
}
