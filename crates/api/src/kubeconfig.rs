//! The kubeconfig file for this server. Must not depend on the server.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use clusterlocal_core::output_file::{OutputFile, OutputFileError};

/// The name of the cluster, the user and the context.
const NAME: &str = "clusterlocal";

/// The beginning of the file in every version of the program, which distinguishes it from kubeconfigs with other clusters.
const MARK: &str = "# Written by clusterlocal, and replaced ";

/// The kubeconfig at `path`, not yet written.
pub fn file(path: &Path) -> OutputFile {
    OutputFile::new(path, MARK, true)
}

/// Writes a kubeconfig for the API at `address` to `path`, atomically and readable only for its owner, as kubectl does.
/// Nothing is merged.
///
/// The file stays when the server ends: without it, kubectl would use the next file of KUBECONFIG, or `localhost:8080`, and
/// the next command would reach another cluster.
///
/// # Errors
/// If there is a file at `path` that this program has not written, or it cannot be written.
pub fn write(path: &Path, address: SocketAddr) -> Result<(), OutputFileError> {
    file(path).write(&text(address))
}

/// The server's address for clients on this machine.
fn server(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The kubeconfig for the API at `address`.
pub fn text(address: SocketAddr) -> String {
    let server = server(address);
    format!(
        "{MARK}at its next start: additions are lost.\n\
         apiVersion: v1\nkind: Config\nclusters:\n- name: {NAME}\n  cluster:\n    server: http://{server}\nusers:\n- \
         name: {NAME}\n  user: {{}}\ncontexts:\n- name: {NAME}\n  context:\n    cluster: {NAME}\n    user: {NAME}\n    \
         namespace: default\ncurrent-context: {NAME}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_file_has_the_address_of_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        for (bound, expected) in [
            ("127.0.0.1:10054", "http://127.0.0.1:10054"),
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::]:2", "http://[::1]:2"),
        ] {
            write(&path, bound.parse().unwrap()).unwrap();
            let config: serde_yaml::Value =
                serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(config["clusters"][0]["cluster"]["server"].as_str(), Some(expected));
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
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("absent/config"), "127.0.0.1:1".parse().unwrap()).is_err());
    }
}
