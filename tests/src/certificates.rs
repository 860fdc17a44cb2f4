//! A certificate authority of a test's own, by the `openssl` program: certificates for servers on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

/// An authority, with its files in a folder.
pub struct Authority {
    folder: PathBuf,
}

/// A server's certificate and its key, as PEM files.
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one in a new folder of this name.
    pub fn new(parent: &Path, name: &str) -> anyhow::Result<Self> {
        let authority = Self { folder: parent.join(name) };
        fs::create_dir(&authority.folder)?;
        let settings = format!(
            "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = extensions\n[name]\nCN = {name}\n\
             [extensions]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\n"
        );
        let settings = authority.write("authority.cnf", &settings)?;
        let mut make = openssl("req");
        make.args(["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256", "-days", "2"]);
        run(make
            .arg("-config")
            .arg(settings)
            .arg("-keyout")
            .arg(authority.file("ca.key"))
            .arg("-out")
            .arg(authority.certificate()))?;
        Ok(authority)
    }

    /// What clients are told to trust.
    pub fn certificate(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// A certificate for a server of these names: `DNS:localhost`, `IP:127.0.0.1`.
    pub fn sign(&self, server: &str, names: &[&str]) -> anyhow::Result<Certificate> {
        let request = self.file(&format!("{server}.csr"));
        let made = Certificate { certificate: self.file(&format!("{server}.pem")), key: self.file(&format!("{server}.key")) };
        let settings = self.write(
            &format!("{server}.cnf"),
            &format!(
                "[req]\nprompt = no\ndistinguished_name = name\n[name]\nCN = {server}\n[extensions]\nbasicConstraints = CA:FALSE\n\
                 extendedKeyUsage = serverAuth\nsubjectAltName = {}\n",
                names.join(", ")
            ),
        )?;
        let mut ask = openssl("req");
        ask.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"])
            .arg("-config")
            .arg(&settings);
        run(ask.arg("-keyout").arg(&made.key).arg("-out").arg(&request))?;
        let mut sign = openssl("x509");
        sign.args(["-req", "-sha256", "-days", "2", "-CAcreateserial", "-extensions", "extensions"]);
        sign.arg("-extfile").arg(&settings).arg("-CA").arg(self.certificate()).arg("-CAkey").arg(self.file("ca.key"));
        run(sign.arg("-in").arg(&request).arg("-out").arg(&made.certificate))?;
        Ok(made)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        fs::write(self.file(name), text)?;
        Ok(self.file(name))
    }
}

fn openssl(command: &str) -> Command {
    let mut openssl = Command::new("openssl");
    openssl.arg(command);
    openssl
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let done = command.output().context("the tests of TLS need the program openssl: ./tests/run brings it")?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
