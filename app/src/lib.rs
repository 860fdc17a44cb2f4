//! The `berth` binary: wires the services, the router and the workers into one process, and holds the operator's commands.
#![recursion_limit = "256"]

mod admin;
mod audit;
mod backup;
mod config;
mod databases;
mod doctor;
mod doors;
mod ended;
mod events;
mod exit;
mod explain;
mod files;
mod front;
mod health;
mod import;
mod keys;
mod letters;
mod listeners;
mod observe;
mod pages;
mod readiness;
pub mod remote;
mod role;
mod sandbox;
mod schema;
mod serve;
mod services;
mod shared_clock;
mod signals;
mod text_file;

use std::{path::PathBuf, process::ExitCode};

use berth_kernel::telemetry;
use clap::{Parser, Subcommand};

use config::{Arguments, Config};

/// Berth, the open booking graph: everything that has a seat, a slot or a stock count.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Every setting is also a variable: `berth config` lists them. Without a command, `berth` serves.\n\
                  Exit codes: 0 done; 1 failed, or something was found; 2 wrong arguments; 75 something does not answer yet; \
                  78 a setting, a key or a database is refused."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: CommonArguments,
}

#[derive(clap::Args, Default, Clone)]
struct CommonArguments {
    #[arg(help = "Where databases, keys and caught mail live [env: BERTH_DATA_DIR] [default: ./data]")]
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    #[arg(help = "Public address; port 0 takes a free one [env: BERTH_LISTEN] [default: 127.0.0.1:4000]")]
    #[arg(long, value_name = "ADDR", global = true)]
    listen: Option<String>,
}

#[derive(clap::Args, Default, Clone)]
struct ServeArguments {
    #[arg(
        help = "What this process does: router, user, inventory, booking, payment, worker; everything when absent [env: BERTH_ROLES]"
    )]
    #[arg(long = "role", value_name = "ROLE[,ROLE...]", value_delimiter = ',')]
    roles: Vec<String>,
    #[arg(
        help = "Where the replicas of a service are [env: BERTH_SUBGRAPH_<NAME>] [default: the routing URL of supergraph.yaml]"
    )]
    #[arg(long = "subgraph", value_name = "NAME=URL[,URL...]")]
    subgraphs: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything in one process (four subgraphs, router, workers, SQLite, demo timetable, sandbox payments, mail catcher), or one role of a fleet
    Serve(ServeArguments),
    /// The keys of an installation
    Keys {
        #[command(subcommand)]
        what: KeysWhat,
    },
    /// Brings the tables of every service to this program's version
    Migrate,
    /// Brings timetables in
    Import {
        #[command(subcommand)]
        what: ImportWhat,
    },
    /// Writes or checks the graph's schema files
    Schema {
        #[command(subcommand)]
        what: SchemaWhat,
    },
    /// Lists events that a consumer gave up, and delivers them again
    Events {
        #[command(subcommand)]
        what: events::EventsWhat,
    },
    /// Lists letters and text messages that were not sent, and sends them again
    Letters {
        #[command(subcommand)]
        what: letters::LettersWhat,
    },
    /// Tells the story of a booking or payment from all four databases: states, times and amounts, nothing personal; reads only
    Explain {
        /// A booking's code, or an id of the graph (`booking_...`, `payment_...`, `hold_...`, `ticket_...`, `refund_...`), or a UUID
        what: String,
    },
    /// Makes admins, and exports and verifies the log of what they did
    Admin {
        #[command(subcommand)]
        what: admin::AdminWhat,
    },
    /// Prints the effective configuration with secrets hidden
    Config,
    /// Proves that seats, tickets and money add up over all four databases; reads only, also beside a running Berth
    Audit {
        /// Prints JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Copies all databases of one instant into a new folder, while Berth runs
    Backup(backup::BackupArguments),
    /// Brings a backup back into an empty installation, or proves that it could be
    Restore(backup::RestoreArguments),
    /// Checks data directory, databases, keys, schema and port, and says what to do
    Doctor,
    /// Asks a serving process whether it is ready; exit code 0 when it is. For health checks of containers
    Health {
        /// Its address; that of `DATA_DIR/berth.addr` when absent
        address: Option<std::net::SocketAddr>,
    },
}

#[derive(Subcommand)]
enum KeysWhat {
    /// Makes every key that is missing, in `keys_dir`: run it once, before the processes of a fleet
    Init,
    /// Lists the keys that sign access tokens and tickets, and what each is for now
    List,
    /// Makes a new key; every process takes it from `keys_dir`, without a restart and without signing anybody out
    Rotate(keys::RotateArguments),
    /// When the data.key is lost for good: takes the one that is there instead. What the lost one sealed can never be read again
    Adopt {
        /// Says that you know it
        #[arg(long, required = true)]
        lose_sealed_data: bool,
    },
}

#[derive(Subcommand)]
enum ImportWhat {
    /// Imports a GTFS feed: a second import of the same feed changes nothing; a newer version updates trips, never sold seats
    Gtfs(import::GtfsArguments),
}

#[derive(Subcommand)]
enum SchemaWhat {
    /// Writes schema/<name>.graphql of the four subgraphs into a folder
    Export {
        /// The folder
        #[arg(long, default_value = "schema")]
        dir: PathBuf,
    },
    /// Compares the files of a folder, and the embedded supergraph, with what this binary serves
    Check {
        /// The folder
        #[arg(long, default_value = "schema")]
        dir: PathBuf,
    },
}

/// Reads the command line, runs the command, and tells how it ended.
pub fn main() -> ExitCode {
    files::keep_private();
    let cli = Cli::parse();
    let serve = match &cli.command {
        Some(Command::Serve(serve)) => serve.clone(),
        _ => ServeArguments::default(),
    };
    let CommonArguments { data_dir, listen } = cli.common;
    let arguments = Arguments { data_dir, listen, roles: serve.roles, subgraphs: serve.subgraphs };
    match run(cli.command.unwrap_or(Command::Serve(ServeArguments::default())), &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

fn run(command: Command, arguments: &Arguments) -> anyhow::Result<()> {
    match command {
        Command::Schema { what: SchemaWhat::Export { dir } } => schema::export(&dir),
        Command::Schema { what: SchemaWhat::Check { dir } } => schema::check(&dir),
        Command::Serve(_) => serve::run(Config::load_to_serve(arguments)?),
        Command::Config => print_config(&Config::load(arguments)?),
        Command::Health { address } => health::run(&Config::load(arguments)?, address),
        Command::Keys { what: KeysWhat::Init } => logged(arguments, keys::init),
        Command::Keys { what: KeysWhat::List } => logged(arguments, keys::list),
        Command::Keys { what: KeysWhat::Rotate(wanted) } => logged(arguments, |config| keys::rotate(config, &wanted)),
        Command::Keys { what: KeysWhat::Adopt { .. } } => logged(arguments, databases::adopt_key),
        Command::Migrate => logged(arguments, databases::migrate),
        Command::Import { what: ImportWhat::Gtfs(gtfs) } => logged(arguments, |config| import::gtfs(config, &gtfs)),
        Command::Events { what } => logged(arguments, |config| events::run(config, &what)),
        Command::Letters { what } => logged(arguments, |config| letters::run(config, &what)),
        Command::Explain { what } => logged(arguments, |config| explain::run(config, &what)),
        Command::Admin { what } => logged(arguments, |config| admin::run(config, &what)),
        Command::Audit { json } => logged(arguments, |config| audit::run(config, json)),
        Command::Backup(wanted) => logged(arguments, |config| backup::backup(config, &wanted)),
        Command::Restore(wanted) => logged(arguments, |config| backup::restore(config, &wanted)),
        Command::Doctor => logged(arguments, doctor::run),
    }
}

/// Runs a command of the operator, whose log lines look like those of the processes.
fn logged(arguments: &Arguments, command: impl FnOnce(&Config) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let config = Config::load(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let telemetry = telemetry::start(&serve::lines(&config, &config.roles()?, None), runtime.handle())?;
    let done = command(&config);
    telemetry.stop();
    done
}

#[expect(clippy::print_stdout, reason = "the output is the command's purpose")]
fn print_config(config: &Config) -> anyhow::Result<()> {
    print!("{}", config.redacted()?);
    Ok(())
}
