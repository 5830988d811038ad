//! Phrase classes.
