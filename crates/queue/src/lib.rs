//! What waits to leave: enqueue, hold, release, cancel, retry
