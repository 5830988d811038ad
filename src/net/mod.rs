//! Both ends of the wire.
