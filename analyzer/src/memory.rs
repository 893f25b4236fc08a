//! How the memory of work that takes and frees large pieces again and again stays with the process.

use std::hint::black_box;

/// What glibc takes for large, at most: 32 MiB, less the head of a piece.
const LARGE: usize = 31 << 20;

/// Has the allocator keep what is freed, for the next piece. glibc gives pieces over 128 KiB back to the
/// system, which fills them with zeros before it hands them out once more; that costs a fourth of
/// searching bodies. Whenever it frees a larger one, it takes that for the limit, and keeps twice as much
/// (`mallopt(3)`, `M_MMAP_THRESHOLD`). Nothing is written here, so nothing is used; other allocators do
/// not mind.
pub(crate) fn keep_freed() {
    drop(black_box(Vec::<u8>::with_capacity(LARGE)));
}
