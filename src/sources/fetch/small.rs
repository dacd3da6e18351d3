//! Reads a small file without a pin into memory. It is read again every time.

use std::time::Duration;

use reqwest::Client;

use super::answer::Answer;
use super::client::{wary_client, words};
use super::mirrors::{first_of, warn_of};
use super::patience::Patience;
use super::transfer::{PAGE, is_page};
use super::{Way, Web, host_of};
use crate::base::event::Task;
use crate::base::size::rounded;
use crate::sources::SourceError;

/// Why a server was given up.
struct Left {
    why: String,
    /// It may be tried again, perhaps after a time.
    again: Option<Option<Duration>>,
    /// The server has answered.
    is_reached: bool,
}

/// Fetch a file of at most `limit` bytes from the first of `urls` that has it. Errors have its name in the recipe, and what the user can do
/// when no server has it. Only https and this machine are trusted; the recipe was checked for that.
///
/// # Errors
/// No URL gives it, each with why.
pub(in crate::sources) async fn small(
    what: &str,
    way: Way<'_>,
    urls: &[String],
    limit: u64,
    web: &Web,
    task: &Task,
) -> Result<Vec<u8>, SourceError> {
    let client = wary_client(&web.proxies, web.silence)?;
    let found = first_of(urls, warn_of(what, task), async |url| {
        task.step(&format!("fetch {what} from {}", host_of(url)));
        Ok(patiently(&client, url, limit, web, task).await)
    });
    let (Way::Copy(key) | Way::Mirrors(key)) = way;
    found.await?.map_err(|failures| SourceError::NoMirror { what: what.to_owned(), key: key.to_owned(), failures })
}

async fn patiently(client: &Client, url: &str, limit: u64, web: &Web, task: &Task) -> Result<Vec<u8>, String> {
    let mut patience = Patience::new(web);
    loop {
        let left = match once(client, url, limit).await {
            Ok(bytes) => return Ok(bytes),
            Err(left) => left,
        };
        let Some(after) = left.again else { return Err(left.why) };
        if !patience.waits(left.is_reached, after, &format!("{}: {}", host_of(url), left.why), task).await {
            return Err(left.why);
        }
    }
}

async fn once(client: &Client, url: &str, limit: u64) -> Result<Vec<u8>, Left> {
    let again = |error: &reqwest::Error, is_reached| Left { why: words(error), again: (!error.is_redirect()).then_some(None), is_reached };
    let never = |why: String| Left { why, again: None, is_reached: true };
    let mut response = client.get(url).send().await.map_err(|error| again(&error, false))?;
    match Answer::of(response.status(), response.headers(), 0) {
        Answer::Whole(_) => {}
        Answer::Later(why, after) => return Err(Left { why, again: Some(after), is_reached: true }),
        Answer::Never(why) => return Err(never(why)),
        Answer::Rest(_) | Answer::Complete | Answer::Another => return Err(never("it answers what it was not asked".to_owned())),
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| again(&error, true))? {
        if bytes.is_empty() && is_page(&piece) {
            return Err(never(PAGE.to_owned()));
        }
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > limit {
            return Err(never(format!("it has more than {}", rounded(limit))));
        }
    }
    Ok(bytes)
}
