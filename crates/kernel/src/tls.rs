//! TLS is rustls. Two of its cryptographic providers are in the program, because libraries want either, so one must be named as the
//! process's own: libraries that ask for that one panic without it.

/// Names the provider. Called by whoever is about to read an address that may want TLS.
pub(crate) fn prepare() {
    // Whoever was first has named one as good.
    let _first = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
