//! The file by which kubectl finds this server. It must not know the server.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use clusterlocal_core::output_file::{OutputFile, OutputFileError};

/// The name of the cluster, the user and the context.
const NAME: &str = "clusterlocal";

/// What tells a file of this program from a kubeconfig with other clusters in it.
const MARK: &str =
    "# Written by clusterlocal, and replaced when it starts anew: what is added here is lost.\n";

/// The kubeconfig at `path`, not yet written.
pub fn file(path: &Path) -> OutputFile {
    OutputFile::new(path, MARK, true)
}

/// Writes a kubeconfig for the API at `address` to `path`: whole or not at all, for the owner's eyes as kubectl does it.
/// Nothing is merged.
///
/// It is meant to stay when the server ends. A kubectl whose kubeconfig is gone looks at the next file of KUBECONFIG, or
/// at `localhost:8080`, and the next command would go to some other cluster.
///
/// # Errors
/// When there is something at `path` that this program has not written, and what the operating system says.
pub fn write(path: &Path, address: SocketAddr) -> Result<(), OutputFileError> {
    file(path).write(&text(address))
}

/// The server as a client on this machine reaches it.
fn server(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn text(address: SocketAddr) -> String {
    let server = server(address);
    format!(
        "{MARK}apiVersion: v1\nkind: Config\nclusters:\n- name: {NAME}\n  cluster:\n    server: http://{server}\nusers:\n- \
         name: {NAME}\n  user: {{}}\ncontexts:\n- name: {NAME}\n  context:\n    cluster: {NAME}\n    user: {NAME}\n    \
         namespace: default\ncurrent-context: {NAME}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_file_leads_to_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        for (bound, told) in [
            ("127.0.0.1:10054", "http://127.0.0.1:10054"),
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::]:2", "http://[::1]:2"),
        ] {
            write(&path, bound.parse().unwrap()).unwrap();
            let config: serde_yaml::Value =
                serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(config["clusters"][0]["cluster"]["server"].as_str(), Some(told));
            assert_eq!(config["current-context"], config["contexts"][0]["name"]);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("absent/config"), "127.0.0.1:1".parse().unwrap()).is_err());
    }
}
