//! The Merkle tree over the entries of the log (RFC 9162 2.1): what a checkpoint signs, and how a
//! single entry is proven to be under one without the others.
//!
//! Invariant: a [`Tree`] is a function of its leaves in their order. It keeps the roots of the
//! complete subtrees alone, at most 64 of them, so a log is added up as it is read.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::entry::Hash;

/// A tree of so many leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// The roots of its complete subtrees, the largest first.
    subtrees: Vec<Hash>,
}

/// A place in a tree: the level above the leaves, and the number within it.
type Place = (u32, u64);

/// The hash of a leaf.
pub fn leaf(bytes: &[u8]) -> Hash {
    let digest = Sha256::new().chain_update([0]).chain_update(bytes);
    Hash(digest.finalize().into())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let digest = Sha256::new().chain_update([1]);
    let digest = digest.chain_update(left.0).chain_update(right.0);
    Hash(digest.finalize().into())
}

/// The root of neighbouring subtrees.
fn fold(subtrees: &[Hash]) -> Option<Hash> {
    let (last, before) = subtrees.split_last()?;
    Some(before.iter().rfold(*last, |right, left| node(left, &right)))
}

impl Tree {
    /// A tree from what was kept of it; `None` where that can't be.
    pub(crate) fn from_parts(size: u64, subtrees: Vec<Hash>) -> Option<Self> {
        (subtrees.len() == size.count_ones() as usize).then_some(Self { size, subtrees })
    }

    pub(crate) fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// How many leaves it has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its root.
    pub fn root(&self) -> Hash {
        fold(&self.subtrees).unwrap_or_else(|| Hash(Sha256::digest(b"").into()))
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_noting(leaf, |_, _| {});
    }

    /// Adds a leaf and names every subtree that is complete with it.
    fn push_noting(&mut self, leaf: Hash, mut complete: impl FnMut(Place, Hash)) {
        let (mut level, mut number, mut hash) = (0, self.size, leaf);
        complete((level, number), hash);
        while number % 2 == 1 {
            // An odd number has a complete left neighbour, which is the last kept.
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            (level, number, hash) = (level + 1, number / 2, node(&left, &hash));
            complete((level, number), hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The place of each complete subtree, with its root.
    fn places(&self) -> impl Iterator<Item = (Place, Hash)> + '_ {
        let levels = (0..64u32).rev().filter(|level| self.size >> level & 1 == 1);
        let place = |level: u32| (level, (self.size >> level) - 1);
        levels.map(place).zip(self.subtrees.iter().copied())
    }
}

/// The neighbours that lead from a leaf to the root of a tree of `size` leaves, the lowest first.
fn path(index: u64, size: u64) -> Vec<Place> {
    let mut path = Vec::new();
    for level in 0..64 {
        if size >> level == 0 || (size - 1) >> level == 0 {
            break;
        }
        let neighbour = index >> level ^ 1;
        // What would begin behind the last leaf is not there: the node goes up as it is.
        if neighbour <= (size - 1) >> level {
            path.push((level, neighbour));
        }
    }
    path
}

/// Collects what proves that some leaves are in a tree, while its leaves go by.
pub(crate) struct Prover {
    tree: Tree,
    size: u64,
    paths: Vec<Vec<Place>>,
    known: BTreeMap<Place, Option<Hash>>,
}

impl Prover {
    /// For the leaves `indexes` (0 is the first) of a tree of `size` leaves, whose first ones are
    /// added up in `start`.
    pub(crate) fn new(start: Tree, size: u64, indexes: &[u64]) -> Self {
        let paths: Vec<_> = indexes.iter().map(|index| path(*index, size)).collect();
        let mut known: BTreeMap<_, _> = paths.iter().flatten().map(|p| (*p, None)).collect();
        for (place, hash) in start.places() {
            if let Some(slot) = known.get_mut(&place) {
                *slot = Some(hash);
            }
        }
        Self {
            tree: start,
            size,
            paths,
            known,
        }
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        let known = &mut self.known;
        self.tree.push_noting(leaf, |place, hash| {
            if let Some(slot) = known.get_mut(&place) {
                *slot = Some(hash);
            }
        });
    }

    /// The proofs, in the order of the indexes, and the tree they lead to; `None` where leaves are
    /// missing.
    pub(crate) fn finish(mut self) -> Option<(Vec<Vec<Hash>>, Tree)> {
        if self.tree.size != self.size {
            return None;
        }
        // The last node of a level may be incomplete: it is what the last subtrees come to.
        for ((level, number), slot) in &mut self.known {
            if slot.is_none() {
                let start = number << level;
                let pieces = self.tree.places();
                let within = pieces.filter(|((l, n), _)| n << l >= start);
                let within: Vec<Hash> = within.map(|(_, hash)| hash).collect();
                *slot = fold(&within);
            }
        }
        let known = |place: &Place| self.known.get(place).copied().flatten();
        let proof = |path: &Vec<Place>| path.iter().map(known).collect::<Option<Vec<_>>>();
        let proofs = self.paths.iter().map(proof).collect::<Option<Vec<_>>>()?;
        Some((proofs, self.tree))
    }
}

/// The root that a leaf and its proof lead to (RFC 9162 2.1.3.2); `None` where the proof does not
/// fit the place.
pub fn root_of(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    if index >= size || path(index, size).len() != proof.len() {
        return None;
    }
    let places = path(index, size);
    let step = |hash: Hash, ((level, number), other): (&Place, &Hash)| {
        debug_assert_ne!(index >> level, *number, "a neighbour is another node");
        match number % 2 {
            0 => node(other, &hash),
            _ => node(&hash, other),
        }
    };
    Some(places.iter().zip(proof).fold(leaf, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9162 2.1.1, word for word.
    fn slow_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash(Sha256::digest(b"").into()),
            [one] => *one,
            more => {
                let half = more.len().next_power_of_two() / 2;
                let (left, right) = more.split_at(half);
                node(&slow_root(left), &slow_root(right))
            }
        }
    }

    #[test]
    fn every_leaf_of_every_tree_is_proven_from_any_start() {
        let leaves: Vec<Hash> = (0..70u8).map(|n| leaf(&[n])).collect();
        for size in 1..=leaves.len() {
            let of_size = &leaves[..size];
            let root = slow_root(of_size);
            for start in [0, 1, size / 3, size / 2, size - 1] {
                let mut first = Tree::default();
                of_size[..start].iter().for_each(|leaf| first.push(*leaf));
                let indexes: Vec<u64> = (start as u64..size as u64).collect();
                let mut prover = Prover::new(first, size as u64, &indexes);
                of_size[start..].iter().for_each(|leaf| prover.push(*leaf));
                let (proofs, tree) = prover.finish().expect("all leaves went by");
                assert_eq!(tree.root(), root);
                for (index, proof) in indexes.iter().zip(&proofs) {
                    let leaf = of_size[*index as usize];
                    let led = |leaf| root_of(*index, size as u64, leaf, proof);
                    assert_eq!(led(leaf), Some(root), "{index} of {size} from {start}");
                    assert_ne!(led(Hash::ZERO), Some(root));
                }
            }
        }
    }

    #[test]
    fn the_root_of_known_leaves_is_that_of_other_implementations() {
        // The test vectors of certificate-transparency's Merkle trees: leaves "", 00, 10, 2021.
        let mut tree = Tree::default();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(tree.root().to_string(), empty);
        for bytes in [&b""[..], &[0], &[0x10], &[0x20, 0x21]] {
            tree.push(leaf(bytes));
        }
        let four = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
        assert_eq!(tree.root().to_string(), four);
    }
}
