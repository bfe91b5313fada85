//! Takes the place of kube-apiserver's secure port, for clients in pods: TLS with a certificate that a CA of this run has issued.
//! What arrives is passed on to the API of this server. Must not depend on requests.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tracing::debug;

/// Maximum number of connections; further ones wait to be accepted.
const CONNECTIONS: usize = 512;

/// Maximum time of a TLS handshake (`tlsHandshakeTimeout` of Go's clients).
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Pause after file descriptors have run out.
const SHORTAGE: Duration = Duration::from_millis(100);

/// No certificate can be issued or used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    /// It cannot be issued.
    #[error("no certificate can be issued: {0}")]
    Issue(#[from] rcgen::Error),
    /// It cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Use(#[from] tokio_rustls::rustls::Error),
}

/// The names and addresses of the API server in a cluster of this domain (kubeadm's `GetAPIServerAltNames`).
pub(super) fn names(domain: &str, endpoint: IpAddr, addresses: Vec<IpAddr>) -> Vec<String> {
    let service = "kubernetes.default.svc";
    let names = ["kubernetes", "kubernetes.default", service].map(String::from).into_iter();
    let addresses = addresses.into_iter().chain([endpoint]).map(|address| address.to_string());
    names.chain([format!("{service}.{domain}")]).chain(addresses).collect()
}

/// A server's certificate, with the CA that issued it.
pub(super) struct SecurePort {
    root_ca: String,
    acceptor: TlsAcceptor,
}

impl SecurePort {
    /// With a new certificate for these names and addresses.
    ///
    /// # Errors
    /// If the system has no random numbers, or a name is none.
    pub(super) fn new(names: &[String]) -> Result<Self, CertificateError> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.distinguished_name.push(DnType::CommonName, "kubernetes");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority_key = KeyPair::generate()?;
        let root_ca = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        // Python 3.13 and later require it (`VERIFY_X509_STRICT`).
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(SecurePort { root_ca, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The certificate of the CA, as PEM.
    pub(super) fn root_ca(&self) -> &str {
        &self.root_ca
    }

    /// Passes the connections of `listener` on to the API at `api`, by a task of the runtime.
    ///
    /// # Errors
    /// If the runtime cannot use the listener.
    pub(super) fn serve(self, listener: std::net::TcpListener, api: SocketAddr) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        tokio::spawn(async move {
            while let Ok(place) = places.clone().acquire_owned().await {
                match listener.accept().await {
                    Ok((client, _)) => {
                        let acceptor = self.acceptor.clone();
                        tokio::spawn(async move {
                            if let Err(error) = pass_on(client, &acceptor, api).await {
                                debug!(%error, "a connection of a pod to the API ended");
                            }
                            drop(place);
                        });
                    }
                    Err(_) => sleep(SHORTAGE).await,
                }
            }
        });
        Ok(())
    }
}

async fn pass_on(client: TcpStream, acceptor: &TlsAcceptor, api: SocketAddr) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = timeout(HANDSHAKE, acceptor.accept(client)).await??;
    let mut server = TcpStream::connect(api).await?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
