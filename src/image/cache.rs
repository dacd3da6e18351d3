//! A bounded memory of clusters: tables, and data that was expensive to decompress.
//!
//! Reading an ext4 tree out of deflate clusters took 24 s when one decompressed cluster was remembered, 1.6 s with 512.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Bytes kept by one cache. One cache serves a whole backing chain, however long.
pub(crate) const BUDGET_BYTES: usize = 16 << 20;

/// Which file of the chain, and the byte offset in it.
pub(crate) type Key = (usize, u64);

/// Least recently used goes first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: HashMap<Key, (u64, Arc<[u8]>)>,
    /// When each entry was last used.
    order: BTreeMap<u64, Key>,
    used_bytes: usize,
    clock: u64,
}

impl Cache {
    pub(crate) fn get(&mut self, key: Key) -> Option<Arc<[u8]>> {
        self.clock += 1;
        let (tick, bytes) = self.entries.get_mut(&key)?;
        self.order.remove(tick);
        *tick = self.clock;
        self.order.insert(self.clock, key);
        Some(Arc::clone(bytes))
    }

    pub(crate) fn put(&mut self, key: Key, bytes: Arc<[u8]>) {
        self.clock += 1;
        self.used_bytes += bytes.len();
        if let Some((tick, old)) = self.entries.insert(key, (self.clock, bytes)) {
            self.order.remove(&tick);
            self.used_bytes -= old.len();
        }
        self.order.insert(self.clock, key);
        while self.used_bytes > BUDGET_BYTES {
            let Some((_, key)) = self.order.pop_first() else { break };
            if let Some((_, old)) = self.entries.remove(&key) {
                self.used_bytes -= old.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_what_was_not_used_for_longest_and_stays_bounded() {
        let mut cache = Cache::default();
        let quarter: Arc<[u8]> = vec![0; BUDGET_BYTES / 4].into();
        for offset in 0..4 {
            cache.put((0, offset), Arc::clone(&quarter));
        }
        assert!(cache.get((0, 0)).is_some());
        cache.put((0, 4), Arc::clone(&quarter));
        cache.put((0, 4), Arc::clone(&quarter));
        let there: Vec<_> = (0..5).filter(|offset| cache.get((0, *offset)).is_some()).collect();
        assert_eq!((there, cache.used_bytes), (vec![0, 2, 3, 4], BUDGET_BYTES));
        assert!(cache.get((1, 0)).is_none());
    }
}
