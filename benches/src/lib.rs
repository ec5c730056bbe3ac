//! Kernels measured beside the libraries they must beat: see the `benches` folder.
