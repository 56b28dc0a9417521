//! A list whose first eight items need no allocation.

/// Calls rarely meet more than eight allowances; those that do pay for a `Vec`.
pub(crate) struct Inline<T> {
    near: [Option<T>; 8],
    far: Vec<T>,
}

impl<T> Inline<T> {
    pub(crate) fn new() -> Self {
        Self { near: [const { None }; 8], far: Vec::new() }
    }

    pub(crate) fn push(&mut self, item: T) {
        match self.near.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(item),
            None => self.far.push(item),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.near.iter().flatten().chain(&self.far)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.near.iter_mut().flatten().chain(&mut self.far)
    }
}
