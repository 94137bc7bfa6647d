//! The kubeconfig of a served cluster. JSON is YAML, and a string in it cannot break out.

use super::Options;
use serde_json::json;
use std::net::SocketAddr;

/// What cluster, user and context are called.
const NAME: &str = "srek-lab";

/// The text of the file.
pub(super) fn text(address: SocketAddr, options: &Options) -> String {
    let user = options.token.as_ref().map_or_else(|| json!({}), |token| json!({"token": token}));
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{
            "name": NAME,
            "context": {"cluster": NAME, "user": NAME, "namespace": options.namespace},
        }],
        "current-context": NAME,
    });
    format!("{config:#}\n")
}
