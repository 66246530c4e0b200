//! From [`Settings`] to RocksDB's options: one place where every choice is made and explained.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ChecksumType, CompactionPri, DBCompactionStyle,
    DBCompressionType, DBRecoveryMode, DataBlockIndexType, LogLevel, Options,
};

use crate::Settings;

/// Values shorter than this stay in the table files, in bytes.
const MIN_BLOB_BYTES: u64 = 1024;
/// Length of a blob file, in bytes: small enough that collecting garbage moves little at a time.
pub(crate) const BLOB_FILE_BYTES: u64 = 64 << 20;
/// Length of a table file that points into blob files, in bytes: a collection stops between two.
const POINTERS_FILE_BYTES: u64 = 8 << 20;
/// Bits of filter for each key: about one needless read of a file in a hundred.
const FILTER_BITS: f64 = 10.0;

/// The share of blob files, the oldest first, that compactions empty.
///
/// None as a rule: a compaction moves whatever it meets in those files, however little of it is garbage, and
/// since blob ids come in no order every compaction meets all of them. With a share of a half each
/// 256 MiB of new content had half of everybody's mail written again. `reclaim.rs` and
/// `compact.rs` raise it for as long as they run.
pub(crate) const BLOB_AGE_CUTOFF: &str = "blob_garbage_collection_age_cutoff";

/// Options of the database as a whole.
pub(crate) fn database(settings: &Settings, recovery: DBRecoveryMode) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_open_files(i32::from(settings.max_open_files));
    options.set_max_background_jobs(i32::from(settings.background_jobs.max(1)));
    options.set_db_write_buffer_size(settings.write_buffer_bytes);
    options.set_wal_recovery_mode(recovery);
    // An earlier log that is missing or shorter than what was synced is refused, not skipped.
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(settings.max_wal_bytes);
    // Compaction writes back in small portions instead of one burst that delays a commit's sync.
    options.set_bytes_per_sync(1 << 20);
    // Files are unlinked in the background, not by the reader that lets go of them last.
    options.set_avoid_unnecessary_blocking_io(true);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(4 << 20);
    options.set_keep_log_file_num(4);
    options.set_stats_dump_period_sec(0);
    options
}

/// Options of the rows.
pub(crate) fn rows(settings: &Settings, cache: &Cache) -> Options {
    let mut options = tables(settings, &table(cache));
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    // A withdrawn or expunged message leaves markers that every later scan must step over.
    options.add_compact_on_deletion_collector_factory(4096, 2048, 0.0);
    options
}

/// Options of the blob pieces: the content in blob files, which compaction does not rewrite.
pub(crate) fn blobs(settings: &Settings, cache: &Cache) -> Options {
    let mut table = table(cache);
    // Pieces are looked up, one by one or together, and never walked over.
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    table.set_data_block_hash_ratio(0.75);
    let mut options = tables(settings, &table);
    // Who asks for a piece knows that it is there: the last level, which has most, needs no filter.
    options.set_optimize_filters_for_hits(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_enable_blob_files(true);
    options.set_min_blob_size(MIN_BLOB_BYTES);
    options.set_blob_file_size(BLOB_FILE_BYTES);
    // Pieces are compressed before they come here.
    options.set_blob_compression_type(DBCompressionType::None);
    options.set_enable_blob_gc(true);
    options.set_blob_gc_age_cutoff(0.0);
    options.set_target_file_size_base(POINTERS_FILE_BYTES);
    options
}

/// How the table files of both families are laid out.
fn table(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(16 << 10);
    table.set_checksum_type(ChecksumType::XXH3);
    table.set_format_version(6);
    table.set_bloom_filter(FILTER_BITS, false);
    table.set_optimize_filters_for_memory(true);
    // Indexes and filters live in the bounded cache, in partitions, the top level pinned.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(4096);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_top_level_index_and_filter(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table
}

/// What both families share.
fn tables(settings: &Settings, table: &BlockBasedOptions) -> Options {
    let mut options = Options::default();
    options.set_block_based_table_factory(table);
    // Half of the whole, so that one family can fill while the other is flushed.
    options.set_write_buffer_size((settings.write_buffer_bytes / 2).max(1 << 20));
    options.set_max_write_buffer_number(4);
    options.set_compaction_style(DBCompactionStyle::Level);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compaction_pri(CompactionPri::MinOverlappingRatio);
    options
}
