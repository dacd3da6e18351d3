//! Decides how long a failing server is retried.

use std::time::Duration;

use super::web::Web;
use crate::base::event::Task;

/// How often a server is retried that has not answered at all. It is few, because the host may have no network.
const UNREACHED: usize = 2;
/// The longest time that a server may ask us to wait.
const AFTER_MAX: Duration = Duration::from_secs(60);

/// The patience with one server.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    web: &'a Web,
    /// Failures in a row.
    failed: usize,
}

impl<'a> Patience<'a> {
    /// Full patience.
    pub(super) fn new(web: &'a Web) -> Self {
        Self { web, failed: 0 }
    }

    /// Wait, as long as it asks for when that is longer than we would, and tell the reason `why`. Returns false when there is no patience
    /// left.
    pub(super) async fn waits(&mut self, is_reached: bool, asked: Option<Duration>, why: &str, task: &Task) -> bool {
        let tries = if is_reached { usize::MAX } else { UNREACHED };
        let Some(pause) = self.web.pauses.get(self.failed).filter(|_| self.failed < tries) else { return false };
        self.failed += 1;
        let pause = asked.map_or(*pause, |asked| asked.min(AFTER_MAX).max(*pause));
        task.step(&format!("{why}; again in {} s", pause.as_secs()));
        tokio::time::sleep(pause).await;
        true
    }
}
