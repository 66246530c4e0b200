//! The one typed door to durable state: four verbs, a batch, and an in-memory engine
