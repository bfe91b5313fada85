//! Any bytes of a file are read as objects and problems, without a panic.
//!
//! `cargo +nightly fuzz run manifest fuzz/corpus/manifest fuzz/seeds/manifest`

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["a.yaml", "a.json"] {
        let manifest = clusterlocal_core::manifest::read_bytes(name, bytes.to_vec());
        for problem in &manifest.problems {
            problem.render(false);
        }
        for read in &manifest.objects {
            read.place.locate("spec.ports[0].name");
        }
    }
});
