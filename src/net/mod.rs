//! Both ends of the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    #[schemars(with = "Vec<String>")]
    pub listen: Vec<std::net::SocketAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { listen: vec![(std::net::Ipv4Addr::LOCALHOST, 8080).into()] }
    }
}
