//! Message bytes to structure: envelope, body structure with offsets, preview, digests
