//! A small file system of its own in memory, to be filled: what a server sees when its disk is full.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::statvfs::statvfs;

/// The mounted file system; unmounted when it is dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one of this many MiB at a path that does not exist yet. `None` where this process
    /// has no right to mount.
    pub fn mount(path: &Path, mebibytes: usize) -> Option<Self> {
        fs::create_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let owner_only = Permissions::from_mode(0o700);
        fs::set_permissions(path, owner_only).unwrap_or_else(|error| panic!("chmod: {error}"));
        let size = format!("size={mebibytes}m,mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self {
            path: path.to_owned(),
        })
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Fills it until this many MiB are left.
    pub fn leave(&self, mebibytes: usize) {
        let statistics = statvfs(&self.path).unwrap_or_else(|error| panic!("statvfs: {error}"));
        let free = statistics.blocks_available() * statistics.fragment_size();
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        self.grow(free.saturating_sub(mebibytes << 20));
    }

    /// Fills it to the last octet.
    pub fn fill(&self) {
        self.grow(usize::MAX);
    }

    /// Makes the ballast larger by this many octets, or as many as there is room for.
    fn grow(&self, octets: usize) {
        let path = self.ballast();
        let file = File::options().append(true).create(true).open(&path);
        let mut file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut left = octets;
        for size in [1 << 20, 4_096, 1] {
            let piece = vec![0; size];
            while left >= size && file.write_all(&piece).is_ok() {
                left -= size;
            }
        }
    }

    /// Gives back what was taken.
    pub fn free(&self) {
        let path = self.ballast();
        fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server may still be ending.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
