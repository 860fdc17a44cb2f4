//! What the command line may set.

use std::path::PathBuf;

use super::Refusal;
use crate::role::Service;

/// What the command line may set.
#[derive(Debug, Default, Clone)]
pub struct Arguments {
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--role`
    pub roles: Vec<String>,
    /// `--subgraph NAME=URL[,URL...]`
    pub subgraphs: Vec<String>,
}

impl Arguments {
    /// Settings by key, as a configuration file would have them.
    pub(super) fn settings(&self) -> Result<Vec<(String, String)>, Refusal> {
        let mut settings = Vec::new();
        settings.extend(self.listen.clone().map(|listen| ("listen".to_owned(), listen)));
        if !self.roles.is_empty() {
            settings.push(("roles".to_owned(), self.roles.join(",")));
        }
        for subgraph in &self.subgraphs {
            let named = subgraph.split_once('=');
            let known = named.filter(|(name, _)| Service::ALL.iter().any(|service| service.name() == *name));
            let (name, urls) = known.ok_or_else(|| {
                Refusal::new("--subgraph", format!("{subgraph:?} names no service"), "--subgraph inventory=http://127.0.0.1:4102")
            })?;
            settings.push((format!("subgraph_{name}"), urls.to_owned()));
        }
        Ok(settings)
    }
}
