//! The disk of the log is full: lines are lost, and nothing else is.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use berth_tests::{client::Client, eventually, person::Person, process::program};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_room_disturbs_nobody() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut command = Command::new(program()?);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path()).env("BERTH_LOG", "debug");
    // Every write to it is answered: no space left on device.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::options().write(true).open("/dev/full")?);
    let mut berth = command.spawn()?;
    let used = use_it(&data.path().join("berth.addr")).await;
    let lives = berth.try_wait()?.is_none();
    berth.kill()?;
    berth.wait()?;
    used?;
    anyhow::ensure!(lives, "it ended");
    Ok(())
}

async fn use_it(address_file: &std::path::Path) -> anyhow::Result<()> {
    let address = eventually("the address", Duration::from_secs(20), || async { Ok(fs::read_to_string(address_file).ok()) });
    let client = Client::new(&format!("http://{}", address.await?.trim()))?;
    Person::sign_up(&client, "unlogged").await?;
    let (status, text) = client.get("/readyz").await?;
    anyhow::ensure!(status == 200, "{text}");
    Ok(())
}
