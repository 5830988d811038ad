//! The engine without the proxy: simulate, replay, report.
