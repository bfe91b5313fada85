//! Distributes the same work on many items over a few threads: reading files and documents, and the controllers' first
//! run over a large cluster. Results are in the order of the items, so that threads make no visible difference.

use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread;

/// Maximum number of threads: with more, memory is the bottleneck.
const THREADS: usize = 4;

/// Minimum number of items: fewer are processed sooner than a thread starts.
pub(crate) const ITEMS_MIN: usize = 64;

/// Number of threads that share work. Cached: the system computes it from files.
pub(crate) fn threads() -> usize {
    static COUNT: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS));
    *COUNT
}

/// Applies `work` to each of `items`, and returns the results in their order. Uses threads for `items_min` items or
/// more.
pub fn map<T: Sync, R: Send>(items: &[T], items_min: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if items.len() < items_min.max(2) || threads() == 1 {
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
            for items_min in [0, 1, 100] {
                let doubled = map(&items, items_min, |n| n * 2);
                assert_eq!(doubled, items.iter().map(|n| n * 2).collect::<Vec<_>>());
            }
        }
    }
}
