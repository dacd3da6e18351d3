//! Values by name in one array. A separate allocation for each of 150,000 names would take longer than filling the array.

use super::model::Name;

/// Values under names, one array for all.
pub(super) struct Grouped<T> {
    starts: Vec<u32>,
    values: Vec<T>,
}

impl<T: Copy> Grouped<T> {
    /// Group what `pairs` yields; it is called twice and yields the same each time.
    pub(super) fn of<I: Iterator<Item = (Name, T)>>(names: usize, fallback: T, pairs: impl Fn() -> I) -> Self {
        let mut starts = vec![0_u32; names + 1];
        pairs().for_each(|(name, _)| starts[name.index() + 1] += 1);
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut values = vec![fallback; starts[names] as usize];
        let mut next = starts.clone();
        pairs().for_each(|(name, value)| {
            let place = &mut next[name.index()];
            values[*place as usize] = value;
            *place += 1;
        });
        Self { starts, values }
    }

    /// The values of the name with that number.
    pub(super) fn get(&self, index: usize) -> &[T] {
        &self.values[self.starts[index] as usize..self.starts[index + 1] as usize]
    }

    /// All values, in the order of their names' numbers.
    pub(super) fn all(&self) -> &[T] {
        &self.values
    }
}
