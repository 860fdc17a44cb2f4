//! Keys that sign, one after the other: a new one is published before it signs, an old one is trusted while what it signed lives.
//!
//! A ring is a folder's files `NAME.pem` (the first key) and `NAME-SECONDS.pem` (signs from that instant on, in seconds since
//! 1970). Every process reads the same folder, so a key is changed by writing a file: no message, no restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::DecodingKey;
use parking_lot::RwLock;

use crate::{auth::SignKey, clock::Clock};

/// Every process has seen a new file after this time.
pub const READ_EVERY: Duration = Duration::from_secs(5);
/// Who shows unknown keys makes us read no more often than this.
const READ_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// A ring of keys. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    inner: Arc<Inner>,
}

struct Inner {
    /// Where the files are; `None` for a ring that never changes.
    place: Option<Place>,
    clock: Clock,
    /// How long a key is trusted after the next one has begun to sign.
    kept: TimeDelta,
    state: RwLock<State>,
}

struct Place {
    folder: PathBuf,
    name: Box<str>,
}

struct State {
    /// Oldest first, never empty.
    keys: Vec<Dated>,
    read_at: Instant,
}

/// A key with the instant from which it signs.
#[derive(Clone)]
struct Dated {
    from: DateTime<Utc>,
    key: SignKey,
    verifies: DecodingKey,
}

/// What a key of a ring is for at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Published, and signs later.
    Waits,
    /// Signs.
    Signs,
    /// Signs no more; what it signed is still trusted.
    Verifies,
    /// Over.
    Ended,
}

/// A key as an operator sees it.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// Its name in the JWKS.
    pub kid: String,
    /// From when on it signs; 1970 for the first key of a ring.
    pub from: DateTime<Utc>,
    /// What it is for now.
    pub duty: Duty,
}

impl KeyRing {
    /// The ring of a folder. Makes the first key where there is none. A key is trusted for `kept` after its time.
    pub fn open(folder: &Path, name: &str, clock: Clock, kept: TimeDelta) -> io::Result<Self> {
        match Self::load(folder, name, clock.clone(), kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                SignKey::load_or_create(&Place { folder: folder.to_owned(), name: name.into() }.file(0))?;
                Self::load(folder, name, clock, kept)
            }
            loaded => loaded,
        }
    }

    /// The ring of a folder as it is; an error where there is no key.
    pub fn load(folder: &Path, name: &str, clock: Clock, kept: TimeDelta) -> io::Result<Self> {
        let place = Place { folder: folder.to_owned(), name: name.into() };
        let keys = place.read(&[])?;
        let state = RwLock::new(State { keys, read_at: Instant::now() });
        Ok(Self { inner: Arc::new(Inner { place: Some(place), clock, kept, state }) })
    }

    /// The key that signs now.
    pub fn signing(&self) -> SignKey {
        self.read_if_older_than(READ_EVERY);
        let (state, now) = (self.inner.state.read(), self.inner.clock.now());
        // The first key of all signs before its time too.
        let signing = state.keys.iter().rev().find(|dated| dated.from <= now).or(state.keys.first());
        signing.map_or_else(SignKey::generate, |dated| dated.key.clone())
    }

    /// Verifies what the trusted key of this name signed.
    pub fn find(&self, kid: &str) -> Option<DecodingKey> {
        self.look_up(kid, |dated| dated.verifies.clone())
    }

    /// The public half of the trusted key of this name: base64url without padding.
    pub fn public(&self, kid: &str) -> Option<String> {
        self.look_up(kid, |dated| dated.key.public())
    }

    /// Whether a key of this name is trusted now.
    pub fn trusts(&self, kid: &str) -> bool {
        self.look_up(kid, |_| ()).is_some()
    }

    /// The public halves of all trusted keys, those that wait for their time included, as JWKs.
    pub fn jwks(&self) -> Vec<serde_json::Value> {
        self.read_if_older_than(READ_EVERY);
        let (state, now) = (self.inner.state.read(), self.inner.clock.now());
        let trusted = (0..state.keys.len()).filter(|&at| self.duty(&state, at, now) != Duty::Ended);
        trusted.map(|at| state.keys[at].key.jwk()).collect()
    }

    /// Every key, oldest first.
    pub fn list(&self) -> Vec<KeyInfo> {
        self.read_if_older_than(Duration::ZERO);
        let (state, now) = (self.inner.state.read(), self.inner.clock.now());
        let info = |(at, dated): (usize, &Dated)| KeyInfo {
            kid: dated.key.kid().to_owned(),
            from: dated.from,
            duty: self.duty(&state, at, now),
        };
        state.keys.iter().enumerate().map(info).collect()
    }

    /// Adds a key that signs from an instant on, and removes the files of keys that are over. Answers the new key's name.
    pub fn rotate(&self, from: DateTime<Utc>) -> io::Result<String> {
        let place = self.place()?;
        let path = place.file(from.timestamp());
        if path.exists() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is there already", path.display())));
        }
        let kid = SignKey::load_or_create(&path)?.kid().to_owned();
        self.remove(|key| key.duty == Duty::Ended)?;
        Ok(kid)
    }

    /// Removes every key but one: nothing that the others signed is trusted any more. Answers how many there were.
    pub fn distrust_others(&self, kid: &str) -> io::Result<usize> {
        self.remove(|key| key.kid != kid)
    }

    fn remove(&self, over: impl Fn(&KeyInfo) -> bool) -> io::Result<usize> {
        let place = self.place()?;
        let gone: Vec<_> = self.list().into_iter().filter(over).collect();
        for key in &gone {
            fs::remove_file(place.file(key.from.timestamp()))?;
        }
        self.read_if_older_than(Duration::ZERO);
        Ok(gone.len())
    }

    fn place(&self) -> io::Result<&Place> {
        self.inner.place.as_ref().ok_or_else(|| io::Error::other("this ring has no folder"))
    }

    fn look_up<T>(&self, kid: &str, part: impl Fn(&Dated) -> T) -> Option<T> {
        self.read_if_older_than(READ_EVERY);
        self.known(kid, &part).or_else(|| {
            // It may be a key that another process has just begun to use.
            self.read_if_older_than(READ_AT_MOST_EVERY);
            self.known(kid, &part)
        })
    }

    fn known<T>(&self, kid: &str, part: impl Fn(&Dated) -> T) -> Option<T> {
        let state = self.inner.state.read();
        let at = state.keys.iter().position(|dated| dated.key.kid() == kid)?;
        (self.duty(&state, at, self.inner.clock.now()) != Duty::Ended).then(|| part(&state.keys[at]))
    }

    fn duty(&self, state: &State, at: usize, now: DateTime<Utc>) -> Duty {
        let next = state.keys.get(at + 1).map(|next| next.from);
        match next {
            Some(next) if next.checked_add_signed(self.inner.kept).is_some_and(|end| end <= now) => Duty::Ended,
            Some(next) if next <= now => Duty::Verifies,
            _ if state.keys[at].from <= now => Duty::Signs,
            _ => Duty::Waits,
        }
    }

    /// Reads the folder when it was last read that long ago. What can't be read leaves the known keys as they are.
    fn read_if_older_than(&self, age: Duration) {
        let Some(place) = &self.inner.place else { return };
        if self.inner.state.read().read_at.elapsed() < age {
            return;
        }
        let mut state = self.inner.state.write();
        if state.read_at.elapsed() < age {
            return;
        }
        state.read_at = Instant::now();
        match place.read(&state.keys) {
            Ok(keys) => state.keys = keys,
            Err(error) => tracing::warn!(error = %error, "keys.unreadable"),
        }
    }
}

impl Place {
    fn file(&self, from_secs: i64) -> PathBuf {
        let name = &self.name;
        self.folder.join(if from_secs == 0 { format!("{name}.pem") } else { format!("{name}-{from_secs}.pem") })
    }

    /// From when on the key of a file signs, if it is one of this ring.
    fn first_second(&self, file: &str) -> Option<i64> {
        match file.strip_prefix(&*self.name)?.strip_suffix(".pem")? {
            "" => Some(0),
            dated => dated.strip_prefix('-')?.parse().ok().filter(|secs| *secs > 0),
        }
    }

    /// All keys, oldest first; what is known is not read again.
    fn read(&self, known: &[Dated]) -> io::Result<Vec<Dated>> {
        let mut keys = Vec::with_capacity(known.len() + 1);
        for entry in fs::read_dir(&self.folder)? {
            let Some(secs) = entry?.file_name().to_str().and_then(|file| self.first_second(file)) else { continue };
            let from = DateTime::from_timestamp(secs, 0).ok_or_else(|| io::Error::other("no such instant"))?;
            let key = known.iter().find(|dated| dated.from == from).cloned();
            keys.push(key.map_or_else(|| Dated::load(&self.file(secs), from), Ok)?);
        }
        keys.sort_by_key(|dated| dated.from);
        if keys.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, "the ring has no key")) } else { Ok(keys) }
    }
}

impl Dated {
    fn load(path: &Path, from: DateTime<Utc>) -> io::Result<Self> {
        Self::new(SignKey::load(path)?, from).map_err(io::Error::other)
    }

    fn new(key: SignKey, from: DateTime<Utc>) -> Result<Self, jsonwebtoken::errors::Error> {
        Ok(Self { from, verifies: DecodingKey::from_ed_components(&key.public())?, key })
    }
}

/// A ring that never changes.
impl From<&[SignKey]> for KeyRing {
    fn from(keys: &[SignKey]) -> Self {
        let keys = keys.iter().filter_map(|key| Dated::new(key.clone(), DateTime::UNIX_EPOCH).ok()).collect();
        let state = RwLock::new(State { keys, read_at: Instant::now() });
        Self { inner: Arc::new(Inner { place: None, clock: Clock::system(), kept: TimeDelta::MAX, state }) }
    }
}

impl From<&[SignKey; 1]> for KeyRing {
    fn from(keys: &[SignKey; 1]) -> Self {
        keys.as_slice().into()
    }
}

impl From<SignKey> for KeyRing {
    fn from(key: SignKey) -> Self {
        [key].as_slice().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duties(ring: &KeyRing) -> Vec<Duty> {
        ring.list().iter().map(|key| key.duty).collect()
    }

    #[test]
    fn a_key_is_published_signs_verifies_and_ends() {
        let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::system());
        let ring = KeyRing::open(folder.path(), "access", clock.clone(), TimeDelta::minutes(10)).expect("opens");
        let first = ring.signing();
        let second = ring.rotate(clock.now() + TimeDelta::minutes(5)).expect("rotates");
        assert_eq!(duties(&ring), [Duty::Signs, Duty::Waits]);
        assert_eq!((ring.signing().kid(), ring.trusts(&second), ring.jwks().len()), (first.kid(), true, 2));
        clock.advance(TimeDelta::minutes(5));
        assert_eq!((ring.signing().kid(), duties(&ring)), (second.as_str(), vec![Duty::Verifies, Duty::Signs]));
        clock.advance(TimeDelta::minutes(10));
        assert_eq!((duties(&ring), ring.trusts(first.kid())), (vec![Duty::Ended, Duty::Signs], false));
        ring.rotate(clock.now() + TimeDelta::minutes(5)).expect("rotates");
        assert_eq!(duties(&ring), [Duty::Signs, Duty::Waits]);
    }

    #[test]
    fn other_processes_see_a_new_key_at_its_first_use() {
        let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::system());
        let open = || KeyRing::open(folder.path(), "access", clock.clone(), TimeDelta::minutes(10)).expect("opens");
        let (one, other) = (open(), open());
        std::thread::sleep(READ_AT_MOST_EVERY);
        let kid = one.rotate(clock.now() - TimeDelta::seconds(1)).expect("rotates");
        assert!(other.find(&kid).is_some());
        assert_eq!(other.signing().kid(), kid);
        assert_eq!(one.distrust_others(&kid).expect("removes"), 1);
        assert_eq!((duties(&other), duties(&open())), (vec![Duty::Signs], vec![Duty::Signs]));
        assert!(one.find("unknown").is_none());
    }

    #[test]
    fn other_files_are_no_keys_of_the_ring() {
        let place = Place { folder: PathBuf::new(), name: "access".into() };
        let names = ["access.pem", "access-17.pem", "access-x.pem", "accessory.pem", "access.Kf3", "ticket.pem"];
        assert_eq!(names.map(|name| place.first_second(name)), [Some(0), Some(17), None, None, None, None]);
    }
}
