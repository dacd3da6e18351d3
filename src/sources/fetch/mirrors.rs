//! The loop over the URLs that may have a file.

use super::client::{host, shown};
use crate::base::event::Task;
use crate::sources::SourceError;

/// The result of `ask` for the first of `urls` that succeeds, else the reason of each failure, in their order. An error of `ask` ends the
/// search.
pub(super) async fn first_of<T>(
    urls: &[String],
    left: impl Fn(&str, &str),
    mut ask: impl AsyncFnMut(&str) -> Result<Result<T, String>, SourceError>,
) -> Result<Result<T, Vec<(String, String)>>, SourceError> {
    let mut failures = Vec::new();
    for url in urls {
        match ask(url).await? {
            Ok(found) => return Ok(Ok(found)),
            Err(why) => {
                // The last one's failure is a part of the error.
                if failures.len() + 1 < urls.len() {
                    left(&host(url), &why);
                }
                failures.push((shown(url), why));
            }
        }
    }
    Ok(Err(failures))
}

/// Makes a function that warns that `what` is looked for elsewhere.
pub(super) fn warn_of<'t>(what: &'t str, task: &'t Task) -> impl Fn(&str, &str) + 't {
    move |host, why| task.events().warn(format!("{what} is not to be had from {host}: {why}"))
}
