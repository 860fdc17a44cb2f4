//! A whole Berth, in one of two arms: one process on SQLite, or a fleet on PostgreSQL and Redis. A suite that only talks to
//! [`Berth::client`] runs in both.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use futures_util::future::{join_all, try_join_all};
use tempfile::TempDir;

use crate::{
    client::Client,
    postgres::Postgres,
    process::{Process, copy_folder, data_dir, program, sabotaged_program},
    proxy::Proxy,
    servers::{Database, Redis},
};

/// How Berth is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arm {
    /// Everything in one process, SQLite files, a bus in memory.
    #[default]
    Embedded,
    /// Each role a process of its own, inventory twice; PostgreSQL and Redis.
    Fleet,
}

/// The processes of a fleet: role and how many.
const FLEET: [(&str, usize); 6] = [("router", 1), ("user", 1), ("inventory", 2), ("booking", 1), ("payment", 1), ("worker", 1)];
const SUBGRAPHS: [&str; 4] = ["user", "inventory", "booking", "payment"];

impl Arm {
    /// How it is to be started.
    pub fn setup(self) -> Setup {
        Setup { arm: self, ..Setup::default() }
    }

    /// Starts it with its defaults.
    pub async fn start(self) -> anyhow::Result<Berth> {
        self.setup().start().await
    }
}

/// Makes tests of functions `async fn name(arm: Arm) -> anyhow::Result<()>`: `embedded::name` and `fleet::name`.
#[macro_export]
macro_rules! in_both_arms {
    ($($name:ident),+ $(,)?) => {
        $crate::in_arm!(embedded, Embedded, $($name),+);
        $crate::in_arm!(fleet, Fleet, $($name),+);
    };
}

/// The same in the fleet alone.
#[macro_export]
macro_rules! in_the_fleet {
    ($($name:ident),+ $(,)?) => { $crate::in_arm!(fleet, Fleet, $($name),+); };
}

/// The same in one process alone.
#[macro_export]
macro_rules! in_one_process {
    ($($name:ident),+ $(,)?) => { $crate::in_arm!(embedded, Embedded, $($name),+); };
}

/// A module of tests, one per function.
#[macro_export]
macro_rules! in_arm {
    ($module:ident, $arm:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() -> anyhow::Result<()> {
                    super::$name($crate::world::Arm::$arm).await
                }
            )+
        }
    };
}

/// How a Berth is to be started.
#[derive(Default)]
pub struct Setup {
    arm: Arm,
    program: Option<PathBuf>,
    variables: Vec<(String, String)>,
    particular: Vec<(String, String, String)>,
    data: Option<TempDir>,
    proxied: bool,
    without_redis: bool,
    own_postgres: Option<PathBuf>,
    standby: bool,
    two_of: Vec<String>,
}

impl Setup {
    /// Sets a variable of the environment, for every process.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable for one process of the fleet: `inventory-1`.
    #[must_use]
    pub fn env_of(mut self, process: &str, name: &str, value: &str) -> Self {
        self.particular.push((process.to_owned(), name.to_owned(), value.to_owned()));
        self
    }

    /// Takes the sabotaged program with one of its switches on.
    pub fn sabotage(self, switch: &str) -> anyhow::Result<Self> {
        Ok(self.with_failpoints()?.env("BERTH_SABOTAGE", switch))
    }

    /// Takes the sabotaged program, which has failpoints, with all its guards on.
    pub fn with_failpoints(mut self) -> anyhow::Result<Self> {
        self.program = Some(sabotaged_program()?);
        Ok(self)
    }

    /// Takes this program.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    /// Starts one process on a directory that was prepared before.
    #[must_use]
    pub fn on(mut self, folder: TempDir) -> Self {
        self.data = Some(folder);
        self
    }

    /// Puts a fault proxy in front of PostgreSQL and of Redis.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Redis is dead before the first process starts.
    #[must_use]
    pub fn without_redis(mut self) -> Self {
        self.without_redis = true;
        self
    }

    /// Takes a PostgreSQL server of its own, which can be stopped ([`Berth::postgres`]).
    #[must_use]
    pub fn own_postgres(self) -> Self {
        self.own_postgres_on(&std::env::temp_dir())
    }

    /// The same, with its files in a new folder of this one.
    #[must_use]
    pub fn own_postgres_on(mut self, folder: &Path) -> Self {
        self.own_postgres = Some(folder.to_owned());
        self
    }

    /// The same, with a synchronous standby ([`Berth::standby`]).
    #[must_use]
    pub fn with_standby(mut self) -> Self {
        self.standby = true;
        self.own_postgres()
    }

    /// Starts a second process of a role of which there is one.
    #[must_use]
    pub fn two_of(mut self, role: &str) -> Self {
        self.two_of.push(role.to_owned());
        self
    }

    /// Starts it and waits until all of it is ready.
    pub async fn start(self) -> anyhow::Result<Berth> {
        let mut berth = match self.arm {
            Arm::Embedded => self.embedded()?,
            Arm::Fleet => self.fleet().await?,
        };
        berth.restart().await?;
        Ok(berth)
    }

    fn embedded(self) -> anyhow::Result<Berth> {
        let program = self.program.map_or_else(program, Ok)?;
        let folder = self.data.map_or_else(TempDir::new, Ok)?;
        let process = Process::new("berth", &program, folder.path()).variables(self.variables);
        Ok(Berth {
            arm: Arm::Embedded,
            processes: vec![process],
            redis: None,
            database: None,
            postgres: None,
            standby: None,
            proxies: None,
            ports: None,
            folder,
        })
    }

    async fn fleet(self) -> anyhow::Result<Berth> {
        ensure!(self.data.is_none(), "a fleet starts on an empty database");
        let program = self.program.clone().map_or_else(program, Ok)?;
        let folder = TempDir::new()?;
        let ports = Ports::take(&self.two_of)?;
        let postgres = match &self.own_postgres {
            Some(folder) => Postgres::start_at(ports.nth(SPARE_POSTGRES).port(), TempDir::new_in(folder)?).await?,
            None => None,
        };
        let database = match &postgres {
            Some(own) => Database::create_on(own.url()?).await?,
            None => Database::create().await?,
        };
        let standby = match &postgres {
            Some(primary) if self.standby => Some(primary.standby_at(ports.nth(SPARE_STANDBY).port()).await?),
            _ => None,
        };
        let mut redis = Redis::new(ports.nth(0), folder.path())?;
        if !self.without_redis {
            redis.start().await?;
        }
        let proxies = if self.proxied {
            Some(Proxies { postgres: Proxy::start(database.address()?).await?, redis: Proxy::start(redis.address()?).await? })
        } else {
            None
        };
        let (postgres_url, redis_url) = match &proxies {
            Some(proxies) => (database.url_at(proxies.postgres.address())?, redis.url_at(proxies.redis.address())),
            None if self.without_redis => (database.url(), redis.dead_url()),
            None => (database.url(), redis.url_at(redis.address()?)),
        };
        let postgres_url = match &standby {
            Some(standby) => database.url_beside(standby.address())?,
            None => postgres_url,
        };
        let mut common = self.variables;
        common.splice(0..0, ports.settings(folder.path(), &postgres_url, &redis_url));
        let processes = ports.seats().map(|(role, name, address)| {
            let own = self.particular.iter().filter(|(process, ..)| *process == name);
            let own = own.map(|(_, variable, value)| (variable.clone(), value.clone()));
            let variables = common.iter().cloned().chain(own).collect();
            let home = folder.path().join(&name);
            let arguments = vec!["--role".to_owned(), role.to_owned()];
            fs::create_dir_all(&home)?;
            Ok(Process::new(&name, &program, &home).at(address).arguments(arguments).variables(variables))
        });
        let processes = processes.collect::<anyhow::Result<_>>()?;
        let (database, redis, ports) = (Some(database), Some(redis), Some(ports));
        Ok(Berth { arm: Arm::Fleet, processes, redis, database, postgres, standby, proxies, ports, folder })
    }
}

/// The fault proxies of a fleet.
pub struct Proxies {
    /// In front of PostgreSQL.
    pub postgres: Proxy,
    /// In front of Redis.
    pub redis: Proxy,
}

/// A running Berth: one process or a fleet. Everything of it ends when it is dropped.
pub struct Berth {
    arm: Arm,
    processes: Vec<Process>,
    redis: Option<Redis>,
    database: Option<Database>,
    postgres: Option<Postgres>,
    standby: Option<Postgres>,
    proxies: Option<Proxies>,
    ports: Option<Ports>,
    folder: TempDir,
}

impl Berth {
    /// Starts one process with its defaults.
    pub async fn start() -> anyhow::Result<Self> {
        Arm::Embedded.start().await
    }

    /// How it is deployed.
    pub fn arm(&self) -> Arm {
        self.arm
    }

    /// Its public address, as `http://127.0.0.1:4000`.
    pub fn url(&self) -> String {
        self.processes[0].url()
    }

    /// Its public address.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.processes[0].address()
    }

    /// A client without a token.
    pub fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.url())
    }

    /// The data directory of a single process.
    pub fn data_dir(&self) -> PathBuf {
        self.processes[0].data_dir()
    }

    /// The number of the process that has the public address.
    pub fn process_id(&self) -> Option<u32> {
        self.processes[0].id()
    }

    /// Every process.
    pub fn processes(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// A process by its role and its number; the single process plays every role.
    pub fn process(&mut self, role: &str, number: usize) -> anyhow::Result<&mut Process> {
        let name = format!("{role}-{number}");
        let embedded = self.arm == Arm::Embedded;
        self.processes.iter_mut().find(|process| embedded || process.name() == name).with_context(|| format!("no {name}"))
    }

    /// The Redis of a fleet.
    pub fn redis(&mut self) -> anyhow::Result<&mut Redis> {
        self.redis.as_mut().context("no Redis in this arm")
    }

    /// The Redis of a fleet forgets everything.
    pub async fn flush_redis(&self) -> anyhow::Result<()> {
        self.redis.as_ref().context("no Redis in this arm")?.flush_all().await
    }

    /// Another Redis, empty, takes the place of the old one at once, as after a failover to a replica that had nothing. Everything
    /// that knows the address is connected to the new one from now on. Needs [`Setup::proxied`].
    pub async fn replace_redis(&mut self) -> anyhow::Result<()> {
        let address = self.ports.as_ref().context("no ports in this arm")?.nth(SPARE_REDIS);
        let mut empty = Redis::new(address, self.folder.path())?;
        empty.start().await?;
        self.proxies()?.redis.lead_to(empty.address()?);
        self.redis.replace(empty).context("no Redis in this arm")?.kill()
    }

    /// The PostgreSQL server of a fleet that was set up with its own. `None` where the programs of PostgreSQL are not installed.
    pub fn postgres(&mut self) -> Option<&mut Postgres> {
        self.postgres.as_mut()
    }

    /// Its standby, of a fleet that was set up with one.
    pub fn standby(&mut self) -> Option<&mut Postgres> {
        self.standby.as_mut()
    }

    /// The PostgreSQL database of a fleet.
    pub fn database(&self) -> anyhow::Result<&Database> {
        self.database.as_ref().context("no PostgreSQL in this arm")
    }

    /// The fault proxies of a fleet that was set up with them.
    pub fn proxies(&self) -> anyhow::Result<&Proxies> {
        self.proxies.as_ref().context("not set up with fault proxies")
    }

    /// All that was logged, over every start.
    pub fn log(&self) -> String {
        self.processes.iter().map(Process::log).collect()
    }

    /// Fails when any process has panicked.
    pub fn assert_calm(&self) -> anyhow::Result<()> {
        self.processes.iter().try_for_each(Process::assert_calm)
    }

    /// Fails when any process does not run any more, or has panicked.
    pub fn assert_alive(&mut self) -> anyhow::Result<()> {
        self.processes.iter_mut().try_for_each(Process::assert_alive)
    }

    /// SIGKILL to every process.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.processes.iter_mut().try_for_each(Process::kill)
    }

    /// SIGTERM to every process, and waits for the end of all.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        join_all(self.processes.iter_mut().map(Process::stop)).await.into_iter().collect()
    }

    /// Kills every process that runs, and starts all of them on the same data and the same ports.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        try_join_all(self.processes.iter_mut().map(Process::start)).await.map(|_| ())
    }

    /// A copy of the data directory of a stopped single process, for another one.
    pub fn copy(&self) -> anyhow::Result<TempDir> {
        ensure!(self.arm == Arm::Embedded && self.process_id().is_none(), "only data of one stopped process can be copied");
        let folder = TempDir::new()?;
        copy_folder(&self.data_dir(), &data_dir(&folder))?;
        Ok(folder)
    }

    /// A connection to the database of a service, past Berth: only to read.
    pub async fn store(&self, service: &str) -> anyhow::Result<sea_orm::DatabaseConnection> {
        let file = || format!("sqlite://{}?mode=rw", self.data_dir().join(format!("{service}.sqlite")).display());
        let mut options = sea_orm::ConnectOptions::new(self.database.as_ref().map_or_else(file, Database::url));
        options.max_connections(1).sqlx_logging(false);
        if self.database.is_some() {
            options.set_schema_search_path(service);
        }
        Ok(sea_orm::Database::connect(options).await?)
    }

    /// `berth audit` replays claims and ledger; it must find nothing wrong.
    pub fn audit(&self) -> anyhow::Result<()> {
        let process = self.processes.last().context("no process")?;
        let output = process.run(&["audit"])?;
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(()) } else { bail!("berth audit ended with {}: {text}", output.status) }
    }

    /// The folder of everything that it left behind.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A row of ports below those that the system gives away. The first is held open for as long as the others are ours.
struct Ports {
    _claim: TcpListener,
    first: u16,
    /// Roles with a second process.
    twice: Vec<String>,
}

const PORTS_FROM: u16 = 10_000;
const PORTS_ROWS: u16 = 600;
const PORTS_PER_ROW: u16 = 16;
/// Places in a row of ports, behind those of the processes.
const SPARE_STANDBY: u16 = 12;
const SPARE_REDIS: u16 = 13;
const SPARE_POSTGRES: u16 = 14;

impl Ports {
    fn take(twice: &[String]) -> anyhow::Result<Self> {
        let own = u16::try_from(std::process::id() % u32::from(PORTS_ROWS))?;
        for row in (own..PORTS_ROWS).chain(0..own) {
            let first = PORTS_FROM + row * PORTS_PER_ROW;
            let Ok(claim) = TcpListener::bind((Ipv4Addr::LOCALHOST, first)) else { continue };
            let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
            if (first + 1..first + PORTS_PER_ROW).all(free) {
                return Ok(Self { _claim: claim, first, twice: twice.to_vec() });
            }
        }
        bail!("no {PORTS_PER_ROW} free ports in a row")
    }

    fn nth(&self, number: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.first + 1 + number))
    }

    /// Role, name and address of every process.
    fn seats(&self) -> impl Iterator<Item = (&'static str, String, SocketAddr)> {
        let count = |role: &str, count: usize| count + self.twice.iter().filter(|twice| *twice == role).count();
        let all = FLEET
            .iter()
            .flat_map(move |(role, one)| (0..count(role, *one)).map(move |number| (*role, format!("{role}-{number}"))));
        (1_u16..).zip(all).map(|(number, (role, name))| (role, name, self.nth(number)))
    }

    /// What every process of the fleet is told.
    fn settings(&self, folder: &Path, postgres_url: &str, redis_url: &str) -> Vec<(String, String)> {
        let file = |name: &str| folder.join(name).display().to_string();
        let door = self.seats().find(|(role, ..)| *role == "router").map(|(.., address)| format!("http://{address}"));
        let mut settings = vec![
            ("BERTH_DATABASE_URL".to_owned(), postgres_url.to_owned()),
            ("BERTH_DATABASE_MAX_CONNECTIONS".to_owned(), "6".to_owned()),
            ("BERTH_REDIS_URL".to_owned(), redis_url.to_owned()),
            ("BERTH_KEYS_DIR".to_owned(), file("keys")),
            ("BERTH_MAIL_FILE".to_owned(), file("mail.jsonl")),
            ("BERTH_CLOCK_FILE".to_owned(), file("clock")),
            ("BERTH_PUBLIC_URL".to_owned(), door.unwrap_or_default()),
        ];
        for service in SUBGRAPHS {
            let places = self.seats().filter(|(role, ..)| *role == service).map(|(.., address)| format!("http://{address}"));
            settings.push((format!("BERTH_SUBGRAPH_{}", service.to_uppercase()), places.collect::<Vec<_>>().join(",")));
        }
        settings
    }
}

/// How long a moved clock takes to reach every process.
pub const CLOCK_SPREADS_WITHIN: Duration = Duration::from_millis(150);
