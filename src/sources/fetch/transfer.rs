//! One file from one server, in as many tries as it takes.

use std::time::{Duration, Instant};

use reqwest::header::{IF_RANGE, RANGE};
use reqwest::{Client, Response};

use super::answer::{Answer, validator};
use super::client::{host, shown, words};
use super::part::{Origin, Part};
use super::patience::Patience;
use super::web::Web;
use crate::base::digest::Sha256Digest;
use crate::base::event::{Task, Unit};
use crate::base::size::rounded;
use crate::cache::Store;
use crate::sources::{SourceError, magic};

/// Bytes that a try must bring so that earlier failures no longer count.
const PROGRESS: u64 = 1 << 20;
/// The period of progress reports.
const TELL: Duration = Duration::from_millis(100);

/// The reason when a server sends a web page instead of a file.
pub(super) const PAGE: &str = "it gives a web page, such as one to log in, and not the file";

/// The file to fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub what: &'a str,
    pub sha256: Sha256Digest,
    pub says: &'a str,
    pub limit: u64,
}

/// A file on its way.
#[derive(Debug)]
pub(super) struct Transfer<'a> {
    pub wanted: Wanted<'a>,
    pub client: &'a Client,
    pub web: &'a Web,
    pub store: &'a Store,
    pub task: &'a Task,
    pub part: Part,
    /// Whether the server has answered anything.
    pub is_reached: bool,
}

/// Why a try ended without the file.
enum Stop {
    /// The next try may go on from there, perhaps after a time.
    Again(String, Option<Duration>),
    /// No try from this address will succeed.
    Elsewhere(String),
    /// No other address will help either.
    Here(SourceError),
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Here(error)
    }
}

impl Transfer<'_> {
    /// Get the rest of the file from `url`. The inner error says why this URL does not give it.
    ///
    /// # Errors
    /// It cannot be written, so that no other address helps.
    pub(super) async fn from(&mut self, url: &str) -> Result<Result<(), String>, SourceError> {
        self.is_reached = false;
        let mut patience = Patience::new(self.web);
        let mut is_checked = false;
        loop {
            let before = self.part.bytes();
            let stop = match self.attempt(url).await {
                Ok(()) => match self.judge(url)? {
                    Ok(()) => return Ok(Ok(())),
                    // Pieces of different files may have been put together.
                    Err(why) if self.part.is_pieced && !is_checked => {
                        is_checked = true;
                        self.part.restart()?;
                        Stop::Again(why, None)
                    }
                    Err(why) => {
                        self.part.restart()?;
                        Stop::Elsewhere(why)
                    }
                },
                Err(stop) => stop,
            };
            let (why, after) = match stop {
                Stop::Again(why, after) => (why, after),
                Stop::Elsewhere(why) => return Ok(Err(why)),
                Stop::Here(error) => return Err(error),
            };
            if self.part.bytes() >= before.saturating_add(PROGRESS) {
                patience = Patience::new(self.web);
            }
            if !patience.waits(self.is_reached, after, &format!("{}: {why}", host(url)), self.task).await {
                return Ok(Err(why));
            }
        }
    }

    /// Whether the file is the pinned one.
    fn judge(&mut self, url: &str) -> Result<Result<(), String>, SourceError> {
        let (found, expected) = (self.part.digest(), self.wanted.sha256);
        if found == expected {
            return Ok(Ok(()));
        }
        let path = self.part.path();
        let is = magic::identify(path).map_err(|source| SourceError::Scratch { path: path.to_owned(), source })?;
        Ok(Err(format!("what {} gives is {is} with sha256 {found}, {} says {expected}", shown(url), self.wanted.says)))
    }

    /// Make one request and read its answer.
    async fn attempt(&mut self, url: &str) -> Result<(), Stop> {
        let from = self.part.bytes();
        let mut request = self.client.get(url);
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
            let origin =
                Origin::recall(self.store, &self.wanted.sha256).filter(|origin| *origin == Origin::new(url, origin.validator.clone()));
            if let Some(validator) = origin.and_then(|origin| origin.validator) {
                request = request.header(IF_RANGE, validator);
            }
        }
        let response = request.send().await.map_err(|error| Stop::Again(words(&error), None))?;
        self.is_reached = true;
        let total = match Answer::of(response.status(), response.headers(), from) {
            Answer::Rest(total) => Some(total),
            Answer::Whole(total) => {
                self.part.restart()?;
                total
            }
            Answer::Complete => return Ok(()),
            Answer::Another => {
                self.part.restart()?;
                return Err(Stop::Again("it has another file than what there is the beginning of".to_owned(), None));
            }
            Answer::Later(why, after) => return Err(Stop::Again(why, after)),
            Answer::Never(why) => return Err(Stop::Elsewhere(why)),
        };
        if total.is_some_and(|total| total > self.wanted.limit) {
            return Err(Stop::Elsewhere(format!("it has more than {}", rounded(self.wanted.limit))));
        }
        require_room(self.wanted.what, self.store, total.unwrap_or_default().saturating_sub(self.part.bytes()))?;
        Origin::new(url, validator(response.headers())).remember(self.store, &self.wanted.sha256);
        self.part.is_pieced = self.part.bytes() > 0;
        self.receive(response, url, total).await
    }

    async fn receive(&mut self, mut response: Response, url: &str, total: Option<u64>) -> Result<(), Stop> {
        let step = format!("fetch {} from {}", self.wanted.what, host(url));
        let mut told: Option<Instant> = None;
        loop {
            if told.is_none_or(|told| told.elapsed() >= TELL) {
                self.task.progress(&step, self.part.bytes(), total, Unit::Bytes);
                told = Some(Instant::now());
            }
            let Some(bytes) = response.chunk().await.map_err(|error| Stop::Again(self.broke_off(&error, total), None))? else {
                break;
            };
            if self.part.bytes() == 0 && is_page(&bytes) {
                return Err(Stop::Elsewhere(PAGE.to_owned()));
            }
            let allowed = total.unwrap_or(self.wanted.limit);
            if self.part.bytes() + bytes.len() as u64 > allowed {
                self.part.restart()?;
                return Err(Stop::Elsewhere(format!("it sends more than {}", rounded(allowed))));
            }
            self.part.add(&bytes)?;
        }
        self.task.progress(&step, self.part.bytes(), total, Unit::Bytes);
        match total.filter(|total| self.part.bytes() < *total) {
            Some(total) => Err(Stop::Again(format!("it ended after {} of {}", rounded(self.part.bytes()), rounded(total)), None)),
            None => Ok(()),
        }
    }

    fn broke_off(&self, error: &reqwest::Error, total: Option<u64>) -> String {
        let of = total.map(|total| format!(" of {}", rounded(total))).unwrap_or_default();
        format!("it broke off after {}{of} ({})", rounded(self.part.bytes()), words(error))
    }
}

/// How large the file at `url` is, asked by a request for its first byte, because every server answers that.
///
/// # Errors
/// Why it cannot be had from there.
pub(super) async fn look(client: &Client, url: &str) -> Result<Option<u64>, String> {
    let mut response = client.get(url).header(RANGE, "bytes=0-0").send().await.map_err(|error| words(&error))?;
    match Answer::of(response.status(), response.headers(), 0) {
        Answer::Whole(bytes) => match response.chunk().await.map_err(|error| words(&error))? {
            Some(begin) if is_page(&begin) => Err(PAGE.to_owned()),
            _ => Ok(bytes),
        },
        Answer::Rest(bytes) => Ok(Some(bytes)),
        Answer::Complete | Answer::Another => Ok(None),
        Answer::Later(why, _) | Answer::Never(why) => Err(why),
    }
}

/// Whether a file with this beginning is a web page, which servers often send instead of a file.
pub(super) fn is_page(begin: &[u8]) -> bool {
    magic::kind_of(begin) == magic::WEB_PAGE
}

/// Make sure that `needed` bytes can be written to the store.
///
/// # Errors
/// They cannot.
pub(in crate::sources) fn require_room(what: &str, store: &Store, needed: u64) -> Result<(), SourceError> {
    let free = store.free_bytes()?;
    if needed <= free {
        return Ok(());
    }
    Err(SourceError::NoRoom { what: what.to_owned(), path: store.root().to_owned(), needed, free })
}
