//! The monitor's text.
