//! The integration tests: one binary, a real server on a free port.
