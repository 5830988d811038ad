//! The operator's file, typed.
