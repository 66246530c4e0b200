//! Facts to verdict: who may, under which conditions
