//! The same work on many things, shared among a few threads: reading files and documents, and the controllers' first
//! look at a large cluster. Results come in the order of the things, so nobody sees that there were threads.

use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread;

/// So many threads at most: beyond that, memory is what is waited for.
const THREADS: usize = 4;

/// Fewer things than this are done sooner than a thread begins.
pub(crate) const WORTH_IT: usize = 64;

/// How many threads share work. Asked once: the answer is put together from files of the system.
pub(crate) fn threads() -> usize {
    static COUNT: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS));
    *COUNT
}

/// What `work` makes of each of `items`, in their order. Threads are used from `worth_it` items on.
pub fn map<T: Sync, R: Send>(items: &[T], worth_it: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if items.len() < worth_it.max(2) || threads() == 1 {
        return items.iter().map(work).collect();
    }
    let share = items.len().div_ceil(threads());
    let (first, others) = items.split_at(share);
    thread::scope(|scope| {
        let part = |part: &[T]| part.iter().map(&work).collect::<Vec<R>>();
        let others: Vec<_> = others.chunks(share).map(|others| scope.spawn(move || part(others))).collect();
        let mut all = part(first);
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order() {
        for count in [0, 1, 2, 3, 5, 64, 1001] {
            let items: Vec<usize> = (0..count).collect();
            for worth_it in [0, 1, 100] {
                let doubled = map(&items, worth_it, |n| n * 2);
                assert_eq!(doubled, items.iter().map(|n| n * 2).collect::<Vec<_>>());
            }
        }
    }
}
