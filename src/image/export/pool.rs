//! Work in parallel, results in order.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::sync_channel;
use std::thread;

/// Results that are made ahead of the one that is taken, for each thread. It bounds memory.
const AHEAD: usize = 2;

/// As many threads as the process may use processors.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Make the results 0 to `count`-1 on `threads` threads, each with a worker of its own from `worker`, and give them to `take` in their order on
/// the caller's thread. At most [`AHEAD`] results for each thread wait, however slow `take` is. No worker may start a program: see
/// [`crate::base::process`].
///
/// # Errors
/// The first error in the order of the results, of a worker or of `take`. Work that was begun is finished, nothing more is begun.
pub(super) fn in_order<T: Send, E: Send, W: FnMut(usize) -> Result<T, E>>(
    count: usize,
    threads: usize,
    worker: impl Fn() -> W + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let (queue, waiting) = sync_channel(threads * AHEAD);
    let next = Mutex::new(0);
    // A thread takes a number and queues the place of its result in one step, so that places stand in the queue in order. A full queue makes it
    // wait with the lock held, and the others then wait for the lock: none of them could queue its place either.
    let begin = |queue: &std::sync::mpsc::SyncSender<_>| {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        if *next == count {
            return None;
        }
        let (place, result) = sync_channel::<Result<T, E>>(1);
        queue.send(result).ok()?;
        *next += 1;
        Some((*next - 1, place))
    };
    thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            let (queue, begin, worker) = (queue.clone(), &begin, &worker);
            scope.spawn(move || {
                let mut work = worker();
                while let Some((index, place)) = begin(&queue) {
                    let result = work(index);
                    let failed = result.is_err();
                    if place.send(result).is_err() || failed {
                        return;
                    }
                }
            });
        }
        drop(queue);
        // Dropped at the end of this closure, before the scope waits: threads that queue a place then stop.
        let waiting = waiting;
        for index in 0..count {
            // A thread that panicked leaves no result. The scope passes the panic on.
            let Ok(Ok(result)) = waiting.recv().map(|place| place.recv()) else { break };
            take(index, result?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order_whoever_is_quicker() {
        for threads in [1, 2, 5] {
            let mut taken = Vec::new();
            let slow_first = || {
                |index: usize| {
                    thread::sleep(Duration::from_millis(if index.is_multiple_of(3) { 4 } else { 0 }));
                    Ok::<_, ()>(index * 10)
                }
            };
            let result = in_order(40, threads, slow_first, |index, value| {
                taken.push((index, value));
                Ok(())
            });
            assert_eq!((result, taken), (Ok(()), (0..40).map(|index| (index, index * 10)).collect()));
        }
        assert_eq!(in_order(0, 3, || |_| Err::<(), _>(()), |_, ()| Ok(())), Ok(()));
    }

    #[test]
    fn the_first_error_ends_the_work() {
        let (begun, mut taken) = (AtomicUsize::new(0), 0);
        let worker = || {
            |index| {
                begun.fetch_add(1, Ordering::Relaxed);
                if index == 7 || index == 9 { Err(index) } else { Ok(()) }
            }
        };
        let result = in_order(100_000, 3, worker, |_, ()| {
            taken += 1;
            Ok(())
        });
        assert_eq!((result, taken), (Err(7), 7));
        // `take` may fail as well; then the threads stop.
        assert_eq!(in_order(100_000, 3, worker, |index, ()| if index == 4 { Err(index) } else { Ok(()) }), Err(4));
        assert!(begun.load(Ordering::Relaxed) < 100);
    }

    #[test]
    fn few_results_wait_for_a_slow_taker() {
        let (made, mut most) = (AtomicUsize::new(0), 0);
        let worker = || |_| Ok::<_, ()>(made.fetch_add(1, Ordering::Relaxed));
        in_order(200, 2, worker, |index, _| {
            thread::sleep(Duration::from_millis(1));
            most = most.max(made.load(Ordering::Relaxed) - index);
            Ok(())
        })
        .unwrap();
        // The results in the queue, one that each thread makes, and the one that is taken.
        assert!(most <= 2 * AHEAD + 2 + 1, "{most}");
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_passed_on() {
        let worker = || |index: usize| if index == 3 { panic!("planned by the test") } else { Ok::<_, ()>(()) };
        let _ = in_order(10, 2, worker, |_, ()| Ok(()));
    }
}
