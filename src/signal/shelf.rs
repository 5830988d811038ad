//! Memory that outlives the process: what a value, a signal and an index must be able to do.
//!
//! Keys and values are bytes in a compact encoding of their own; whoever writes them down need not
//! know what they say.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::time::Shift;

/// A value that outlives the process.
pub trait Kept: Serialize + DeserializeOwned {
    /// Moves the times in it to a clock that stands elsewhere.
    fn shift(&mut self, _: Shift) {}
}

impl Kept for () {}

/// Takes entries: key and value.
pub type Entries<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

/// A bounded memory of many entries that can be written down entry by entry, and read back.
pub trait Shelf: Sync {
    /// Starts noting what changes.
    fn watch(&self);

    /// Every entry that has changed since the last call.
    fn changed(&self, out: &mut Entries<'_>);

    /// Every entry.
    fn all(&self, out: &mut Entries<'_>);

    /// Takes an entry back; a later one of the same key replaces it. False when it says nothing.
    fn recall(&self, key: &[u8], value: &[u8], by: Shift) -> bool;

    /// About how many entries have changed.
    fn waiting(&self) -> usize;
}

/// What a signal remembers of the fleet: nothing that outlives the process, unless it says where.
pub trait Shelved {
    fn shelf(&self) -> Option<&dyn Shelf> {
        None
    }
}

impl Shelved for () {}

/// The compact encoding. Fails only for what can't be written at all, which no kept value is.
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).unwrap_or_default()
}

pub fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Option<V> {
    postcard::from_bytes(bytes).ok()
}

/// The same for a value to whose end fields may have been added since it was written: they read as
/// zero, none or empty.
pub fn decode_short<V: DeserializeOwned>(bytes: &[u8]) -> Option<V> {
    decode(bytes).or_else(|| decode(&[bytes, &[0; 64]].concat()))
}
